"""Signed proofs of promotions: what is signed, and what of it counts elsewhere."""

import base64
import json
import re
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_operator.domain.api.names import PROOF
from rollout_operator.domain.api.status import LONGEST_PROOF, Attempt, Status, Watch
from rollout_operator.domain.api.words import Verdict
from rollout_operator.domain.machine.decision import MESSAGE_LENGTH
from rollout_operator.domain.promotion_proof import (
    Claims,
    ProofDemand,
    ProofSigner,
    claims_in,
    claims_of,
    demanded,
    proof_rules,
    proof_signer,
    with_proof,
)
from tests.support.builders import at, resolved, revision
from tests.support.proofs import META, key, private_pem, promoted, proof, public_pem, signed

URI, DIGEST = resolved(2).uri, resolved(2).digest
RULE = {
    "namespaces": ["prod-*"],
    "promotedBy": ["staging/ml/{name}"],
    "maxAge": "720h",
    "keys": [public_pem(key("retired")), public_pem(key("staging"))],
}
PRODUCTION = {"namespace": "prod-eu", "name": "iris", "uid": "77aa"}


def demand(shown: str | None, meta: dict[str, Any] = PRODUCTION, **changes: Any) -> ProofDemand:
    """What production asks of a rollout that shows this."""
    annotations = {} if shown is None else {"annotations": {PROOF: shown}}
    found = demanded(proof_rules(json.dumps([RULE | changes])), meta | annotations)
    assert found is not None
    return found


def claims() -> dict[str, Any]:
    found = claims_of(META, promoted(), "staging")
    assert found is not None
    return dict(found)


def test_what_staging_has_promoted_is_let_in() -> None:
    assert demand(proof()).lacks(URI, DIGEST, at(3600)) == ""
    assert demand(proof()).lacks(URI, "", at(3600)) == "", "the files are yet to be looked at"


def test_what_is_signed() -> None:
    found = claims_in(proof())
    assert found == claims_of(META, promoted(), "staging")
    assert found is not None
    assert found.place == "staging/ml/iris"
    assert found.model_dump() == {
        "iss": "staging",
        "sub": "ml/iris",
        "uid": "0f4c",
        "uri": URI,
        "digest": DIGEST,
        "attempt": 3,
        "verdict": "Promoted",
        "reason": "GatesPassed",
        "gates": "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
        "iat": int(at(60).timestamp()),
    }, "the gates are those of an attempt that measured none: []"


KEY = key("staging")
ALTERED: dict[str, tuple[Any, str]] = {
    "iss": ("laptop", "it is of laptop/ml/iris."),
    "sub": ("ml/wine", "it is of staging/ml/wine."),
    "uri": (resolved(3).uri, "it is of models:/iris/3."),
    "digest": (resolved(3).digest, f"it is of other files, {resolved(3).digest}, and those here"),
    "reason": ("PromotedByCommand", "promoted there for PromotedByCommand, and only GatesPassed"),
    "iat": (int(at(60).timestamp()) - 721 * 3600, "more than 720h ago"),
    "verdict": ("RolledBack", "does not understand (verdict: Input should be 'Promoted')"),
    "attempt": ("3", "does not understand (attempt: "),
    "uid": (None, "does not understand (uid: "),
    "gates": (7, "does not understand (gates: "),
}


@pytest.mark.parametrize("field", Claims.model_fields)
def test_each_field_is_signed_and_read(field: str) -> None:
    """Changed by somebody else it is forged; said by staging itself, it does not count here."""
    value, why = ALTERED[field]
    other = claims() | {field: value}
    head, _, signature = proof().split(".")
    payload = json.dumps(other).encode()
    middle = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    forged = demand(f"{head}.{middle}.{signature}").lacks(URI, DIGEST, at(3600))
    assert "none of the keys" in forged
    said = demand(signed(other, KEY)).lacks(URI, DIGEST, at(3600))
    assert said.startswith(f"The proof of {URI} does not count: ")
    assert why in said, said
    assert "Promote it as staging/ml/iris, and bring its proof here" in said


def _without(field: str) -> bytes:
    return json.dumps({k: v for k, v in claims().items() if k != field}).encode()


