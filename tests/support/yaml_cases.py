"""What kubectl makes of YAML, and metadata that the API server takes or refuses."""

from typing import Any

from tests.support.kinds import GROUP
from tests.support.spec_cases import MINIMAL

NONE = object()
"""What kubectl refuses."""


_TRUE = ("yes", "Yes", "YES", "y", "Y", "on", "On", "ON", "true", "True", "TRUE")
_FALSE = ("no", "No", "NO", "n", "N", "off", "Off", "OFF", "false", "False", "FALSE")
_WORDS = "yEs tRue nUll inf nan .iNf .nAn Infinity = << -- . +a e1 .e3"
_NEARLY_NUMBERS = "1:20 190:20:30 1:20.5 1,000 1.2.3 100m 1Gi 10% 1s"
_DATES = "2026-11-25 2026-11-25T10:00:00Z 2026-1-2 1-2 a:b a#b"
SCALARS: dict[str, Any] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(("~", "null", "Null", "NULL", ""), None),
    **{word: word for word in _WORDS.split()},
    **dict.fromkeys((".inf", ".Inf", "+.INF", "-.inf", ".nan", ".NaN"), NONE),
    "0": 0, "-0": 0, "+1": 1, "00": 0, "1_000": 1000, "1_": 1, "_1": "_1", "+_1": 1,
    "017": 15, "-017": -15, "0_7": 7, "08": 8, "018": 18, "0o14": 12, "-0O14": -12, "0o8": "0o8",
    "0x1F": 31, "-0X1f": -31, "0x_1": 1, "0x": "0x", "0b101": 5, "-0B11": -3, "0b2": "0b2",
    "1e-2": 0.01, "1E-2": 0.01, "-1e-2": -0.01, "1e2": 100, "+1e+2": 100,
    "1.5e3": 1500, "1.e3": 1000, "0e0": 0,
    "1e": "1e", "1e+": "1e+", "1e400": "1e400", "1e-400": 0, "1e21": 1e21, "0x1p-2": "0x1p-2",
    ".5": 0.5, "-.5": -0.5, ".5e1": 5, ".5_0": 0.5, "5.": 5, "1_0.5": 10.5,
    "1.0": 1, "-0.0": 0, "0.70": 0.7,
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    "9223372036854775808": 2.0**63,
    "123456789012345678901": 1.2345678901234568e20,
    **{word: word for word in _NEARLY_NUMBERS.split()},
    **{word: word for word in _DATES.split()},
    "!!str 1": "1", "!!str yes": "yes", '!!int "1"': 1, '!!float "1"': 1, '!!bool "yes"': True,
    '!!null ""': None, "!x 12": "12",
    "!!binary aGFsbG8=": "hallo", "!!int 1.5": NONE, "!!timestamp 2026-11-25": "2026-11-25",
    '"1e-2"': "1e-2", "'yes'": "yes", "|\n    1": "1\n", "a # c": "a", "a\tb": "a\tb",
    "&x 1": 1, "*y": NONE, "@x": NONE, "- a": NONE,
    "{yes: 1}": {"true": 1}, "{017: 1}": {"15": 1}, "{0.5: 1}": {"0.5": 1},
    "{2026-11-25: 1}": {"2026-11-25": 1}, "{a:1}": {"a:1": None},
    "{null: 1}": NONE, "{[a]: 1}": NONE, "{a: 1,}": {"a": 1}, '{\n\t"a": 1}': {"a": 1},
    "{<<: {a: 1, b: 1}, b: 2}": {"a": 1, "b": 2}, "{b: 2, <<: {b: 1}}": {"b": 1},
    "{<<: [{a: 1}, {a: 2, c: 3}]}": {"a": 1, "c": 3},
    "{<<: 1}": NONE, '{"<<": 1}': {"<<": 1}, "&x {a: *x}": NONE,
}  # fmt: skip


def written(scalar: str) -> str:
    """A manifest in which it stands as spec.v."""
    return f"apiVersion: v1\nkind: Any\nmetadata: {{name: iris}}\nspec:\n  v: {scalar}\n"


def same(found: Any, expected: Any) -> bool:
    """Equal, and of one kind: a truth is no number, and JSON has but one kind of numbers."""
    return bool(found == expected) and isinstance(found, bool) == isinstance(expected, bool)


