"""How the API server is reached: the pod's service account, else KUBECONFIG, exec plugins included.
For kopf and for own calls.
"""

import logging
from typing import Any

from rollout_operator.kopf_compat import kopf

log = logging.getLogger(__name__)


def login(settings: kopf.OperatorSettings | None = None) -> kopf.ConnectionInfo:
    """Address and credentials; raises kopf.LoginError where there are none.

    The Kubernetes client, whose import costs more memory than everything else together, is asked
    only where the kubeconfig names a plugin that it knows how to run.
    """
    known: dict[str, Any] = {"settings": settings or kopf.OperatorSettings(), "logger": log}
    found = kopf.login_with_service_account(**known) or kopf.login_with_kubeconfig(**known)
    if found is None or not (
        found.token or found.username or found.certificate_data or found.certificate_path
    ):
        found = kopf.login_via_client(**known) or found
    if found is None:
        raise kopf.LoginError(
            "Neither a service account nor KUBECONFIG says where the API server is: set KUBECONFIG."
        )
    return found