SPOILED: dict[str, tuple[str | None, str]] = {
    "stripped": (None, "has no proof that it was promoted before, which namespace prod-eu needs"),
    "empty": ("", f"which writes the annotation {PROOF}"),
    "the text that no key has signed": (f"{URI} {DIGEST} Promoted by staging/ml/iris", "be read"),
    "cut": (proof()[:-9], "cannot be read"),
    "without its signature": (proof().rsplit(".", 1)[0] + ".", "none of the keys"),
    "of two parts": (proof().rsplit(".", 1)[0], "cannot be read"),
    "by an unknown key": (proof(signer="mallory"), "none of the keys"),
    "by no key": (signed(claims(), KEY).replace("eyJ", "eyK", 1), "cannot be read"),
    "by a key of another kind": (
        signed(claims(), ec.generate_private_key(ec.SECP256R1())),
        "cannot be read",
    ),
    "of another type": (signed(claims(), KEY, typ="JWT"), "is no promotion-proof+jwt"),
    "of nothing": (signed(b"", KEY), "does not understand"),
    "of a list": (signed(b"[]", KEY), "does not understand"),
    "of no text": (signed(b"\xff", KEY), "does not understand"),
    "with a claim more": (
        signed(json.dumps({**claims(), "exp": 1}).encode(), KEY),
        "does not understand (exp: Extra",
    ),
    **{
        f"without {field}": (signed(_without(field), KEY), f"does not understand ({field}: ")
        for field in Claims.model_fields
    },
    "of a far time": (
        signed(json.dumps({**claims(), "iat": 10**15}).encode(), KEY),
        "does not understand (iat: ",
    ),
    "longer than anything": (proof() + "A" * LONGEST_PROOF, "at most 4096 are read"),
    "a bomb": ("." * 10**6, "it has 1000000 characters"),
}


@pytest.mark.parametrize(("shown", "why"), SPOILED.values(), ids=SPOILED.keys())
def test_what_is_no_proof_is_refused_with_what_to_do(shown: str | None, why: str) -> None:
    said = demand(shown).lacks(URI, DIGEST, at(3600))
    assert why in said, said
    assert "promote-to" in said


def test_what_is_too_long_to_be_read_is_not_remembered() -> None:
    """Whoever may annotate could fill the operator's memory, with another text each time."""
    wide = 200_000
    tracemalloc.start()
    for number in range(100):
        assert "at most 4096" in demand(f"{number}" + "." * wide).lacks(URI, DIGEST, at(60))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 10 * wide


def test_without_an_algorithm_nothing_counts() -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"promotion-proof+jwt"}').rstrip(b"=")
    middle = proof().split(".")[1]
    assert "cannot be read" in demand(f"{head.decode()}.{middle}.").lacks(URI, DIGEST, at(0))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.characters(codec="ascii"))
def test_no_changed_letter_says_anything_else(place: int, letter: str) -> None:
    own = proof()
    place %= len(own)
    changed = own[:place] + letter + own[place + 1 :]
    if demand(changed).lacks(URI, DIGEST, at(3600)) == "":
        # Spare bits of the last letter of base64.
        assert claims_in(changed) == claims_in(own)


@pytest.mark.parametrize(
    ("seconds", "why"),
    [
        pytest.param(60 + 720 * 3600, "", id="as old as may be"),
        pytest.param(61 + 720 * 3600, "it was promoted at 2026-11-23 12:01:00 UTC, more", id="old"),
        pytest.param(60 - 300, "", id="a clock that is five minutes behind"),
        pytest.param(60 - 301, "yet to come, so one of the clocks is wrong", id="of tomorrow"),
    ],
)
def test_a_proof_counts_for_a_time(seconds: float, why: str) -> None:
    said = demand(proof()).lacks(URI, DIGEST, at(seconds))
    assert (why in said) if why else said == ""


def test_without_an_age_it_counts_for_ever() -> None:
    rule = {k: v for k, v in RULE.items() if k != "maxAge"}
    found = demanded(
        proof_rules(json.dumps([rule])), PRODUCTION | {"annotations": {PROOF: proof()}}
    )
    assert found is not None
    assert found.lacks(URI, DIGEST, at(0) + timedelta(days=3650)) == ""


@pytest.mark.parametrize(
    ("pattern", "counts"),
    [
        pytest.param("staging/ml/iris", True, id="by its name"),
        pytest.param("*/*/*", True, id="anybody"),
        pytest.param("stag?ng/m*/{name}", True, id="patterns"),
        pytest.param("staging/{namespace}/{name}", False, id="the same namespace"),
        pytest.param("staging/ml/wine", False, id="another name"),
        pytest.param("laptop/ml/iris", False, id="another environment"),
        pytest.param("*/ml/ir", False, id="no part of a name"),
    ],
)
def test_whose_word_counts(pattern: str, counts: bool) -> None:
    said = demand(proof(), promotedBy=["none/none/none", pattern]).lacks(URI, DIGEST, at(60))
    assert (said == "") is counts


