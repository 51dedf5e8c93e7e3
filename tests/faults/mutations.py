"""Values for every field of a ModelRollout's spec: some that are surely wrong, some surely right,
and any that may be either.

The fields are walked in the CRD's own schema, so that a new one cannot be left out.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import strategies as st

from rollout_operator.domain.api.api_types import NAME
from rollout_operator.domain.api.spec import MODEL_URI
from rollout_operator.domain.api.traffic import PATH
from tests.support.api_client import ROOT

Path = tuple[str | int, ...]
"""Where a value stands: names, and 0 for the first item of a list."""
Changes = tuple[tuple[Path, Any], ...]
"""Values by their place."""
Spec = dict[str, Any]

SEED: Spec = {
    "modelUri": "models:/iris/1",
    "replicas": 2,
    "resources": {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    },
    "traffic": {
        "host": "iris.example.com",
        "path": "/",
        "provider": "Ingress",
        "ingressClassName": "nginx",
        "removalDelay": "30s",
    },
    "strategy": {
        "steps": [{"weight": 10, "hold": "30s"}, {"weight": 50, "hold": "30s"}],
        "progressDeadline": "5m",
        "scaleDownDelay": "30s",
    },
    "analysis": {
        "interval": "15s",
        "maxHold": "2m",
        "gates": [{"metric": "accuracy", "min": 0.70}],
    },
}
TRIED = "models:/iris/2"
"""What is rolled out under a mutated spec, so that the field has a say: version 2 is a good one."""


@dataclass(frozen=True)
class Mutation:
    """One change of the seed."""

    changes: Changes
    """Values by their place; ABSENT for a field that is taken out."""
    wrong: bool = False
    """Whether it must be refused."""

    def applied(self, spec: Spec) -> Spec:
        """The spec with the change in it."""
        made = copy.deepcopy(spec)
        for path, value in self.changes:
            _put(made, path, value if value is ABSENT else copy.deepcopy(value))
        return made


class _Absent:
    """Stands for a field that is taken out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


def _put(spec: Any, path: Path, value: Any) -> None:
    for name, after in itertools.pairwise(path):
        if isinstance(spec, list):
            if not spec:
                spec.append({})
            spec = spec[0]
        else:
            spec = spec.setdefault(name, [] if after == 0 else {})
        if not isinstance(spec, dict | list):
            return
    if isinstance(spec, list):
        spec[:1] = [] if value is ABSENT else [value]
    elif value is ABSENT:
        spec.pop(path[-1], None)
    else:
        spec[path[-1]] = value


@dataclass(frozen=True)
class Field:
    """One field of the spec, as the CRD has it."""

    path: Path
    schema: Mapping[str, Any]
    required: bool
    """Whether the object must have it."""

    @property
    def name(self) -> str:
        """The path as people write it: analysis.gates[].min."""
        return "".join("[]" if part == 0 else f".{part}" for part in self.path).removeprefix(".")


def _schema() -> dict[str, Any]:
    crd = yaml.safe_load((ROOT / "crds" / "modelrollouts.yaml").read_text())
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
        "spec"
    ]
    return found


def _walk(schema: Mapping[str, Any], path: Path = (), required: bool = True) -> Iterator[Field]:
    if path:
        yield Field(path, schema, required)
    for name, inner in schema.get("properties", {}).items():
        yield from _walk(inner, (*path, name), name in schema.get("required", ()))
    if "items" in schema:
        yield from _walk(schema["items"], (*path, 0), required=False)


FIELDS = tuple(_walk(_schema()))

# --- what is surely wrong ---

JUNK: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False, min_value=1.5, max_value=2.5),
    "string": st.text(
        st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"),
        max_size=20,
    ),
    "array": st.lists(st.integers(), min_size=1, max_size=2),
    "object": st.just({"surprise": 1}),
}
FITS = {"number": {"number", "integer"}, "int-or-string": {"integer", "string"}}
"""Which junk is of the right type after all."""

