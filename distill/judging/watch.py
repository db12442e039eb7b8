"""Watches a profiler while it is trained: fresh portraits of the same users at every look, and the alarm."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...records import content_hash
from ...tools.statistics import Values
from ...tools.waiting import Wait, wait_for
from ...tools.whole_files import write_whole
from ..training.watching import Look, Writer
from ..training.writing import ModelWriter
from .alarm import AlarmRule, alarm, change
from .base_loss import base_log_loss
from .meaning import LOG_LOSS, LogLoss
from .panel import TOTAL, Panel, Sheet
from .sitters import Sitter

JUDGE = "judge/"
"""Beginning of the names that the alarm listens to."""

PERPLEXITY = "meaning/perplexity"


class HackingWatch:
    """A `Watch` that draws portraits of validation users and ends training when judges and critic part ways.

    Args:
        sitters: Validation users, the same at every look.
        panel: Critic, judges (`judge/…`) and meaning checks.
        folder: Where each look is kept as `look-STEP.json`; a resumed run is compared with the look of its first
            start. The portraits are in there, for people to read.
        rule: When training ends.
        log_loss: Of completions under the base model; absent to ask the model that is trained, its adapter off, where
            the writer tells it, and to leave perplexity out where it does not.
        wait: Runs coroutines. A trainer in a thread beside the loop that opened the store gives
            `tools.waiting.waiting_on(loop)`.

    Raises:
        InputError: There are fewer sitters than the rule needs.
    """

    def __init__(
        self,
        sitters: Sequence[Sitter],
        panel: Panel,
        *,
        folder: Path,
        rule: AlarmRule | None = None,
        log_loss: LogLoss | None = None,
        wait: Wait = wait_for,
    ) -> None:
        self._rule = rule or AlarmRule()
        if len(sitters) < self._rule.fewest:
            raise InputError(
                f"{len(sitters)} validation users are fewer than the {self._rule.fewest} that the alarm needs; "
                "prepare more data, a larger share of validation, or train without the alarm"
            )
        self._sitters, self._panel, self._folder = tuple(sitters), panel, folder
        self._log_loss, self._wait = log_loss, wait

    def look(self, step: int, write: Writer) -> Look:
        """Draw one portrait of every sitter and judge it.

        The first look ever kept in the folder is what later ones are compared with.

        Raises:
            InputError: The folder's looks are of other users, prompts or another critic.
        """
        first = self._first(step)
        prompts = [sitter.row.prompt for sitter in self._sitters]
        written = write(prompts)
        sheet = self._wait(self._panel.read(self._sitters, [[text] for text in written]))
        columns = dict(sheet.columns)
        log_loss = self._log_loss or _log_loss_of(write)
        if log_loss is not None:
            columns[LOG_LOSS] = np.asarray(log_loss(prompts, written), dtype=np.float64)
        metrics = _metrics(sheet, columns)
        stop = self._alarm(columns if first is None else first, columns, metrics)
        self._keep(step, columns, metrics, written, stop)
        return Look(metrics, stop)

    def _alarm(
        self, first: Mapping[str, Values], now: Mapping[str, Values], metrics: dict[str, float]
    ) -> str | None:
        """Compare with the look before the first step; the differences of critic and judges become metrics."""
        level = self._rule.level
        changes = {
            name: change(first[name], values, level=level)
            for name, values in now.items()
            if name in first and (name == TOTAL or name.startswith(JUDGE))
        }
        for name, found in changes.items():
            metrics |= {
                f"gain/{name}{end}": value
                for end, value in (("", found.difference), ("_low", found.low), ("_high", found.high))
                if not math.isnan(value)
            }
        critic = changes.pop(TOTAL)
        return alarm(critic, changes, self._rule)

    @property
    def _identity(self) -> str:
        """What must be equal for two looks to compare."""
        rows = [(sitter.row.user_id, sitter.row.group_key) for sitter in self._sitters]
        return content_hash(rows, self._panel.grader.critic_version)

    def _first(self, step: int) -> dict[str, Values] | None:
        """Return the numbers of the first look; none if this is it. A run that starts afresh drops older looks."""
        kept = sorted(self._folder.glob("look-*.json"))
        if step == 0:
            for path in kept:
                path.unlink()
        if step == 0 or not kept:
            return None
        first: Any = json.loads(kept[0].read_text(encoding="utf-8"))
        if first["identity"] != self._identity:
            raise InputError(
                f"{kept[0]} is of other users, prompts or another critic, so later looks cannot be compared with it; "
                "resume with the data, sample and settings the run was started with, or start a new run"
            )
        return {
            name: np.array([np.nan if value is None else value for value in values], dtype=np.float64)
            for name, values in first["by_user"].items()
        }

    def _keep(
        self,
        step: int,
        columns: Mapping[str, Values],
        metrics: Mapping[str, float],
        written: Sequence[str],
        stop: str | None,
    ) -> None:
        look = {
            "step": step,
            "identity": self._identity,
            "stop": stop,
            "metrics": metrics,
            "users": [sitter.row.user_id for sitter in self._sitters],
            "by_user": {
                name: [None if np.isnan(value) else value for value in values.tolist()]
                for name, values in columns.items()
            },
            "completions": list(written),
        }
        write_whole(self._path(step), json.dumps(look, ensure_ascii=False, indent=1) + "\n")

    def _path(self, step: int) -> Path:
        return self._folder / f"look-{step:06}.json"


def _log_loss_of(write: Writer) -> LogLoss | None:
    return base_log_loss(write.model, write.chat) if isinstance(write, ModelWriter) else None


def _metrics(sheet: Sheet, columns: Mapping[str, Values]) -> dict[str, float]:
    metrics = sheet.means
    losses = columns.get(LOG_LOSS)
    if losses is not None and not np.isnan(losses).all():
        metrics[LOG_LOSS] = float(np.nanmean(losses))
        metrics[PERPLEXITY] = math.exp(metrics[LOG_LOSS])
    return metrics
