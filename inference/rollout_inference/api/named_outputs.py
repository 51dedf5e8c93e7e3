"""What requests ask and give beside rows, alike in every protocol: outputs by name, which ones a
model has and what a request for them gets; and MLflow's parameters.
"""

from collections.abc import Sequence
from typing import Any

from rollout_inference.loading.loader import LoadedModel
from rollout_model.errors import BadInput
from rollout_model.outcome import IDENTITY, PLAIN, PREDICT, Outcome, Question


def offered(model: LoadedModel) -> list[str]:
    """Names that may be asked for: predictions, their ids, what the model has beside them, and each
    of a row's predictions where the signature names them.
    """
    return [PREDICT, IDENTITY, *model.offers, *model.parts]


def question(model: LoadedModel, names: Sequence[str], params: object = None) -> Question:
    """What the model is asked for the outputs, with the parameters of a request, or their defaults.
    Raises BadInput where it has one of the outputs not, or a parameter is none.
    """
    given = model.parameters.checked(params) if model.parameters.known else {}
    if not names and not given:
        return PLAIN
    there = offered(model)
    if unknown := [name for name in names if name not in there]:
        raise BadInput(f"there is no output {unknown[0]!r}: ask for {', '.join(there)}")
    also = {model.offers[name].method for name in names if name in model.offers}
    return Question(frozenset(also), given if model.runtime.takes_params else {})


def names_of(model: LoadedModel, asked: object) -> tuple[str, ...]:
    """The names of a request's `outputs`; raises BadInput where they are no list of names."""
    if asked is None:
        return ()
    if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
        raise BadInput(f'"outputs" must be a list of names: {", ".join(offered(model))}')
    return tuple(asked)


def value(model: LoadedModel, name: str, outcome: Outcome, ids: list[str]) -> Any:
    """An output's values: an array of numbers, or a list."""
    if (output := model.offers.get(name)) is not None:
        return output.of(outcome)
    if name in (PREDICT, IDENTITY):
        return outcome.labels if name == PREDICT else ids
    column = model.parts[name]
    return [row[column] for row in outcome.labels]


def by_name(
    model: LoadedModel, names: Sequence[str], outcome: Outcome, ids: list[str]
) -> dict[str, Any]:
    """What an answer in JSON has beside its predictions: `outputs`, and the labels in the order of
    their numbers as `classes`. Empty where nothing was asked for.
    """
    if not names:
        return {}
    values = {name: value(model, name, outcome, ids) for name in names}
    listed = {n: one if isinstance(one, list) else one.tolist() for n, one in values.items()}
    ordered = {n: model.offers[n].classes for n in names if n in model.offers}
    return {"outputs": listed, "classes": {n: one for n, one in ordered.items() if one}}