_OUTSIDE = {
    "share": st.one_of(
        st.floats(max_value=-1e-6, min_value=-1e9), st.floats(min_value=1.000001, max_value=1e9)
    ),
    "percent": st.one_of(st.integers(-(2**31), 0), st.integers(101, 2**31)),
    "count": st.one_of(st.integers(-(2**31), 0), st.integers(1_000_001, 2**31)),
    "duration": st.sampled_from(
        [
            "",
            "5",
            "s",
            "1d",
            "-1s",
            "1.5h",
            "10 m",
            "1s1m",
            "PT5S",
            "99999999h",
            "8761h",
            "banana",
            "1h\n",
        ]
    ),
    "quantity": st.sampled_from(["much", "-1", "1 Gi", "", "1e", "0x10", "-100m", "1GiB"]),
    "name": st.sampled_from(
        ["", "A", "-a", "a-", "a b", "a_b", "a;b", "a..b", "a.-b", "ä", "a/b", "a\n"]
    ),
}
WRONG: dict[str, st.SearchStrategy[Any]] = {
    "modelUri": st.sampled_from(
        [
            *(
                "",
                "iris",
                "models:/iris",
                "models:/iris/0",
                "models:/iris/latest",
                "models:/iris/-1",
                "models:/iris/1.5",
            ),
            *(
                "file:///etc/passwd",
                "http://iris/1",
                "models:/../iris/1",
                "models:/iris/1/",
                "models:/iris@",
                "models:/iris@1.5",
            ),
            *(
                "models:/iris@latest",
                "models:/iris@LATEST",
                "models:/a /1",
                "models:/a%20b/1",
                "models:/$(HOME)/1",
            ),
            *("runs:/abc/model", "models:/iris/1\n", "models:/" + "a" * 256 + "/1"),
        ]
    ),
    "replicas": st.one_of(st.integers(-(2**31), 0), st.integers(1001, 2**31)),
    "traffic.host": st.sampled_from(
        [
            "",
            "IRIS",
            "iris_1",
            "http://iris",
            "iris.example.com/",
            "iris..com",
            ".com",
            "a;}{",
            "*.example.com",
            "10.0.0.1",
            "a" * 254,
        ]
    ),
    "traffic.path": st.sampled_from(
        [
            "",
            "iris",
            "/a;}",
            "/a b",
            "/a//b",
            "/./a",
            "/a/../b",
            "/a/..",
            "/a/.",
            "/%2f",
            "/ä",
            "/\n",
        ]
    ),
    "traffic.mirrorPercent": _OUTSIDE["percent"],
    "strategy.steps": st.sampled_from(
        [
            [],
            [{"weight": 50}, {"weight": 10}],
            [{"weight": 10}, {"weight": 10}],
            [{"weight": n + 1} for n in range(21)],
            [{}],
        ]
    ),
    "strategy.steps[].weight": _OUTSIDE["percent"],
    "strategy.windows[].schedule": st.sampled_from(
        [
            *("", "daily", "FREQ=SECONDLY", "FREQ=DAILY;BYHOUR=3", "FREQ=DAILY\n", "BYDAY=MO"),
            *("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;INTERVAL=0"),
            "FREQ=MONTHLY;BYDAY=9MO",
        ]
    ),
    "strategy.windows[].start": st.sampled_from(
        ["", "Friday", "2026-11-23", "2026-02-30T12:00", "2026-11-23T12:00Z", "1999-01-01T00:00"]
    ),
    "strategy.windows[].timeZone": st.sampled_from(
        ["", "Mars", "../x", "Europe", "UTC\n", "+01:00"]
    ),
    "strategy.windows[].duration": st.one_of(_OUTSIDE["duration"], st.just("59s")),
    "analysis.interval": st.one_of(
        _OUTSIDE["duration"], st.sampled_from(["0s", "0m", "0h", "0h0m0s", "00s"])
    ),
    "analysis.gates": st.sampled_from(
        [[], [{}], [{"metric": "accuracy"}], [{"metric": "accuracy", "min": 0.7}] * 11]
    ),
    "analysis.gates[].metric": st.sampled_from(["", "f1-score", "F1", "f" * 33, "f1\n"]),
    "analysis.gates[].min": _OUTSIDE["share"],
    "analysis.gates[].max": st.just(0.5),  # beside min, which is there already
    "analysis.gates[].maxDrop": st.just(0.1),
    "analysis.gates[].maxIncrease": st.just(0.1),
    "analysis.gates[].alpha.promote": _OUTSIDE["share"],
    "analysis.gates[].alpha.rollback": _OUTSIDE["share"],
    "analysis.gates[].minSamples": _OUTSIDE["count"],
    "analysis.gates[].maxSamples": _OUTSIDE["count"],
    "analysis.gates[].tolerance": st.floats(min_value=0.7, max_value=1e6),
    "analysis.gates[].minCoverage": _OUTSIDE["share"],
    "analysis.gates[].designEffect": st.floats(min_value=-1e6, max_value=0.999),
    "resources.requests.cpu": st.one_of(_OUTSIDE["quantity"], st.just("2")),  # above its limit
    "resources.requests.memory": st.one_of(_OUTSIDE["quantity"], st.just("1Gi")),
    "resources.limits.cpu": st.one_of(
        _OUTSIDE["quantity"], st.just("10m")
    ),  # below what is requested
    "resources.limits.memory": st.one_of(_OUTSIDE["quantity"], st.just("1Mi")),
}
_BY_ENDING = {
    **dict.fromkeys(
        ("hold", "progressDeadline", "scaleDownDelay", "maxHold", "labelDelay"),
        _OUTSIDE["duration"],
    ),
    **dict.fromkeys(("ingressClassName", "tlsSecret", "sectionName", "name"), _OUTSIDE["name"]),
}


