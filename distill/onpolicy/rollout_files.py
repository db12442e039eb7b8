"""Files for trainers that have an environment of their own: prompts, a reward module, and how to start."""

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...errors import EmptySplitError
from ...tools.whole_files import new_folder
from ..log.splits import Split
from ..log.training_set import TrainingSet
from ..rewards.by_name import read_options
from .prompts import columns_of
from .settings import OnPolicySettings

MODULE = "limner_rewards.py"
"""The reward module's file name."""

README = "README.md"
_SPLITS: tuple[Split, ...] = ("train", "validation")


class RolloutFiles(NamedTuple):
    """What was written."""

    folder: Path
    """Where."""

    prompts: dict[str, int]
    """Rows by split."""


def write_rollout_files(
    training: TrainingSet, out: Path, settings: OnPolicySettings, *, store: Path
) -> RolloutFiles:
    """Write prompts as Parquet in the forms of verl and OpenRLHF, a reward module, and the command lines.

    The folder appears when it is complete.

    Args:
        training: The prompts; those of revision rounds are left out unless `settings.revisions`.
        out: Folder to write; must be new or empty.
        settings: Rewards, and the numbers of the command lines.
        store: Folder of the store that the prompts come from, named in the module.

    Raises:
        InputError: `out` is there and not empty.
        SettingsError: A reward or one of its options is unknown.
        EmptySplitError: There is no prompt to train on.
    """
    for name in settings.rewards:
        read_options(name, settings.reward_options.get(name, {}))
    counts: dict[str, int] = {}
    with new_folder(out) as folder:
        for split in _SPLITS:
            rows = [
                _row(columns_of(row), split, place)
                for place, row in enumerate(training.prompts(split))
                if row.round == 0 or settings.revisions
            ]
            counts[split] = len(rows)
            _write_table(folder / f"{split}.parquet", rows)
        if not counts["train"]:
            raise EmptySplitError(0, {})
        (folder / MODULE).write_text(_module(settings, store.resolve()), encoding="utf-8")
        (folder / README).write_text(_readme(settings, counts), encoding="utf-8")
    return RolloutFiles(out, counts)


def _row(columns: dict[str, Any], split: str, place: int) -> dict[str, Any]:
    """Return a prompt as both programs read it: verl hands on `extra_info`, OpenRLHF `label`."""
    return {
        "data_source": "limner",
        "prompt": columns["prompt"],
        "ability": "profile",
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {**columns, "split": split, "index": place},
        "label": json.dumps(columns, sort_keys=True),
    }


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(rows, schema=_schema(arrow)), path, compression="zstd")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _schema(arrow: Any) -> Any:
    """Return the columns, so that a split without prompts has them too."""
    text, number = arrow.string(), arrow.int64()
    messages = arrow.list_(arrow.struct({"role": text, "content": text}))
    info = {
        "user_id": text,
        "prompt": messages,
        "as_of": text,
        "held": arrow.list_(text),
        "neg_seed": number,
        "prompt_id": text,
        "split": text,
        "index": number,
    }
    return arrow.schema(
        {
            "data_source": text,
            "prompt": messages,
            "ability": text,
            "reward_model": arrow.struct({"style": text, "ground_truth": text}),
            "extra_info": arrow.struct(info),
            "label": text,
        }
    )


def _module(settings: OnPolicySettings, store: Path) -> str:
    values = {
        "store": repr(str(store)),
        "weights": repr(settings.rewards),
        "options": repr(settings.reward_options),
    }
    return _fill("rewards_module.py.jinja", values)


def _readme(settings: OnPolicySettings, counts: Mapping[str, int]) -> str:
    values = {
        **counts,
        "rewards": ", ".join(f"`{name}` x {weight:g}" for name, weight in settings.rewards.items()),
        "tokens": settings.max_new_tokens,
        "generations": settings.generations,
        "temperature": settings.temperature,
        "kl": settings.kl,
    }
    return _fill("rollout_files.md.jinja", values)


def _fill(name: str, values: Mapping[str, Any]) -> str:
    loader = FileSystemLoader(Path(__file__).parent)
    # Neither a Python module nor Markdown is HTML.
    environment = Environment(
        loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.get_template(name).render(values)
