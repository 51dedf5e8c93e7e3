"""MLflow's parameters of a model: what its signature says of them, and whether a request has them
so.

Source of the rules: mlflow.models.utils._enforce_params_schema and
mlflow.types.schema.ParamSpec.validate_type_and_shape, 3.17.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollout_model.errors import BadInput

OBJECT, DATETIME = "object", "datetime"
_SAID = {
    "boolean": "true or false",
    "integer": "a whole number",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "string": "text",
    DATETIME: "a date such as 2026-11-29 or 2026-11-29T12:00:00",
    OBJECT: "an object",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "string": (str,),
    OBJECT: (dict,),
}
"""Of JSON's values, those that MLflow takes without loss."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the signature."""

    name: str
    """By which requests give it."""
    kind: str
    """MLflow's type: of its values where it is a list."""
    default: Any
    """Where a request does not give it, as JSON has it."""
    several: bool = False
    """Whether it is a list of any length (shape (-1,))."""

    def checked(self, value: Any) -> Any:
        """The value as MLflow hands it to the model; raises BadInput. Null stays null."""
        if not self.several:
            return self._one(value)
        if not isinstance(value, list):
            raise BadInput(f"the parameter {self.name!r} must be a list: of {_SAID[self.kind]}")
        return [self._one(one) for one in value]

    def _one(self, value: Any) -> Any:
        if value is None:
            return None
        if self.kind == DATETIME:
            return self._date(value)
        if type(value) not in _TYPES[self.kind]:
            raise self._wrong(value)
        return float(value) if self.kind in {"float", "double"} else value

    def _date(self, value: Any) -> Any:
        try:
            found = np.datetime64(value).item() if isinstance(value, str) else None
        except ValueError:
            found = None
        if found is None or isinstance(found, int):
            raise self._wrong(value)
        return found

    def _wrong(self, value: Any) -> BadInput:
        return BadInput(
            f"the parameter {self.name!r} must be {_SAID[self.kind]}, not {value!r:.60}"
        )


@dataclass(frozen=True, slots=True)
class Parameters:
    """All parameters of a signature."""

    known: tuple[Parameter, ...] = ()
    """In the order of the signature; empty where it has none."""

    @property
    def names(self) -> frozenset[str]:
        """Of those that a request may give."""
        return frozenset(one.name for one in self.known)

    def checked(self, params: object) -> dict[str, Any]:
        """What the model is given: each parameter, by default where it is absent. Those that the
        signature does not name are left out, as by MLflow. Raises BadInput.
        """
        if not self.known:
            return {}
        given: Any = {} if params is None else params
        if not isinstance(given, Mapping):
            raise BadInput(f'"params" must be an object, not {type(given).__name__}')
        return {one.name: one.checked(given.get(one.name, one.default)) for one in self.known}


def parameters_of(signature: object) -> Parameters:
    """From the signature of an MLmodel file; raises ValueError where MLflow could not read it
    either.
    """
    said: Any = signature.get("params") if isinstance(signature, Mapping) else None
    return Parameters(tuple(_parameter(one) for one in json.loads(said))) if said else Parameters()


def _parameter(said: Any) -> Parameter:
    if not isinstance(said, dict) or not {"name", "default"} <= said.keys():
        raise ValueError(f"the signature has a parameter without name or default: {said!r:.100}")
    kind, shape = said.get("type", said.get("dtype")), said.get("shape")
    if kind not in _SAID or shape not in (None, [-1]):
        raise ValueError(
            f"the signature's parameter {said['name']!r} is of type {kind!r} and shape {shape!r},"
            " which MLflow does not have"
        )
    found = Parameter(str(said["name"]), kind, said["default"], several=shape is not None)
    try:
        found.checked(found.default)
    except BadInput as failure:
        raise ValueError(f"the signature's default is none: {failure}") from failure
    return found
