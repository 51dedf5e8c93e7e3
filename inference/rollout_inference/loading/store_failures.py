"""What an object store's client says where it fails, as one sentence that says what to do.

The client's own text is one line, the store's answer as XML, and then its insides for debugging,
which alone say that a certificate was refused.
"""

import re

from rollout_model.errors import first_line

AUTHORITY = "the chart's models.credentials may name a private CA"
CREDENTIALS = (
    "The operator's configuration names the Secret that pods fetch with: models.credentials"
)
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]{1,80})</Code>")
_HOST = re.compile(r"https?://[^/\s]+")
_IDENTITY = ("http://169.254.169.254", "http://169.254.170.2", "http://metadata.google.internal")
"""Where a cloud's machines and pods ask who they are."""


def sentence(source: str, bucket: str, failure: BaseException) -> str:
    """source: the artifact URI; bucket: its bucket or container."""
    text = str(failure)
    status = found[1] if (found := _STATUS.search(text)) else ""
    code = f" ({found[1]})" if (found := _CODE.search(text)) else ""
    host = found[0] if (found := _HOST.search(text)) else "the store"
    if "InvalidCertificate" in text:
        return f"{source} could not be read: the certificate of {host} is not trusted; {AUTHORITY}."
    if host.startswith(_IDENTITY):
        return (
            f"{source} could not be read: there are no credentials for {bucket}, and {host} gives"
            f" the pod none either. {CREDENTIALS}."
        )
    if status in {"401", "403"}:
        return (
            f"{source} could not be read: {host} answers {status}{code}: these credentials are"
            f" wrong, or may not read {bucket}. {CREDENTIALS}."
        )
    if status == "404":
        return f"{source} could not be read: {host} answers 404{code}: is there a {bucket}?"
    if status:
        return f"{source} could not be read: {host} answers {status}{code}."
    if "HTTP error" in text:
        return (
            f"{source} could not be read: {host} does not answer. Where the chart's modelEgress is"
            " set, it must let pods go there."
        )
    return f"{source} could not be read: {first_line(failure)[:300]}"
