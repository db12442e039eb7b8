"""Two profilers draw the same users; critic, judges and meaning checks compare them user by user.

Where the reward is the critic's, this is the off-policy evaluation: the critic can grade any text, so fresh portraits
are drawn and no propensities are needed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import InputError
from ...records import content_hash
from ...sections import RewardWeights
from ...tools.prices import most_tokens
from ...tools.statistics import PairedTest, Values, holm, paired_test
from ...tools.whole_files import write_whole
from .completions import KeptCompletions
from .evaluation import (
    COMPLETIONS,
    EVALUATION,
    TABLE,
    Compared,
    Evaluation,
    Plan,
    declare,
    way_of,
    write_users,
)
from .evaluation_table import as_markdown
from .meaning import LOG_LOSS, WORD_COUNTS, LogLoss
from .panel import Panel, Sheet
from .profilers import Profiler, Sitting
from .sitters import Sitter

Notice = Callable[[str], None]

_AT_ONCE = 16


class Estimate(NamedTuple):
    """What a comparison will take."""

    users: int
    """Users who will sit."""

    changed: int
    """Users who cannot, because the store has changed."""

    calls: dict[str, int]
    """Portraits to be drawn, by profiler; those that are kept are not drawn again."""

    kept: int
    """Portraits that are kept from an earlier run."""

    most_tokens: int
    """Most tokens that all calls can read and write."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything a comparison needs."""

    plan: Plan
    """What is compared; its `primary` must be one of the panel's numbers."""

    sitters: Sequence[Sitter]
    """Who sits."""

    changed: int
    """How many cannot."""

    candidate: Profiler
    baseline: Profiler
    panel: Panel
    folder: Path
    """Where everything is written."""

    log_loss: LogLoss | None = None
    """Of completions under the plan's base model; absent to leave it out."""

    notice: Notice = lambda line: None
    """Told what is being done."""

    advance: Callable[[], None] = lambda: None
    """Called after each portrait that was drawn and each sitter that was judged."""

    def estimate(self) -> Estimate:
        """Count the calls that are left; nothing is drawn or written."""
        kept = KeptCompletions(self.folder / COMPLETIONS)
        left = {each.name: self._missing(each, kept) for each in (self.candidate, self.baseline)}
        asked = [sitting for sittings in left.values() for sitting in sittings.values()]
        return Estimate(
            users=len(self.sitters),
            changed=self.changed,
            calls={name: len(sittings) for name, sittings in left.items()},
            kept=2 * self.plan.drafts * len(self.sitters) - len(asked),
            most_tokens=sum(
                most_tokens(message.content for message in each.row.prompt) + each.max_tokens
                for each in asked
            ),
        )

    async def run(self, *, at: datetime) -> Evaluation:
        """Draw what is missing, judge, compare and write everything.

        Args:
            at: The moment that the result is of.

        Raises:
            InputError: The folder holds another comparison, nobody sits, or the primary number was not measured.
            ModelUnavailableError: A profiler kept failing; what was drawn is kept.
        """
        if not self.sitters:
            raise InputError(
                f"no user of the split {self.plan.split!r} can sit ({self.changed} have changed in the store); use "
                "the store that the log comes from, or a larger split"
            )
        self._check_primary()
        declare(self.folder, self.plan)
        kept = KeptCompletions(self.folder / COMPLETIONS)
        sheets: list[Sheet] = []
        for profiler in (self.candidate, self.baseline):
            self.notice(f"{profiler.name} draws")
            await self._draw(profiler, kept)
            self.notice(f"judging {profiler.name}")
            written = [
                [kept[self._key(profiler, each)] for each in self._sittings(sitter)]
                for sitter in self.sitters
            ]
            sheet = await self.panel.read(self.sitters, written, self.advance)
            sheets.append(await self._with_log_loss(sheet, written))
        return self._write(*sheets, at=at)

    def _check_primary(self) -> None:
        """Refuse an endpoint that nobody measures before anything is paid for."""
        known = [f"critic/{name}" for name in ("total", *RewardWeights.model_fields)]
        known += [each.name for each in self.panel.measures]
        known += [*WORD_COUNTS, *([LOG_LOSS] if self.log_loss else [])]
        if self.plan.primary not in known:
            raise InputError(
                f"the primary endpoint {self.plan.primary!r} is not measured; there are {', '.join(known)}"
            )

    async def _with_log_loss(self, sheet: Sheet, written: Sequence[Sequence[str]]) -> Sheet:
        if self.log_loss is None:
            return sheet
        prompts = [sitter.row.prompt for sitter in self.sitters for _ in range(self.plan.drafts)]
        texts = [text for drafts in written for text in drafts]
        losses = np.asarray(await asyncio.to_thread(self.log_loss, prompts, texts), dtype=np.float64)
        by_user: Values = losses.reshape(len(self.sitters), self.plan.drafts).mean(axis=1)
        return replace(sheet, columns={**sheet.columns, LOG_LOSS: by_user})

    async def _draw(self, profiler: Profiler, kept: KeptCompletions) -> None:
        missing = list(self._missing(profiler, kept).items())
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            texts = await profiler.draw([sitting for _, sitting in part])
            kept.add({key: text for (key, _), text in zip(part, texts, strict=True)})
            for _ in part:
                self.advance()

    def _missing(self, profiler: Profiler, kept: KeptCompletions) -> dict[str, Sitting]:
        wanted = {
            self._key(profiler, each): each for sitter in self.sitters for each in self._sittings(sitter)
        }
        return {key: each for key, each in wanted.items() if key not in kept}

    def _sittings(self, sitter: Sitter) -> list[Sitting]:
        """Return a user's draws: the same seeds for whoever draws."""
        sittings: list[Sitting] = []
        for draft in range(self.plan.drafts):
            seed = int(content_hash(self.plan.seed, sitter.row.user_id, draft)[:7], 16)
            schema = sitter.schema if self.plan.guided else None
            sittings.append(Sitting(sitter.row, seed, schema, sitter.max_tokens))
        return sittings

    def _key(self, profiler: Profiler, sitting: Sitting) -> str:
        prompt = [(message.role, message.content) for message in sitting.row.prompt]
        how = (sitting.seed, self.plan.temperature, self.plan.guided, sitting.max_tokens)
        return content_hash(profiler.identity, sitting.row.group_key, prompt, how)

    def _write(self, candidate: Sheet, baseline: Sheet, *, at: datetime) -> Evaluation:
        figures = compare_sheets(candidate, baseline, primary=self.plan.primary, seed=self.plan.seed)
        evaluation = Evaluation(
            limner=version("limner"),
            plan=self.plan,
            users=len(self.sitters),
            changed=self.changed,
            figures=figures,
            together={
                name: (value, baseline.together[name])
                for name, value in candidate.together.items()
                if name in baseline.together
            },
            users_sha256=write_users(self.folder, candidate.users, candidate.columns, baseline.columns),
            at=at,
        )
        write_whole(self.folder / TABLE, as_markdown(evaluation))
        write_whole(self.folder / EVALUATION, evaluation.model_dump_json(indent=2) + "\n")
        return evaluation


