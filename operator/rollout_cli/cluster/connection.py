"""Which cluster a command line means, and as whom; logged in where a command asks for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollout_cli.api.kubernetes import KubeApi, SendingApi, WatchingApi

if TYPE_CHECKING:
    from rollout_cli.cluster.kube_client import KubeClient


@dataclass(frozen=True, slots=True)
class Connection:
    """What the command line says of the cluster."""

    kubeconfig: str | None = None
    """Path of a kubeconfig; else KUBECONFIG, ~/.kube/config, or the pod's service account."""
    context: str | None = None
    """Context of the kubeconfig; else its current one."""
    namespace: str | None = None
    """Namespace; else that of the context."""

    def open(self) -> KubeApi:
        """Log in. Raises WrongUsage where no cluster is named, Refused where logging in fails."""
        return self.open_for_watching()

    def open_for_sending(self) -> SendingApi:
        """The same, for what sends to pods, too."""
        return self._client()

    def open_for_watching(self) -> WatchingApi:
        """The same, for what watches, too."""
        return self._client()

    def _client(self) -> "KubeClient":
        # Half a second and 40 MiB, which help, `lint` and a wrong command line do without.
        from rollout_cli.cluster.kube_client import KubeClient  # noqa: PLC0415

        return KubeClient.connect(self.kubeconfig, self.context, self.namespace)