def _kind(schema: Mapping[str, Any]) -> str:
    return "int-or-string" if schema.get("x-kubernetes-int-or-string") else str(schema["type"])


def wrong(field: Field) -> st.SearchStrategy[Mutation]:
    """Changes of one field that must not be taken."""
    kind = _kind(field.schema)
    junk = [
        values
        for name, values in JUNK.items()
        if name not in FITS.get(kind, {kind}) | ({"null"} if not field.required else set())
    ]
    values = list(junk)
    if "enum" in field.schema:
        values.append(st.sampled_from(["", "ingress", "Other", "Rollback ", "accuracy\n"]))
    if (ruled := WRONG.get(field.name, _BY_ENDING.get(str(field.path[-1])))) is not None:
        values += [ruled] * 3
    if "maxLength" in field.schema:
        values.append(st.just("a" * (field.schema["maxLength"] + 1)))
    if field.required and field.path[-1] != 0:
        values.append(st.just(ABSENT))
    changes: st.SearchStrategy[Changes] = st.one_of(values).map(
        lambda value: ((field.path, value),)
    )
    if field.path[:2] == ("traffic", "parentRefs") and len(field.path) > 2:
        changes = changes.map(lambda made: (*ROUTED, *made))
    if field.path[:2] == ("strategy", "windows") and len(field.path) > 3:
        changes = changes.map(lambda made: (*_WINDOWED, *made))
    if kind == "object":
        changes = st.one_of(changes, st.just((((*field.path, "surprise"), 1),)))
    return changes.map(lambda made: Mutation(made, wrong=True))


# --- what may be right ---

_DURATIONS = st.sampled_from(["0s", "1s", "20s", "1m", "1m30s", "2m", "60s"])
_LONG = st.one_of(_DURATIONS, st.sampled_from(["1h", "24h", "100h30m", "8760h", "525600m"]))
_SHARES = st.floats(0, 1).map(lambda x: round(x, 3))
_NAMES = st.from_regex(r"\A[a-z0-9]([-a-z0-9.]{0,8}[a-z0-9])?\Z")
_QUANTITIES = st.one_of(
    st.integers(0, 64),
    st.sampled_from(["10m", "0.1", "1", "250m", "64Mi", "256Mi", "1Gi", "1e3", "100M", "0", "1k"]),
)
ROUTED: Changes = (
    (("traffic", "provider"), "HTTPRoute"),
    (("traffic", "parentRefs"), [{"name": "public"}]),
)
"""Gateway API is not installed where the mutations are tried, so that a route of it cannot be made.
"""
WINDOW = {"schedule": "FREQ=DAILY", "start": "2026-01-01T12:00", "duration": "10m"}
ALLOWED = WINDOW | {"kind": "Allow", "duration": "24h"}
_WINDOWED: Changes = ((("strategy", "windows"), [WINDOW]),)
_LABELLED: Changes = ((("analysis", "gates", 0, "evidence"), "Labelled"),)

LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "modelUri": st.one_of(
        st.sampled_from(
            [f"models:/iris/{n}" for n in (2, 3, 4, 5, 9)]
            + ["models:/iris@champion", "models:/iris@nobody"]
        ),
        st.from_regex(
            MODEL_URI.replace("^", r"\A").replace("$", r"\Z"), alphabet=st.characters(codec="ascii")
        ),
    ),
    "replicas": st.integers(1, 8),
    "traffic.host": st.from_regex(NAME.replace("^", r"\A").replace("$", r"\Z")).map(
        lambda x: x[:80].rstrip("-.")
    ),
    "traffic.path": st.from_regex(PATH.replace("$", r"\Z")),
    "traffic.mirrorPercent": st.integers(1, 100),
    "strategy.steps": st.lists(st.integers(1, 100), min_size=1, max_size=4, unique=True).map(
        lambda weights: [{"weight": w, "hold": "15s"} for w in sorted(weights)]
    ),
    "strategy.steps[].weight": st.integers(1, 49),
    "strategy.windows": st.lists(st.sampled_from([WINDOW, ALLOWED]), min_size=1, max_size=3),
    "strategy.windows[].schedule": st.sampled_from(
        ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=YEARLY;COUNT=3", "FREQ=MONTHLY;BYDAY=-1SU"]
    ),
    "strategy.windows[].start": st.sampled_from(["2026-01-01T12:00", "2030-06-01T00:00:30"]),
    "strategy.windows[].timeZone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    "strategy.windows[].duration": st.sampled_from(["1m", "10m", "1h", "24h", "8760h"]),
    "analysis.interval": st.sampled_from(["5s", "15s", "30s", "1m", "1h", "8760h"]),
    "analysis.gates": st.lists(
        st.sampled_from(
            [
                {"metric": "accuracy", "min": 0.7},
                {"metric": "accuracy", "min": 0.7, "evidence": "Labelled"},
                {"metric": "accuracy", "maxDrop": 0.05},
                {"metric": "accuracy", "maxDrop": 0.05, "evidence": "Labelled"},
                {"metric": "errorRate", "max": 0.05},
                {"metric": "errorRate", "max": 0.05, "evidence": "Labelled"},
                {"metric": "errorRate", "maxIncrease": 0.05, "evidence": "Labelled"},
                {"metric": "latencyP95Seconds", "max": 0.25},
                {"metric": "latencyP95Seconds", "max": 0.25, "evidence": "Labelled"},
                {"metric": "latencyP95Seconds", "maxIncrease": 0.1},
                {"metric": "conversionRate", "min": 0.3},
                {"metric": "conversionRate", "min": 0.3, "evidence": "Labelled"},
                {"metric": "conversionRate", "maxDrop": 0.2, "evidence": "Labelled"},
            ]
        ),
        min_size=1,
        max_size=3,
    ),
    "analysis.gates[].metric": st.sampled_from(
        ["accuracy", "errorRate", "latencyP95Seconds", "conversionRate", "nobodyKnowsIt"]
    ),
    "analysis.gates[].max": st.floats(0, 2),
    "analysis.gates[].maxDrop": st.floats(0, 0.5),
    "analysis.gates[].maxIncrease": st.floats(0, 0.5),
    "analysis.gates[].minSamples": st.integers(1, 1_000_000),
    "analysis.gates[].maxSamples": st.integers(10, 1_000_000),
    "analysis.gates[].designEffect": st.floats(1, 1000),
}
_LIKELY_BY_ENDING: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("hold", "maxHold"), _DURATIONS),
    **dict.fromkeys(("progressDeadline", "scaleDownDelay", "labelDelay"), _LONG),
    **dict.fromkeys(("ingressClassName", "tlsSecret", "sectionName", "name"), _NAMES),
    **dict.fromkeys(("min", "promote", "rollback", "tolerance", "minCoverage"), _SHARES),
    **dict.fromkeys(("cpu", "memory"), _QUANTITIES),
}


def _placed(field: Field, changes: st.SearchStrategy[Changes]) -> st.SearchStrategy[Changes]:
    """The changes with what they need around them."""
    if (
        field.path[0] == "traffic"
        and field.path[1:2] in {("parentRefs",), ("mirrorPercent",)}
        and len(field.path) > 1
    ):
        changes = changes.map(lambda made: (*ROUTED, *made))
    elif field.path[:2] == ("strategy", "windows") and len(field.path) > 3:
        changes = changes.map(lambda made: (*_WINDOWED, *made))
    elif field.path[-1] in {"max", "maxDrop", "maxIncrease"}:
        metric = "accuracy" if field.path[-1] == "maxDrop" else "errorRate"
        bare = {
            "metric": metric,
            "evidence": "Reported"
            if metric == "errorRate" and field.path[-1] == "max"
            else "Labelled",
        }
        changes = changes.map(lambda made: ((("analysis", "gates", 0), bare), *made))
    elif (
        field.path[:2] == ("analysis", "gates")
        and field.path[-1] not in {"metric", "evidence", "min", "gates", 0}
    ) or field.name == "strategy.advanceOn":
        changes = st.one_of(changes, changes.map(lambda made: (*_LABELLED, *made)))
    return changes


def likely(field: Field) -> st.SearchStrategy[Mutation]:
    """Changes of one field that are of its kind; whether they are taken, the API server says."""
    values: list[st.SearchStrategy[Any]] = []
    if (found := LIKELY.get(field.name, _LIKELY_BY_ENDING.get(str(field.path[-1])))) is not None:
        values += [found] * 4
    elif "enum" in field.schema:
        values.append(st.sampled_from(list(field.schema["enum"])))
    elif _kind(field.schema) == "boolean":
        values.append(st.booleans())
    elif "default" in field.schema:
        values.append(st.just(field.schema["default"]))
    if not field.required and field.path[-1] != 0:
        values.append(st.just(ABSENT))
    if not values:
        values.append(st.just({}))
    changes: st.SearchStrategy[Changes] = st.one_of(values).map(
        lambda value: ((field.path, value),)
    )
    return _placed(field, changes).map(Mutation)


ANY = st.sampled_from(FIELDS).flatmap(
    lambda field: st.one_of(likely(field), likely(field), wrong(field))
)
"""A change of any field."""
