"""What an object store's client, or an OCI registry, says where it fails, as one sentence that says
what to do.

obstore's own text is one line, the store's answer as XML, and then its insides for debugging, which
alone say that a certificate was refused.
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
        return _silent(source, host)
    return f"{source} could not be read: {first_line(failure)}"


def _silent(source: str, host: str) -> str:
    return (
        f"{source} could not be read: {host} does not answer. Where the chart's modelEgress is"
        " set, it must let pods go there."
    )


def too_large(source: str, most: int, files: int) -> str:
    """source: the artifact URI, which has more than so many bytes or files."""
    return (
        f"The model is too large: {source} has more than {most} bytes or {files} files. The"
        " operator's MODEL_MAX_BYTES sets the bytes."
    )


def registry_status(source: str, host: str, status: int, what: str, known: bool) -> str:
    """What an OCI registry, or who gives its tokens, answers; known: whether there are credentials
    for it.
    """
    said = f"{source} could not be read: {host} answers {status}"
    if status in {401, 403}:
        why = (
            f"these credentials are wrong, or may not read {what}"
            if known
            else "there are no credentials for it"
        )
        return f"{said}: {why}. {CREDENTIALS}."
    return f"{said}: is there a {what}?" if status == 404 else f"{said}."


def registry_trouble(source: str, host: str, failure: BaseException) -> str:
    """Why an OCI registry gives no answer, as requests says it."""
    if "CERTIFICATE_VERIFY_FAILED" in str(failure):
        return f"{source} could not be read: the certificate of {host} is not trusted; {AUTHORITY}."
    return _silent(source, host)
