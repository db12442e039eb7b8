"""The few items that pairs are made of: the one a user chose, among others drawn beside it.

Candidates of a query stand in an order drawn at random, so that no place tells which of them is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from ...errors import SettingsError
from ...records import content_hash
from ..beyond import NOBODY
from ..dataset import FloatArray, IntArray
from ..metrics import Ties, measure
from ..places import Places, ScoresError
from ..results import Probe, Values
from ..sampled import sample_negatives
from ..splits import Past, Problem

Sampling = Literal["random", "hard", "popular", "retrieved"]

RECENT = 10
"""Newest items of a history that hard negatives lie near to, as in the critic's."""

NOWHERE = -1
"""Place of an answer that is not among the candidates."""

_DEVIATIONS = 4.0

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What is ranked for each query; the same for every system."""

    items: IntArray
    """Item numbers, shape `(Q, K)`."""

    place: IntArray
    """Column of the answer, shape `(Q,)`; `NOWHERE` if it was not retrieved."""

    label: str
    """Ends the name of every metric, so that nobody takes it for one of a full ranking."""

    @property
    def found(self) -> IntArray:
        """Queries whose answer is among the candidates."""
        return np.flatnonzero(self.place != NOWHERE)

    @property
    def digest(self) -> str:
        """Hash of the items and their order: equal ones were judged alike."""
        return content_hash(self.items.tobytes(), self.place.tobytes())[:8]

    def labelled(self, metrics: Mapping[str, Value]) -> dict[str, Value]:
        """Say in every metric's name among what was ranked; the name of a part of the queries stays behind it."""
        named: dict[str, Value] = {}
        for name, value in metrics.items():
            metric, bar, part = name.partition(" | ")
            named[f"{metric} {self.label}{bar}{part}"] = value
        return named


class Near(NamedTuple):
    """Where hard negatives come from."""

    vectors: FloatArray
    """Unit vectors of the catalogue, shape `(N, D)`."""

    pool: int
    """How many of the nearest items are drawn from."""


def draw_beside(
    problem: Problem, past: Past, *, count: int, seed: int, sampling: Sampling, near: Near | None = None
) -> Candidates:
    """Put so many other items beside each query's first answer.

    Args:
        problem: What was asked; no answer of a query, and nothing from its history, is ever a negative.
        past: Tells how often an item was chosen.
        count: Negatives of each query.
        seed: Decides them, and the order.
        sampling: `random`, `popular` (in proportion to how often an item was chosen), or `hard`.
        near: The text space, for `hard`: drawn from the items nearest to any of the newest ten of the history.

    Raises:
        SettingsError: A query has not so many other items.
    """
    _check_room(problem, past, count)
    if near is not None:
        negatives = _hard(problem, past, near, count=count, seed=seed)
    else:
        kind: Literal["popular", "uniform"] = "popular" if sampling == "popular" else "uniform"
        negatives = sample_negatives(problem, past, count=count, seed=seed, sampling=kind).items
    answers = problem.answers.item[problem.answers.starts[:-1]]
    label = f"sampled-{count}" + ("" if sampling == "random" else f"-{sampling}")
    return _shuffled(np.column_stack([answers, negatives]), answers, label, seed)


def take_retrieved(lists: IntArray, problem: Problem, *, label: str, seed: int) -> Candidates:
    """Take what a system retrieved for the candidates of each query.

    Args:
        lists: From `top_items`, shape `(Q, K)`; the shortest list decides how many are taken of each.
        problem: What was asked; the first answer of a query is looked for.
        label: Name of the retrieval.
        seed: Decides the order.
    """
    most = int((lists != NOBODY).sum(axis=1).min(initial=lists.shape[1]))
    answers = problem.answers.item[problem.answers.starts[:-1]]
    return _shuffled(lists[:, :most], answers, f"top-{most} {label}", seed)