def test_many_places_leave_room_for_what_is_to_be_done() -> None:
    places = [f"staging-{number}/ml/{{name}}" for number in range(50)]
    said = demand(None, promotedBy=places).lacks(URI, DIGEST, at(60))
    assert len(said) < MESSAGE_LENGTH
    assert "promote it as staging-0/ml/iris or staging-1/ml/iris or " in said
    assert re.search(r"ml/iris or one of [0-9]+ others, and bring its proof here", said)
    assert said.endswith(f"which writes the annotation {PROOF}.")


def test_no_pattern_goes_over_a_slash() -> None:
    """A namespace cannot pass itself off as another's environment."""
    other = claims() | {"iss": "lab", "sub": "staging/ml"}
    wild = demand(signed(other, KEY), promotedBy=["*/ml/iris"])
    assert "it is of lab/staging/ml" in wild.lacks(URI, DIGEST, at(60))


def test_what_a_person_has_promoted_counts_where_it_is_written() -> None:
    told = signed(claims() | {"reason": "PromotedByCommand"}, KEY)
    both = demand(told, reasons=["GatesPassed", "PromotedByCommand"])
    assert both.lacks(URI, DIGEST, at(60)) == ""


def test_other_namespaces_are_asked_for_nothing() -> None:
    rules = proof_rules(json.dumps([RULE]))
    assert demanded(rules, META) is None
    assert demanded((), PRODUCTION) is None


def test_the_first_entry_for_a_namespace_is_taken() -> None:
    rules = proof_rules(json.dumps([RULE, RULE | {"namespaces": ["*"], "maxAge": "1h"}]))
    ages = [
        found.rule.max_age
        for name in ("prod-eu", "ml")
        if (found := demanded(rules, PRODUCTION | {"namespace": name})) is not None
    ]
    assert [str(age) for age in ages] == ["720h", "1h"]


WATCHED = Watch(former="0", since=at(0), until=at(60))


def ended(version: int, attempt: int, **changes: Any) -> Attempt:
    return promoted(version).history[0].model_copy(update={"attempt": attempt, **changes})


@pytest.mark.parametrize(
    ("status", "attempt"),
    [
        pytest.param(promoted(), 3, id="what is stable"),
        pytest.param(Status(), 0, id="nothing yet"),
        pytest.param(promoted(watch=WATCHED), 0, id="in its watch"),
        pytest.param(promoted(verdict=Verdict.RETURNED), 0, id="on its way back"),
        pytest.param(promoted(history=()), 0, id="forgotten"),
        pytest.param(promoted(stable=revision(2, digest="")), 0, id="of unknown files"),
        pytest.param(
            promoted(history=(ended(2, 5, verdict=Verdict.ROLLED_BACK), ended(2, 3))),
            3,
            id="promoted, and rolled back in another attempt",
        ),
        pytest.param(promoted(history=(ended(3, 6), ended(2, 3))), 3, id="what was before again"),
        pytest.param(promoted(history=(ended(2, 6), ended(2, 3))), 6, id="the newest of two"),
        pytest.param(
            promoted(history=(ended(2, 6, reason="Restored"), ended(2, 3))),
            3,
            id="restored, which measured nothing",
        ),
        pytest.param(
            promoted(history=(ended(2, 6, reason="Restored"),)), 6, id="restored, and no more known"
        ),
    ],
)
def test_what_is_signed_for(status: Status, attempt: int) -> None:
    signer = ProofSigner("staging", KEY)
    after = with_proof(signer, META, status)
    found = claims_in(after.proof)
    assert (0 if found is None else found.attempt) == attempt
    assert with_proof(signer, META, after) is after, "the same text, so nothing is to be written"


def test_what_is_no_more_signed_for_goes() -> None:
    before = promoted(proof=proof())
    assert with_proof(None, META, before).proof == ""
    assert with_proof(ProofSigner("staging", key("next")), META, before).proof != before.proof


