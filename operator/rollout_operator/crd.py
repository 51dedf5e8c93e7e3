"""The CustomResourceDefinition, made from the pydantic models: structural schema, defaults, CEL
rules, columns.
"""

import json
from typing import Any

import yaml

from rollout_operator.domain.api.names import GROUP, KIND, PLURAL, VERSION
from rollout_operator.domain.api.spec import NAME_RULES, Spec
from rollout_operator.domain.api.status import Status

Schema = dict[str, Any]

COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Stable", "string", ".status.stable.uri", 0),
    ("Candidate", "string", ".status.candidate.uri", 0),
    ("Weight", "integer", ".status.weight", 0),
    ("Accuracy", "number", '.status.gates[?(@.metric=="accuracy")].value', 0),
    ("Threshold", "number", '.status.gates[?(@.metric=="accuracy")].threshold', 1),
    ("Samples", "integer", '.status.gates[?(@.metric=="accuracy")].samples', 1),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
"""What `kubectl scale`, a HorizontalPodAutoscaler and KEDA read and write."""
_KEPT = frozenset(
    {
        "description",
        "enum",
        "default",
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "maxProperties",
        "type",
        "format",
    }
)


def structural(schema: Schema, definitions: Schema) -> Schema:
    """Turn pydantic's JSON schema into a structural one: references inlined, null alternatives and
    titles dropped.
    """
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    if "allOf" in schema:
        schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
        return structural(schema, definitions)
    if "anyOf" in schema and "x-kubernetes-int-or-string" not in schema:
        (real,) = (s for s in schema["anyOf"] if s.get("type") != "null")
        outer = {
            k: v for k, v in schema.items() if k != "anyOf" and not (k == "default" and v is None)
        }
        return structural({**real, **outer}, definitions)
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]], "type": "string"}
    result = {k: v for k, v in schema.items() if k in _KEPT or k.startswith("x-kubernetes-")}
    if "default" in result:
        result["default"] = _without_none(result["default"])
        if result["default"] in ([], {}):
            del result[
                "default"
            ]  # left out means none; written into every object it would only be noise
    return {**result, **_parts(schema, definitions)}


def _parts(schema: Schema, definitions: Schema) -> Schema:
    """The schemas of what an object, a map or a list holds, structural as well."""
    result: Schema = {}
    if "properties" in schema:
        result["properties"] = {
            name: structural(p, definitions) for name, p in schema["properties"].items()
        }
        if required := schema.get("required"):
            result["required"] = required
    if isinstance(values := schema.get("additionalProperties"), dict):
        result["additionalProperties"] = structural(values, definitions)
    if "items" in schema:
        result["items"] = structural(schema["items"], definitions)
    return result


def without_rules(schema: Any) -> Any:
    """The schema without CEL rules: what the operator itself writes is not checked word by word at
    every write.
    """
    if isinstance(schema, dict):
        return {k: without_rules(v) for k, v in schema.items() if k != "x-kubernetes-validations"}
    return [without_rules(v) for v in schema] if isinstance(schema, list) else schema


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def without_defaults_in_lists(schema: Schema, inside: bool = False) -> Schema:
    """The schema without defaults of fields of a list's items: they are said in words, and the
    operator knows them.

    A list is applied as a whole. A default that the API server writes into an item makes another
    list of it than the one that was applied, which Argo CD's diff by structured merge calls out of
    sync for ever.
    """
    result = {key: value for key, value in schema.items() if not (inside and key == "default")}
    if inside and "default" in schema:
        left_out = (
            yaml.safe_dump(schema["default"], default_flow_style=True, width=1000)
            .removesuffix("...\n")
            .strip()
        )
        result["description"] = (
            f"{schema.get('description', '')} {left_out} where it is left out.".strip()
        )
    if "properties" in schema:
        result["properties"] = {
            name: without_defaults_in_lists(one, inside)
            for name, one in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = without_defaults_in_lists(schema["items"], inside=True)
    return result


def schema_of(model: type[Spec] | type[Status]) -> Schema:
    """The structural schema of one of the two top-level models, defaults included."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return structural(raw, raw.get("$defs", {}))


def crd() -> Schema:
    """The whole CustomResourceDefinition as plain data."""
    status: Schema = without_rules(schema_of(Status))
    # kstatus calls an object without status "Current"; this default makes a new one "InProgress"
    # until the operator has seen it.
    status["default"] = {"observedGeneration": -1}
    for field in status["properties"].values():
        field.pop("default", None)
    # Nobody writes parts of it: who owns each of its hundred fields would be a third of the object.
    status["x-kubernetes-map-type"] = "atomic"
    status["properties"]["conditions"] |= {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "plural": PLURAL,
                "singular": "modelrollout",
                "shortNames": ["mro"],
                "categories": ["mlops"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}, "scale": SCALE},
                    "selectableFields": [{"jsonPath": ".spec.modelUri"}],
                    "additionalPrinterColumns": [
                        {
                            "name": name,
                            "type": kind,
                            "jsonPath": path,
                            **({"priority": priority} if priority else {}),
                        }
                        for name, kind, path, priority in COLUMNS
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": (
                                "One model in production: which version is asked for, and how it is"
                                " tried."
                            ),
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": without_defaults_in_lists(schema_of(Spec)),
                                "status": status,
                            },
                            "x-kubernetes-validations": NAME_RULES,
                        }
                    },
                }
            ],
        },
    }


def crd_yaml() -> str:
    """The CustomResourceDefinition as YAML, with a line that says where it comes from."""
    plain = json.loads(
        json.dumps(crd())
    )  # shared parts are written out: YAML anchors are hard to read
    return (
        "# Generated by `make crd` from operator/rollout_operator/domain; do not edit.\n"
        + yaml.safe_dump(plain, sort_keys=False, width=120)
    )
