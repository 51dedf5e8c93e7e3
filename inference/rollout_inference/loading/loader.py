"""From MODEL_URI to a model that answers: fetch, verify the digest, and only then have a process of
its own read what could run code.
"""

import asyncio
import logging
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rollout_inference.loading import memory
from rollout_inference.loading.baked import baked
from rollout_inference.settings import Settings
from rollout_model import onnx_bundle
from rollout_model.artifact import Artifact, verify
from rollout_model.errors import CannotServe, LoadFailed, first_line, of_the_files
from rollout_model.flavors import ONNX, PYFUNC, SKLEARN
from rollout_model.load_policy import LoadPolicy
from rollout_model.onnx_model import OwnOnnxRuntime
from rollout_model.outcome import BESIDE, IDENTITY, PREDICT, Output, Question, outputs
from rollout_model.parameters import Parameters
from rollout_model.pyfunc import PyfuncRuntime
from rollout_model.runtimes import Runtime, SklearnRuntime, onnx_runtime
from rollout_model.serving_plan import ONNX_FILE, Plan, PrepareReply, PrepareRequest
from rollout_model.signature import Signature
from rollout_model.table_form import likely_form
from rollout_model.training_profile import TrainingProfile

log = logging.getLogger(__name__)
NUMBERS = frozenset({"double", "float"})
"""MLflow's types of predictions that are no classes."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to be asked."""

    runtime: Runtime
    """What predicts: ONNX Runtime, or the library that the model is of."""
    signature: Signature
    """By which rows are checked."""
    plan: Plan
    """How it is served, and why."""
    digest: str
    """The content digest of its folder."""
    example: list[Any]
    """One row that it takes, as JSON has it."""
    accuracy: float | None = None
    """Share of right answers on held-out data, 0 to 1; None where metrics.json has none."""
    absolute_error: float | None = None
    """Mean absolute error on held-out data; None where metrics.json has none."""
    samples: int | None = None
    """Held-out rows behind either; None where metrics.json does not say."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What metrics.json says, by name."""
    answer: Any = None
    """What it says to `example`, a list where it has several outputs; None where it refuses it."""
    offers: Mapping[str, Output] = field(default_factory=dict)
    """What may be asked for beside predictions, by name."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Names of a row's predictions, where there are several, and their places."""
    parameters: Parameters = field(default_factory=Parameters)
    """What requests may give beside rows, by the signature."""
    profile: TrainingProfile | None = None
    """What its training rows and answers were like; None where it does not say."""


async def load(settings: Settings) -> LoadedModel:
    """Fetch, verify, prepare and warm up; raises LoadFailed, and CannotServe where it is for the
    files themselves.
    """
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        try:
            async with asyncio.timeout(settings.load_seconds):
                folder = settings.files or await fetched(settings, scratch)
                with of_the_files():
                    artifact = await asyncio.to_thread(verify, folder, settings.load_policy)
                plan, onnx = await _conversion(artifact, scratch, settings)
        except TimeoutError:
            raise LoadFailed(
                f"The model was not loaded within {settings.load_seconds:g} s."
            ) from None
        with of_the_files():
            return await asyncio.to_thread(_assembled, artifact, plan, onnx, settings.load_policy)


