"""Items a portrait must rank below what its user really did next."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import numpy as np

from ..sections import CriticSettings
from .catalogue import Catalogue, Hit
from .store import Store

NegativeKind = Literal["hard", "popular", "random"]

RECENT = 10
"""Last items of the history whose neighbours become hard negatives."""

TWIN = 0.98
"""Cosine to a positive from which an item is the same product (another colour, another edition)."""

POPULAR_LIMIT = 1000
"""Most popular items drawn from."""


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """Negatives of one user, hard ones first; shared by all the user's positives."""

    item_ids: tuple[str, ...]
    """Items, all different."""

    kinds: tuple[NegativeKind, ...]
    """How each was drawn, in the order of `item_ids`."""


class _Quotas(NamedTuple):
    hard: int
    popular: int
    total: int


class _Near(NamedTuple):
    """What lies near the history, and what is the same as a positive."""

    hard: list[str]
    twins: set[str]


async def sample_negatives(
    *,
    store: Store,
    catalogue: Catalogue,
    history_items: Sequence[str],
    positives: Sequence[str],
    as_of: datetime,
    settings: CriticSettings,
    seed: int,
) -> Negatives:
    """Draw hard, popular and random negatives in the shares of `settings`.

    Hard ones are the nearest neighbours of the last items of the history, taken in turn; popular ones are
    drawn in proportion to their interactions before `as_of`; the rest is uniform. Nothing from the history,
    no positive and no twin of a positive is ever drawn. Where the history or the popular items do not give
    enough, random items fill up; a small catalogue gives fewer negatives in about the same shares. Items that
    the catalogue does not know are passed over.

    Args:
        store: Tells what is popular.
        catalogue: Tells what is near, and what there is.
        history_items: Every item of the user before `as_of`, oldest first; may include `positives`.
        positives: Items the negatives stand against.
        as_of: Nothing at or after it counts as popularity.
        settings: Number and shares.
        seed: The same seed, history and catalogue give the same negatives.
    """
    ids = await catalogue.item_ids()
    own = {*history_items, *positives}
    quotas = _share_out(len(ids) - len(_indexed(ids, own)), settings)
    targets = _indexed(ids, dict.fromkeys(positives))
    visible = [item for item in history_items if item not in set(positives)]
    recent = _indexed(ids, dict.fromkeys(reversed(visible)))[:RECENT]
    near = await _look_around(catalogue, recent, targets, quotas.hard, own)
    rng = np.random.default_rng([seed % 2**63, len(ids)])
    kinds: dict[str, NegativeKind] = dict.fromkeys(near.hard, "hard")
    barred = own | near.twins
    if quotas.popular:
        counts = await store.popular(as_of=as_of, limit=POPULAR_LIMIT)
        allowed = set(_indexed(ids, [item for item, _ in counts])) - barred - kinds.keys()
        weights = {item: n for item, n in counts if item in allowed}
        kinds |= dict.fromkeys(_draw_weighted(weights, quotas.popular, rng), "popular")
    filler = _draw_uniform(ids, quotas.total - len(kinds), barred | kinds.keys(), rng)
    kinds |= dict.fromkeys(filler, "random")
    return Negatives(item_ids=tuple(kinds), kinds=tuple(kinds.values()))


def _share_out(available: int, settings: CriticSettings) -> _Quotas:
    """Apply the shares to as many negatives as there can be; hard ones come first if shares exceed 1."""
    total = min(settings.negatives, available)
    hard = min(round(settings.hard_share * total), total)
    return _Quotas(hard, min(round(settings.popular_share * total), total - hard), total)


def _indexed(ids: Sequence[str], wanted: Collection[str]) -> list[str]:
    """Return those of `wanted` that are in the sorted `ids`, in the order of `wanted`."""
    size = len(ids)
    return [item for item in wanted if (place := bisect_left(ids, item)) < size and ids[place] == item]


async def _look_around(
    catalogue: Catalogue, recent: list[str], targets: list[str], wanted: int, own: set[str]
) -> _Near:
    """Search around history and positives, deeper until there are enough neighbours and no more twins."""
    anchors = [*recent, *targets]
    if not anchors:
        return _Near([], set())
    vectors = await catalogue.vectors(anchors)
    k = max(wanted, 1) + 8
    while True:
        found = await catalogue.search(vectors, k, exclude=own)
        around, beside = found[: len(recent)], found[len(recent) :]
        twins = {hit.id for hits in beside for hit in hits if hit.score >= TWIN}
        hard = _take_in_turn(around, twins, wanted)
        short = len(hard) < wanted and any(len(hits) == k for hits in around)
        more_twins = any(len(hits) == k and hits[-1].score >= TWIN for hits in beside)
        if not (short or more_twins):
            return _Near(hard, twins)
        k *= 2


def _take_in_turn(around: Sequence[Sequence[Hit]], twins: Collection[str], wanted: int) -> list[str]:
    """Take each row's nearest, then each row's second nearest, and so on, without repeats."""
    depth = max((len(hits) for hits in around), default=0)
    taken: dict[str, None] = {}
    for rank in range(depth):
        taken |= dict.fromkeys(
            hits[rank].id for hits in around if rank < len(hits) and hits[rank].id not in twins
        )
        if len(taken) >= wanted:
            break
    return list(taken)[:wanted]


def _draw_weighted(weights: dict[str, int], wanted: int, rng: np.random.Generator) -> list[str]:
    """Draw without replacement in proportion to the weights.

    Source:
        Efraimidis and Spirakis 2006, https://doi.org/10.1016/j.ipl.2005.11.003: the largest `u ** (1 / w)`.
    """
    names = list(weights)
    keys = np.log(1.0 - rng.random(len(names))) / np.fromiter(weights.values(), np.float64, len(names))
    return [names[place] for place in np.argsort(-keys, kind="stable")[: max(wanted, 0)].tolist()]


def _draw_uniform(
    ids: Sequence[str], wanted: int, barred: Collection[str], rng: np.random.Generator
) -> list[str]:
    """Draw without replacement; one pass is enough, because at most `barred` of the draws are lost."""
    size = min(len(ids), max(wanted, 0) + len(barred))
    drawn = (ids[place] for place in rng.choice(len(ids), size=size, replace=False).tolist()) if size else ()
    return [item for item in drawn if item not in barred][: max(wanted, 0)]
