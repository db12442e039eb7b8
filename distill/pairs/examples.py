"""What a scorer of pairs learns from: pairs whose outcome is known, as they stood at their own moment.

Two sources: passes in the log that were written to learn from (`limner distill pairs`), and the store's own past, whose
pairs nobody wrote. The first say how passes measure, the second cost nothing.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...agents.pairing.outcomes import known_share
from ...agents.pairing.rehearsal import scenes_of
from ...agents.ranking.rank_factors import Factors, gather_factors
from ...agents.state import Deps
from ...errors import InputError, NoTextError, UnknownItemError
from ...models import Rollout
from ...pairings import PairOutcome
from ...records import content_hash
from ...tools.belief import Values
from ...tools.pair_features import FEATURES

Progress = Callable[[str], None]

_TOLD_EVERY = 200


class Example(NamedTuple):
    """One pair with a known outcome."""

    user_id: str
    item_id: str
    as_of: datetime
    outcome: PairOutcome
    sides: tuple[str, str] | None
    """The two profiles of a logged pass; absent for a pair that nobody wrote."""

    judged: float
    """The judge's fit; NaN without one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Examples as arrays, one row each."""

    features: Values
    """Shape `(R, F)`."""

    worth: Values
    """What came of it, in [0, 1], shape `(R,)`; see `worth_of`."""

    judged: Values
    """The judge's fit, shape `(R,)`; NaN without one."""

    unjudged: Values
    """Fit by the cosine of the two profiles, shape `(R,)`; NaN for a pair that nobody wrote."""

    users: NDArray[np.intp]
    """Number of the user, shape `(R,)`."""

    lists: NDArray[np.intp]
    """Number of the moment, shape `(R,)`: rows of one moment were to be told apart."""

    def __len__(self) -> int:
        return len(self.worth)

    @property
    def n_users(self) -> int:
        """How many users there are."""
        return len(np.unique(self.users))

    def take(self, rows: NDArray[np.bool_]) -> "Table":
        """Return some of the rows."""
        return Table(
            features=self.features[rows],
            worth=self.worth[rows],
            judged=self.judged[rows],
            unjudged=self.unjudged[rows],
            users=self.users[rows],
            lists=self.lists[rows],
        )


async def logged_examples(deps: Deps) -> list[Example]:
    """Return the published draft of every logged pass with a known outcome."""
    found: dict[str, Example] = {}
    async for batch in deps.store.rollouts():
        for rollout in batch:
            if rollout.item_id and rollout.outcome and rollout.selected:
                found[rollout.run_id] = _example(rollout, rollout.item_id, rollout.outcome)
    return list(found.values())


def _example(rollout: Rollout, item_id: str, outcome: PairOutcome) -> Example:
    return Example(
        user_id=rollout.user_id,
        item_id=item_id,
        as_of=rollout.as_of,
        outcome=outcome,
        sides=(rollout.sides[0].profile, rollout.sides[1].profile) if rollout.sides else None,
        judged=rollout.judgement.fit if rollout.judgement else float("nan"),
    )


async def past_examples(
    deps: Deps, users: Iterable[str], *, as_of: datetime, per_user: int, negatives: int
) -> AsyncIterator[Example]:
    """Yield pairs of the store's own past that nobody wrote: what was chosen, and items that were not.

    Args:
        deps: What a run may touch.
        users: Whose past.
        as_of: Exclusive bound of the outcomes.
        per_user: Interactions of each, newest first.
        negatives: Items for each interaction that were not chosen: hard, popular and random ones in turn.
    """
    for user_id in users:
        for scene in await scenes_of(deps, user_id, as_of=as_of, per_user=per_user, negatives=negatives):
            yield Example(user_id, scene.item_id, scene.as_of, scene.outcome, None, float("nan"))


