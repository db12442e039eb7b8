"""What a comparison of two profilers says: the plan, declared before anything is drawn, and the figures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from ...errors import InputError, UnknownFormatError
from ...records import Moment, Record
from ...tools.checksums import sha256_of
from ...tools.statistics import Values
from ...tools.whole_files import write_whole

PLAN = "plan.json"
USERS = "users.json"
EVALUATION = "evaluation.json"
"""Written last: a folder with one is complete."""

TABLE = "evaluation.md"
COMPLETIONS = "completions.jsonl"

LOWER_IS_BETTER = frozenset(
    {"critic/length", "critic/boiler", "critic/leak", "meaning/malformed", "meaning/log_loss"}
)
NEITHER = frozenset({"meaning/words"})
"""Longer or shorter is neither better nor worse by itself."""


class Plan(Record):
    """What is compared, and by what it will be judged."""

    candidate: str
    """As typed."""

    baseline: str
    """As typed."""

    candidate_identity: str
    """With the revision of its weights."""

    baseline_identity: str
    """With the revision of its weights."""

    primary: str
    """The number that decides, declared before anything is drawn."""

    data_sha256: str
    """Of the training set's manifest."""

    split: Literal["validation", "test"]
    """Whose users; none of them trained the candidate."""

    users: int | None
    """Most users; absent for all."""

    drafts: int
    """Portraits a user by each profiler."""

    seed: int
    """Decides users, draws and resamples."""

    temperature: float
    """Of sampling, for both."""

    guided: bool
    """Whether answers were held to the form's schema, for both."""

    critic_version: str
    """Encoder and settings of the critic."""

    critic_encoder: str
    """Its encoder."""

    held_out: str | None
    """The encoder that judges besides; absent for none."""

    base: str | None = None
    """The base model whose surprise is measured; absent to leave it out."""


class Compared(Record):
    """One number of both profilers on the same users."""

    metric: str
    """Its name."""

    better: Literal["higher", "lower", "neither"]
    """Which way is up."""

    candidate: float
    """Mean over users."""

    baseline: float
    """Mean over users."""

    difference: float
    """Candidate less baseline."""

    low: float
    high: float
    """Bootstrap 95 % interval of the difference, by user."""

    p_value: float
    """Of the paired randomisation test, two-sided."""

    p_holm: float
    """Corrected for the other numbers; the primary one stands alone and is not corrected."""

    users: int
    """Users with both values."""


class Evaluation(Record):
    """A comparison of two profilers."""

    format: Literal["limner-evaluation/1"] = "limner-evaluation/1"
    """Form of the folder."""

    limner: str
    """Version that wrote it."""

    plan: Plan
    """What was compared."""

    users: int
    """Users who sat for both."""

    changed: int
    """Users left out, because the store no longer gives what their prompt was drawn from."""

    figures: tuple[Compared, ...]
    """The primary number first."""

    together: dict[str, tuple[float, float]]
    """Numbers that only all portraits together have: candidate, baseline."""

    users_sha256: str
    """Of the file with the values of each user."""

    at: Moment
    """When it was finished."""

    def figure(self, metric: str) -> Compared | None:
        """Return a number by name."""
        return next((each for each in self.figures if each.metric == metric), None)


def way_of(metric: str) -> Literal["higher", "lower", "neither"]:
    """Return which way is up for a number."""
    if metric in NEITHER:
        return "neither"
    return "lower" if metric in LOWER_IS_BETTER else "higher"


def declare(folder: Path, plan: Plan) -> None:
    """Write the plan before anything is drawn; nothing happens if the same one is there.

    Raises:
        InputError: The folder holds another comparison, or something else.
    """
    path = folder / PLAN
    if path.is_file():
        if read_plan(folder) != plan:
            raise InputError(f"{folder} holds another comparison; choose another folder for `--out`")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is no folder of a comparison; choose another one for `--out`")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, plan.model_dump_json(indent=2) + "\n")


def read_plan(folder: Path) -> Plan:
    """Read what a folder compares.

    Raises:
        UnknownFormatError: It holds no plan.
    """
    path = folder / PLAN
    try:
        return Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UnknownFormatError(str(path), f"is no plan of `limner distill eval` ({error})") from error


def read_evaluation(folder: Path) -> Evaluation:
    """Read a finished comparison and check the values of its users.

    Raises:
        UnknownFormatError: There is none, or a file is not the one that was written.
    """
    path = folder / EVALUATION
    try:
        found = Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = f"is no finished comparison of `limner distill eval` ({error})"
        raise UnknownFormatError(str(path), reason) from error
    values = folder / USERS
    if not values.is_file() or sha256_of(values) != found.users_sha256:
        raise UnknownFormatError(
            str(values), "is not the file that was written; run `limner distill eval` again"
        )
    return found


def write_users(
    folder: Path, users: Sequence[str], candidate: Mapping[str, Values], baseline: Mapping[str, Values]
) -> str:
    """Write each user's values of both profilers; return the file's sha256."""
    document: dict[str, Any] = {
        "users": list(users),
        "candidate": {name: _plain(values) for name, values in candidate.items()},
        "baseline": {name: _plain(values) for name, values in baseline.items()},
    }
    write_whole(folder / USERS, json.dumps(document, ensure_ascii=False) + "\n")
    return sha256_of(folder / USERS)


def _plain(values: Values) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
