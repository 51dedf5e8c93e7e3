"""Birds (samples.py) as a split to train on: text, truth values, dates and gaps."""

import yaml

from rollout_trainer.checks import examine
from rollout_trainer.contract import Contract
from rollout_trainer.data import Split, split_of
from rollout_trainer.draft import draft
from rollout_trainer.splitting import SplitBy
from tests.unit.trainer.samples import birds


def bird_split(label: str = "kind", by: SplitBy | None = None, *, gaps: bool = True) -> Split:
    """The split of 240 birds for this label; `observer`, and `seen` where rows are split by it,
    are metadata.
    """
    table = birds() if gaps else birds().ffill().bfill()
    aside = ["observer", *(["seen"] if by and by.time else [])]
    contract = Contract.model_validate(
        yaml.safe_load(draft(table, label, metadata=aside).text) | {"max_duplicates": 1}
    )
    clean = examine(table, contract).clean
    assert clean is not None
    return split_of(clean, contract, by)