ONE = "apiVersion: v1\nkind: Any\nmetadata: {name: %s}\n"


TEXTS: dict[str, tuple[str, list[str]]] = {
    "two documents": (ONE % "a" + "---\n" + ONE % "b", ["a", "b"]),
    "empty documents": ("---\n---\n" + ONE % "a" + "---\n# nothing\n", ["a"]),
    "an end of a document": (ONE % "a" + "...\n", ["a"]),
    "a byte-order mark": ("\ufeff" + ONE % "a", ["a"]),
    "lines as on Windows": ((ONE % "a").replace("\n", "\r\n"), ["a"]),
    "JSON": ('{"apiVersion": "v1", "kind": "Any", "metadata": {"name": "a"}}', ["a"]),
    "JSON with tabs": (
        '{\n\t"apiVersion": "v1",\n\t"kind": "Any",\n\t"metadata": {"name": "a"}}',
        ["a"],
    ),
    "JSON with letters beyond the first plane": (
        (
            r'{"apiVersion": "v1", "kind": "Any", "metadata": {"name": "a", "annotations": {"x":'
            r' "\ud83d\ude00 \\ud83d"}}}'
        ),
        ["a"],
    ),
    "a list": (
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Any, metadata: {name: a}}\n",
        ["a"],
    ),
    "a list of a kind": (
        (
            "apiVersion: v1\nkind: AnyList\nitems: [{apiVersion: v1, kind: Any, metadata: {name:"
            " a}}]\n"
        ),
        ["a"],
    ),
    "an empty list": ("apiVersion: v1\nkind: List\nitems: []\n", []),
}


METADATA: dict[str, tuple[dict[str, Any], str]] = {
    "an annotation that is a number": (
        {"annotations": {"rollouts.mlops.dev/retry": 3}},
        "must be of type string: write it in quotes",
    ),
    "an annotation that is a truth": (
        {"annotations": {"a": True}},
        "must be of type string: write it in quotes",
    ),
    "a label that is a truth": (
        {"labels": {"canary": True}},
        "must be of type string: write it in quotes",
    ),
    "labels as a list": ({"labels": ["a"]}, "must be of type object"),
    "a name that is a number": ({"name": 7}, "must be of type string: write it in quotes"),
    "a label with a blank": (
        {"labels": {"a": "b c"}},
        "beginning and ending with a letter or digit",
    ),
    "a label that is too long": ({"labels": {"a": "b" * 64}}, "63 characters at most"),
    "a key with a blank": ({"annotations": {"a b": "c"}}, "such as example.com/name"),
    "a key without a name": ({"labels": {"example.com/": "c"}}, "such as example.com/name"),
    "a key with two slashes": (
        {"annotations": {"a/b/c": "d"}},
        "write a domain such as example.com",
    ),
    "a label's key of another domain": (
        {"labels": {"Example.com/a": "d"}},
        "write a domain such as example.com",
    ),
    "annotations that are too long": (
        {"annotations": {"a": "b" * 300_000}},
        "may not be more than 262144 bytes",
    ),
    "an unknown field": ({"lables": {"a": "b"}}, 'unknown field "metadata.lables"'),
    "a finalizer that is a number": (
        {"finalizers": [1]},
        "must be of type string: write it in quotes",
    ),
    "neither name": ({"name": None}, "metadata.name: Required value"),
    "a generated name that begins with a digit": (
        {"name": None, "generateName": "1iris-"},
        "metadata.name names a Service",
    ),
}


GOOD_METADATA: dict[str, dict[str, Any]] = {
    "text": {
        "annotations": {"rollouts.mlops.dev/retry": "3", "a": "any text: öß\n"},
        "labels": {"a": "", "b": "1_2.c-d"},
    },
    "nulls": {"annotations": None, "labels": {"a": None}, "finalizers": None},
    "a domain in capitals": {"annotations": {"Example.com/a": "b"}},
    "a finalizer": {"finalizers": ["example.com/mine"]},
    "a generated name": {"name": None, "generateName": "iris-"},
}


def about(metadata: dict[str, Any]) -> dict[str, Any]:
    """A good ModelRollout with this metadata."""
    meta = {
        key: value
        for key, value in {"name": "iris", "namespace": "default", **metadata}.items()
        if (key, value) != ("name", None)
    }
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ModelRollout",
        "metadata": meta,
        "spec": MINIMAL,
    }
