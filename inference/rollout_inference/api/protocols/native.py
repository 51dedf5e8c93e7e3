"""/predict/: rows in, predictions out, and who made them."""

import msgspec

from rollout_inference.api.endpoint import Call, Question, Reply, Speaks, decoded
from rollout_model.errors import BadInput
from rollout_model.runtimes import Outcome
from rollout_model.signature import Rows


class _Instances(msgspec.Struct):
    instances: list[list[float]]


_QUICK = msgspec.json.Decoder(_Instances)


class Native(Speaks):
    """Our own protocol; a mistake in the rows is 422, in the JSON 400."""

    def read(self, call: Call) -> Question:
        """`{"predictions": [...], "prediction_ids": [...], "model": ..., "version": ...,
        "revision": ...}`.
        """
        settings = call.state.settings

        def write(outcome: Outcome, ids: list[str]) -> Reply:
            said = {
                "predictions": outcome.labels,
                "prediction_ids": ids,
                "model": settings.name,
                "version": settings.version,
                "revision": settings.model_revision,
            }
            return Reply(msgspec.json.encode(said), rows=len(ids))

        return Question(self.rows(call), write)

    def rows(self, call: Call) -> Rows:
        """The rows of a body; raises Refused. What is right is read in one go, what is not a second
        time, to say what is wrong.
        """
        signature, most = call.model.signature, call.state.settings.max_rows
        try:
            quick = signature.matrix(_QUICK.decode(call.body).instances, most)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            quick = None
        if quick is not None:
            return quick
        asked = decoded(call.body)
        if not isinstance(asked, dict) or "instances" not in asked:
            raise BadInput('send a JSON object {"instances": [row, ...]}')
        return signature.rows(asked["instances"], most)