def load_folder(folder: Path, settings: Settings) -> LoadedModel:
    """The same in this process, for a folder; raises LoadFailed."""
    # What it needs takes 150 MiB.
    from rollout_inference.loading.prepare_worker import prepare  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        policy = settings.load_policy
        if (artifact := verify(folder, policy)).flavor.name == PYFUNC:
            return _assembled(artifact, *_code(artifact, policy), policy)
        plan = prepare(folder, Path(scratch), policy)
        return _assembled(artifact, plan, _onnx(artifact, plan, scratch), policy)


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[Process]:
    """A process of this package, which does not outlive the context."""
    command = [sys.executable, "-m", f"rollout_inference.{module}", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def fetched(settings: Settings, scratch: str) -> Path:
    """The folder with the files of the model's URI: the image's own, or fetched by a process that
    ends. Raises LoadFailed.
    """
    if (inside := await asyncio.to_thread(baked, settings)) is not None:
        return inside
    async with child(
        "loading.download_worker", settings.model_uri, f"{scratch}/fetched", str(settings.max_model)
    ) as process:
        said = (await process.communicate())[0].decode(errors="replace").strip()
    if process.returncode != 0:
        raise LoadFailed(said or f"{settings.model_uri} could not be fetched: {ended(process)}")
    return Path(said.splitlines()[-1])


async def _conversion(
    artifact: Artifact, scratch: str, settings: Settings
) -> tuple[Plan, Runtime | None]:
    """The one that the model brings along, where it proves right; else one that is made now, which
    takes seconds.

    What does not fit into the pod's memory is not tried. Raises LoadFailed.
    """
    if artifact.flavor.name == PYFUNC:
        return await asyncio.to_thread(_code, artifact, settings.load_policy)
    limit = memory.limit(settings.cgroups)
    why = _too_large(artifact, limit)
    if not why:
        try:
            plan, onnx = await asyncio.to_thread(onnx_bundle.read, artifact)
            if onnx is None or not artifact.unconverted:
                return plan, onnx
            log.info("the conversion is not served: %s", artifact.unconverted)
        except onnx_bundle.NoBundle as failure:
            log.info("the model is converted here: %s", failure)
        why = _too_large_to_convert(artifact, limit)
    plan = await _made(PrepareRequest(str(artifact.folder), scratch, settings.load_policy, why))
    return plan, await asyncio.to_thread(_onnx, artifact, plan, scratch)


def _code(artifact: Artifact, policy: LoadPolicy) -> tuple[Plan, Runtime]:
    """A process that the model runs in; raises LoadFailed, also where it does not answer its own
    example.
    """
    runtime = PyfuncRuntime(
        policy.python or sys.executable, artifact.folder, artifact.signature, policy.load_seconds
    )
    try:
        if artifact.example:
            runtime.run(artifact.known_rows)
    except Exception as failure:
        runtime.close()
        raise LoadFailed(
            f"The model fails on rows that its signature allows: {first_line(failure)}"
        ) from failure
    kinds = set(artifact.answers.kinds)
    task = "regressor" if kinds and kinds <= NUMBERS else "other"
    return Plan("pyfunc", task, [], reason="not converted: the model is code"), runtime


def _too_large(artifact: Artifact, limit: int | None) -> str:
    """Why the conversion that the model brings is not even read; "" where it may be. Raises
    LoadFailed where scikit-learn cannot serve.
    """
    if limit is None:
        return ""
    converted = artifact.folder / onnx_bundle.FOLDER / ONNX_FILE
    by_sklearn = memory.reading(artifact)
    if not converted.is_file():
        _may_be_read(by_sklearn, limit)
        return ""
    needs = memory.serving(converted)
    if needs.least <= limit:
        return ""
    _may_be_read(by_sklearn, limit)
    return (
        f"its conversion needs about {_mib(needs.usual)} MiB, and the limit is {_mib(limit)} MiB:"
        " raise spec.resources.limits.memory"
    )


def _too_large_to_convert(artifact: Artifact, limit: int | None) -> str:
    """Why no conversion is tried; "" where it may be. Raises LoadFailed where scikit-learn cannot
    serve either.
    """
    if limit is None:
        return ""
    _may_be_read(memory.reading(artifact), limit)
    needed = memory.converting(artifact).usual
    if needed <= limit:
        return ""
    return (
        f"not converted: that needs about {_mib(needed)} MiB, and the limit is {_mib(limit)} MiB:"
        " raise spec.resources.limits.memory"
    )


def _may_be_read(needs: memory.Need, limit: int) -> None:
    if needs.least > limit:
        raise CannotServe(
            f"The model needs about {_mib(needs.usual)} MiB, and the limit is {_mib(limit)} MiB:"
            " raise spec.resources.limits.memory."
        )


def _mib(size: int) -> int:
    return size // memory.MIB


async def _made(request: PrepareRequest) -> Plan:
    """A plan by a process that converts; where that may not be or dies, by one that only reads the
    model. Raises LoadFailed.
    """
    if not request.unconverted:
        try:
            return await _prepared(request)
        except _Died as died:
            request = msgspec.structs.replace(request, unconverted=f"not converted: {died}")
    log.warning("ONNX Runtime is not to serve: %s", request.unconverted)
    try:
        return await _prepared(request)
    except _Died as died:
        raise LoadFailed(f"The model could not be read: {died}") from died


class _Died(Exception):
    """A process ended without an answer, and how."""


async def _prepared(request: PrepareRequest) -> Plan:
    """Raises _Died, and LoadFailed where the model itself is what is wrong."""
    async with child("loading.prepare_worker") as process:
        said, _ = await process.communicate(msgspec.json.encode(request) + b"\n")
    if not said:
        raise _Died(ended(process))
    reply = msgspec.json.decode(said, type=PrepareReply)
    if reply.plan is None:
        raise (CannotServe if reply.lasting else LoadFailed)(reply.refused)
    return reply.plan


def ended(process: Process) -> str:
    """How a process ended that gave no answer, in words."""
    if (code := process.returncode or 0) < 0:
        return (
            f"the process that did it was ended by signal {-code}; with 9, the pod's memory limit"
            " was too low."
        )
    return f"the process that did it ended with exit code {code}; the pod's log has the reason."


def _onnx(artifact: Artifact, plan: Plan, scratch: str) -> Runtime | None:
    """What serves the ONNX file that was put there: a conversion, or the model itself; None where
    there is none.
    """
    path = Path(scratch) / ONNX_FILE
    if artifact.flavor.name == ONNX:
        return OwnOnnxRuntime(path.read_bytes(), artifact.signature)
    if plan.onnx_input is None:
        return None
    return onnx_runtime(path.read_bytes(), plan.onnx_input)


def _assembled(
    artifact: Artifact, plan: Plan, onnx: Runtime | None, policy: LoadPolicy
) -> LoadedModel:
    runtime: Runtime = _original(artifact, policy) if onnx is None else onnx
    example = (artifact.example or [artifact.signature.blank])[0]
    signature = _closed(artifact.signature, runtime, example)
    model = LoadedModel(
        runtime,
        signature,
        plan,
        artifact.digest,
        example,
        accuracy=artifact.accuracy,
        absolute_error=artifact.absolute_error,
        samples=artifact.samples,
        metrics=artifact.metrics,
        parameters=artifact.parameters,
        profile=artifact.profile,
    )
    model = replace(model, answer=warm_up(model))
    parts = _parts(model, artifact.answers.names)
    offers = _offers(model, tuple(parts))
    return replace(model, offers=offers, parts=parts)


def _parts(model: LoadedModel, names: tuple[str, ...]) -> dict[str, int]:
    several = isinstance(model.answer, list) and len(model.answer) == len(names) > 1
    taken = {PREDICT, IDENTITY, *BESIDE}
    return {name: n for n, name in enumerate(names) if name not in taken} if several else {}


def _offers(model: LoadedModel, names: tuple[str, ...]) -> dict[str, Output]:
    """What the model says to its example beside its prediction; what it cannot is not offered.

    Where it refuses the example, as it may where that is made up, there is no list of numbers for
    each prediction to be known.
    """
    classes = model.plan.classes
    if model.answer is None:
        return {name: Output(name, name, (-1,), tuple(classes)) for name in model.runtime.also}
    known = model.signature.known([model.example])
    said: dict[str, Any] = {}
    for name in model.runtime.also:
        try:
            said |= model.runtime.run(known, Question(frozenset({name}))).more
        except Exception as failure:  # it has the method, and fails in it
            log.info("%s is no output of it: %s", name, first_line(failure))
    return outputs(said, classes or _classes_of_parts(model.runtime), names)


def _classes_of_parts(runtime: Runtime) -> list[list[Any]]:
    """The labels of each of a row's predictions; empty where they are not known."""
    if not isinstance(runtime, SklearnRuntime):
        return []
    found = getattr(runtime.estimator, "classes_", None)
    return [np.asarray(one).tolist() for one in found] if isinstance(found, list) else []


def _original(artifact: Artifact, policy: LoadPolicy) -> SklearnRuntime:
    """The model itself, by scikit-learn or the library that it is of; raises LoadFailed."""
    # Scikit-learn is imported where it serves, and only there.
    from rollout_model import estimator  # noqa: PLC0415

    return by_itself(estimator.load(artifact, policy), artifact)


def by_itself(model: Any, artifact: Artifact) -> SklearnRuntime:
    """What serves the estimator of a model."""
    signature = artifact.signature
    form = likely_form(model, signature, artifact.method, artifact.known_rows)
    if boosted := artifact.flavor.name != SKLEARN:
        signature = replace(signature, named=False)  # arrays are what those are quick with
    return SklearnRuntime(
        model,
        signature,
        method=artifact.method,
        form=form,
        name=artifact.flavor.name,
        inline=boosted,
    )


def _closed(signature: Signature, runtime: Runtime, example: list[Any]) -> Signature:
    """The signature, with those columns as closed where the model refuses a missing value in the
    example row, alone or beside a whole one.
    """

    def refuses(column: int) -> bool:
        row = list(example)
        row[column] = None
        try:
            runtime.run(signature.known([row]))
            runtime.run(signature.known([example, row]))
        # whatever a model's own step says: closed, clients get a sentence, and otherwise a failure
        except Exception as failure:
            log.info("%s cannot be missing: %s", signature.names[column], first_line(failure))
            return True
        return False

    return signature.closing(tuple(filter(refuses, signature.doubtful)))


def warm_up(model: LoadedModel) -> Any:
    """A few predictions, so that the first request is as fast as the next: what the model says to
    its example. Raises LoadFailed where it cannot even do that.

    What scikit-learn refuses, as it may a row of zeros where the model brings no example, is no
    reason not to serve.
    """
    said = None
    try:
        for _ in range(3):
            said = model.runtime.run(model.signature.known([model.example])).labels[0]
    except ValueError as failure:
        log.warning(
            "the model was not warmed up, it refuses %s: %s", model.example, first_line(failure)
        )
    except Exception as failure:
        raise LoadFailed(
            f"The model fails on a row that its signature allows, {model.example}:"
            f" {first_line(failure)}"
        ) from failure
    return said