def compare_sheets(candidate: Sheet, baseline: Sheet, *, primary: str, seed: int) -> tuple[Compared, ...]:
    """Compare every number that both have, the primary one first.

    Args:
        candidate: Of the same users as `baseline`, in the same order.
        baseline: What is to be beaten.
        primary: The number that decides; it is tested alone, the others are corrected for each other (Holm).
        seed: Decides resamples and signs.

    Raises:
        InputError: The primary number was not measured.
    """
    tests: dict[str, PairedTest] = {}
    for name, values in candidate.columns.items():
        if name in baseline.columns:
            test = paired_test(values, baseline.columns[name], seed=seed)
            if test.n:
                tests[name] = test
    if primary not in tests:
        raise InputError(
            f"the primary endpoint {primary!r} was not measured; there are {', '.join(sorted(tests))}"
        )
    others = [name for name in tests if name != primary]
    corrected = dict(zip(others, holm([tests[name].p_value for name in others]), strict=True))
    return tuple(
        _compared(name, tests[name], candidate, baseline, corrected.get(name)) for name in [primary, *others]
    )


def _compared(
    name: str, test: PairedTest, candidate: Sheet, baseline: Sheet, corrected: float | None
) -> Compared:
    ours, theirs = candidate.columns[name], baseline.columns[name]
    both = ~(np.isnan(ours) | np.isnan(theirs))
    return Compared(
        metric=name,
        better=way_of(name),
        candidate=float(ours[both].mean()),
        baseline=float(theirs[both].mean()),
        difference=test.difference,
        low=test.low,
        high=test.high,
        p_value=test.p_value,
        p_holm=test.p_value if corrected is None else corrected,
        users=test.n,
    )
