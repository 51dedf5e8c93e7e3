"""How entries of the cache are packed."""

import json

from rollout_operator.controller.codec import Codec


def text(number: int) -> bytes:
    spec = {"image": "registry.example.com/rollouts/inference:1.0", "ports": [8080], "n": number}
    return json.dumps({"metadata": {"labels": {"app": f"iris-{number}"}}, "spec": spec}).encode()


def test_what_was_packed_before_there_was_a_dictionary_is_read_as_well() -> None:
    codec = Codec()
    before = codec.encode("Deployment", text(1))
    codec.learn("Deployment", text(2))
    after = codec.encode("Deployment", text(3))
    assert codec.decode("Deployment", before) == text(1)
    assert codec.decode("Deployment", after) == text(3)
    assert len(after) < len(before) / 2, "another one of its kind is most of it"


def test_a_dictionary_is_of_one_kind_and_does_not_change() -> None:
    codec = Codec()
    codec.learn("Deployment", text(1))
    packed = codec.encode("Deployment", text(2))
    codec.learn("Deployment", b"something else")
    codec.learn("Service", b"another kind")
    assert codec.decode("Deployment", packed) == text(2)
    assert codec.decode("Service", codec.encode("Service", text(4))) == text(4)