def measure_among(
    scores: FloatArray,
    candidates: Candidates,
    *,
    cutoffs: tuple[int, ...],
    ties: Ties = "average",
    system: str = "unnamed",
) -> dict[str, Values]:
    """Return `ndcg@k`, `hit@k`, `mrr` and `rank` of each query's answer among its candidates.

    An answer that was not retrieved scores 0, and has no rank. Tied candidates share their places, so a system that
    says the same of all scores chance.

    Args:
        scores: Higher is better, shape `(Q, K)`, in the order of the candidates.
        candidates: What was ranked.
        cutoffs: Values of k.
        ties: Anything but `average` reproduces other people's tables.
        system: Name for an error.

    Raises:
        ScoresError: A score is NaN, or the shape is not that of the candidates.
    """
    if scores.shape != candidates.items.shape:
        raise ScoresError(system, f"shape {scores.shape}, wanted {candidates.items.shape}: every candidate")
    if np.isnan(scores).any():
        query, column = np.argwhere(np.isnan(scores))[0].tolist()
        item = int(candidates.items[query, column])
        raise ScoresError(system, f"NaN for item {item} of query {query}; give it the lowest score")
    found = candidates.found
    own = scores[found, candidates.place[found]][:, None]
    places = Places(
        better=(scores[found] > own).sum(axis=1),
        tied=(scores[found] == own).sum(axis=1) - 1,
        starts=np.arange(len(found) + 1),
        candidates=np.full(len(found), scores.shape[1]),
    )
    names = [f"{metric}@{k}" for k in cutoffs for metric in ("ndcg", "hit")] + ["mrr", "rank"]
    measured = measure(places, cutoffs=cutoffs, ties=ties)
    values: dict[str, Values] = {}
    for name in names:
        values[name] = np.full(len(scores), np.nan if name == "rank" else 0.0)
        values[name][found] = measured[name]
    return values


def place_in_list(candidates: Candidates, *, dataset: str) -> Probe:
    """Look whether the answers' places among the candidates tell anything.

    The mean place of independent uniform ones is the middle of the list, give or take; the limit is four standard
    deviations.

    Args:
        candidates: Those of every query.
        dataset: Name on the card.
    """
    found, width = candidates.found, candidates.items.shape[1]
    share = (candidates.place[found] + 0.5) / width
    value = abs(float(share.mean()) - 0.5) if len(found) else 0.0
    limit = _DEVIATIONS * float(np.sqrt((1.0 - 1.0 / width**2) / 12.0 / max(len(found), 1)))
    detail = "distance of the answers' mean place in the lists of candidates from their middle"
    return Probe(
        name="place-in-list", dataset=dataset, passed=value <= limit, value=value, limit=limit, detail=detail
    )


def _check_room(problem: Problem, past: Past, count: int) -> None:
    """Refuse to draw more than every user can be offered."""
    queries, answers = problem.queries, problem.answers
    taken = [
        np.union1d(queries.items_of(query), answers.item[answers.starts[query] : answers.starts[query + 1]])
        for query in range(len(queries))
    ]
    left = past.n_items - max((len(items) for items in taken), default=0)
    if count > left:
        reason = f"must be at most {left + 1}, as many as every user can be offered; got {count + 1}"
        raise SettingsError("--set:candidates", reason)


def _hard(problem: Problem, past: Past, near: Near, *, count: int, seed: int) -> IntArray:
    """Draw from the pool of each query; one without a history has random negatives.

    Twins of the answer stay: to leave them out would mark the answer as the only one of its kind.
    """
    drawn = sample_negatives(problem, past, count=count, seed=seed).items
    starts = problem.answers.starts
    for query in range(len(drawn)):
        history = problem.queries.items_of(query)
        if not len(history):
            continue
        nearness = (near.vectors[history[-RECENT:]] @ near.vectors.T).max(axis=0)
        nearness[history] = nearness[problem.answers.item[starts[query] : starts[query + 1]]] = -np.inf
        left = int(np.count_nonzero(nearness > -np.inf))
        pool = np.argsort(-nearness, kind="stable")[: min(max(near.pool, count), left)]
        rng = np.random.default_rng((seed, query))
        drawn[query] = rng.choice(pool, size=count, replace=False)
    return drawn


def _shuffled(items: IntArray, answers: IntArray, label: str, seed: int) -> Candidates:
    """Put each row in an order of its own."""
    mixed = np.random.default_rng((seed, items.shape[1])).permuted(items, axis=1)
    right = mixed == answers[:, None]
    place = np.where(right.any(axis=1), right.argmax(axis=1), NOWHERE)
    return Candidates(items=mixed, place=place, label=label)