def test_the_longest_proof_fits_into_a_status() -> None:
    long = {**META, "namespace": "n" * 63, "name": "m" * 63, "uid": "u" * 36}
    name = "models:/" + "\N{CRAB}" * 240 + "/1234567"
    status = promoted(stable=revision(2, uri=name, digest="sha256:" + "f" * 64))
    text = ProofSigner("e" * 63, KEY).proof(long, status)
    assert 2000 < len(text) <= LONGEST_PROOF
    assert demand(text, promotedBy=["*/*/*"]).lacks(name, "", at(60)) == ""


PEM = private_pem(KEY)


@pytest.mark.parametrize(
    ("pem", "environment", "sentence"),
    [
        pytest.param(PEM, "", "belong together", id="no name"),
        pytest.param("", "staging", "belong together", id="no key"),
        pytest.param(PEM, "our staging", "is no name", id="a name that no policy could ask for"),
        pytest.param(PEM, "a/b", "is no name", id="a name of two parts"),
        pytest.param("secret", "staging", "openssl genpkey -algorithm ed25519", id="no PEM"),
        pytest.param(public_pem(KEY), "staging", "is no private key of Ed25519", id="a public key"),
        pytest.param(
            private_pem(ec.generate_private_key(ec.SECP256R1())),
            "staging",
            "is no private key of Ed25519",
            id="another kind of key",
        ),
    ],
)
def test_what_nobody_can_sign_by_is_said(pem: str, environment: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as told:
        proof_signer(pem, environment)
    assert "PRIVATE" not in str(told.value)
    assert "secret" not in str(told.value)


def test_nothing_to_sign_by_is_nobody() -> None:
    assert proof_signer("", " ") is None
    signer = proof_signer(PEM, "staging")
    assert signer is not None
    assert "PRIVATE" not in repr(signer)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"keys": []}, "keys: .*at least 1", id="no key"),
        *(
            pytest.param({"keys": [text]}, "keys.0: no public key in PEM.*openssl pkey", id=what)
            for what, text in {
                "no PEM": "x",
                "nothing": "",
                "a comment before it": f"# ours\n{public_pem(key('staging'))}",
                "lines that are one": public_pem(key("staging")).replace("\n", "\\n"),
                "two in one entry": public_pem(key("staging")) * 2,
                "for SSH": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB",
            }.items()
        ),
        pytest.param(
            {"keys": [public_pem(ec.generate_private_key(ec.SECP256R1()))]},
            "a key that is none of Ed25519.*openssl",
            id="another kind of key",
        ),
        pytest.param({"keys": [PEM]}, "keys.0: a private key, .* made anew", id="a private key"),
        pytest.param({"promotedBy": []}, "promotedBy: .*at least 1", id="nobody"),
        pytest.param({"promotedBy": ["staging"]}, "is not ENVIRONMENT/", id="no place"),
        pytest.param({"promotedBy": ["a/b/[cd]"]}, "is not ENVIRONMENT/", id="a set of letters"),
        pytest.param({"promotedBy": ["a/b/{{name}}"]}, "to fill in", id="braces of Helm"),
        pytest.param({"promotedBy": ["a/b/{name.upper}"]}, "to fill in", id="a field of a name"),
        pytest.param({"promotedBy": ["a/b/{uid}"]}, "staging/ml/{name}", id="nothing to fill in"),
        pytest.param({"promotedBy": ["a/b/{"]}, "staging/ml/{name}", id="a brace"),
        pytest.param({"maxAge": "30 days"}, "is no duration: write 30s", id="no duration"),
        *(
            pytest.param({"maxAge": age}, "maxAge: 0. lets nothing in", id=f"for {age}")
            for age in ("0s", "0h")
        ),
        pytest.param({"namespaces": []}, "namespaces: .*at least 1", id="for nobody"),
        *(
            pytest.param({"namespaces": [of]}, "namespaces.0: .* fits no namespace", id=f"of {of}")
            for of in ("Production", "", "prod_eu", "!prod", "a/b", "prod ")
        ),
        pytest.param({"reasons": ["Luck"]}, "reasons.0: Input should be", id="no reason"),
        pytest.param({"key": "x"}, "key: Extra inputs", id="an unknown word"),
    ],
)
def test_a_rule_that_cannot_be_used_is_said(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)PROMOTION_PROOF cannot be used: 0.*{sentence}"):
        proof_rules(json.dumps([RULE | changes]))


def test_a_rule_in_no_list_is_said() -> None:
    with pytest.raises(ValueError, match=r"is no JSON list.*promotedBy"):
        proof_rules("{}")
    assert proof_rules(" ") == ()