async def table_of(deps: Deps, examples: Sequence[Example], *, notice: Progress) -> Table:
    """Describe every example by what was known at its own moment.

    A pair that is there twice counts once, with its pass if it has one; a moment with passes counts by them alone.
    What cannot be described, because nothing of
    the user's past or no text is left, is left out.
    """
    moments = _by_moment(examples)
    rows: list[Values] = []
    kept: list[Example] = []
    worth: list[float] = []
    for number, ((user_id, as_of, _), group) in enumerate(moments.items()):
        if number and number % _TOLD_EVERY == 0:
            notice(f"{number} of {len(moments)} moments described")
        factors = await _factors_of(deps, user_id, group, as_of)
        if factors is None:
            continue
        scale = await deps.store.rating_scale(as_of=as_of)
        rows.append(factors.features(deps))
        kept += group.values()
        worth += [worth_of(one.outcome, known_share(one.outcome, scale)) for one in group.values()]
    keys = [(one.user_id, one.as_of, one.outcome.event_id) for one in kept]
    return Table(
        features=np.concatenate(rows) if rows else np.zeros((0, len(FEATURES))),
        worth=np.array(worth, dtype=np.float64),
        judged=np.array([one.judged for one in kept], dtype=np.float64),
        unjudged=await _cosine_fits(deps, kept),
        users=_numbered([one.user_id for one in kept]),
        lists=_numbered(keys),
    )


async def _factors_of(deps: Deps, user_id: str, group: dict[str, Example], as_of: datetime) -> Factors | None:
    """Read both sides of a moment, and take items out of the group that nothing is said about."""
    while group:
        try:
            return await gather_factors(deps, user_id, list(group), as_of=as_of)
        except UnknownItemError as error:
            del group[error.item_id]
        except NoTextError as error:
            del group[error.subject.removeprefix("item:")]
        except InputError:  # the user's own past says nothing
            return None
    return None


def worth_of(outcome: PairOutcome, share: float | None) -> float:
    """Return what a pair turned out to be worth: its rating as a share of the scale, 1 if it was chosen and not
    rated, 0 if something else was chosen.

    Examples:
        >>> other = PairOutcome(event_id="e", item_id="i", chosen=False)
        >>> worth_of(other, None), worth_of(other.model_copy(update={"chosen": True}), None)
        (0.0, 1.0)
    """
    if not outcome.chosen:
        return 0.0
    return 1.0 if share is None else min(max(share, 0.0), 1.0)


def _by_moment(examples: Sequence[Example]) -> dict[tuple[str, datetime, str], dict[str, Example]]:
    """Group by user, moment and outcome; where there are passes, pairs that nobody wrote are left out.

    A pass leaves notes about its item, and there is always one for the chosen item but not for all the others: beside
    items that were never read about, the notes would tell which one was chosen.
    """
    moments: dict[tuple[str, datetime, str], dict[str, Example]] = {}
    for one in sorted(examples, key=_place):
        group = moments.setdefault((one.user_id, one.as_of, one.outcome.event_id), {})
        if one.item_id not in group or one.sides is not None:
            group[one.item_id] = one
    return {moment: _alike(group) for moment, group in moments.items()}


def _alike(group: dict[str, Example]) -> dict[str, Example]:
    """Return the examples with a pass if there is any, all of them otherwise."""
    return {item_id: one for item_id, one in group.items() if one.sides is not None} or group


def _place(example: Example) -> tuple[str, datetime, str, str]:
    """Order examples without regard to where they come from; items by a hash, so that the chosen one is not first."""
    event_id = example.outcome.event_id
    return example.user_id, example.as_of, event_id, content_hash(event_id, example.item_id)


async def _cosine_fits(deps: Deps, examples: Sequence[Example]) -> Values:
    written = [one.sides for one in examples if one.sides]
    fits = np.full(len(examples), np.nan)
    if not written:
        return fits
    vectors = await deps.embedder.embed([text for sides in written for text in sides])
    cosines = np.einsum("nd,nd->n", vectors[0::2], vectors[1::2]).clip(-1.0, 1.0)
    fits[[one.sides is not None for one in examples]] = (1.0 + cosines) / 2.0
    return fits


def _numbered(keys: Sequence[object]) -> NDArray[np.intp]:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
