"""What stores' clients say, as obstore 0.12 has said it, and what a person is told."""

import pytest

from rollout_inference.loading.store_failures import sentence

LISTING = "Generic S3 error: Error performing GET https://s3:9/models?list-type=2"
STATUS = "Server returned non-2xx status code:"
RETRIED = f"{LISTING} in 3.7s, after 10 retries - HTTP error: error sending request"
IDENTITY = "http://169.254.169.254"
SAID: dict[str, tuple[str, str]] = {
    "a wrong key": (
        f"{LISTING} in 69ms - {STATUS} 403 Forbidden: <?xml?>\n<Code>SignatureDoesNotMatch</Code>",
        "https://s3:9 answers 403 (SignatureDoesNotMatch): these credentials are wrong, or may not",
    ),
    "no bucket": (
        f"{LISTING} - {STATUS} 404 Not Found: <Code>NoSuchBucket</Code>",
        "https://s3:9 answers 404 (NoSuchBucket): is there a models?",
    ),
    "another CA": (
        f"{RETRIED}\n\nDebug source:\nkind: Other, error: InvalidCertificate(UnknownIssuer)",
        "the certificate of https://s3:9 is not trusted; the chart's models.credentials may name",
    ),
    "nobody there": (RETRIED, "https://s3:9 does not answer. Where the chart's modelEgress is set"),
    "no identity": (
        f"Generic S3 error: Error performing PUT {IDENTITY}/latest/api/token - {STATUS} 403",
        f"there are no credentials for models, and {IDENTITY} gives the pod none either",
    ),
    "out of order": (f"{LISTING} - {STATUS} 503 Service Unavailable: <html>", "s3:9 answers 503."),
    "anything else": ("Path contains\nmore", "could not be read: Path contains"),
}


@pytest.mark.parametrize(("text", "told"), SAID.values(), ids=SAID.keys())
def test_a_failure_of_a_store_is_one_sentence(text: str, told: str) -> None:
    said = sentence("s3://models/1", "models", Exception(text))
    assert said.startswith("s3://models/1 could not be read: ")
    assert told in said
    assert "\n" not in said
