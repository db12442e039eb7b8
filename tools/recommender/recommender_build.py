"""From the choices of a store to a recommender's weights: the last choice of some users is held back to fit them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...records import Item
from ..embedder import FloatArray
from ..matrices import Matrix
from ..spans import IntArray, owners, spans
from .calibration import FEWEST, Calibration, Form, calibrate, knots_of, untaught
from .calibration_exam import BLOCK, forms_of, hold_exam
from .recommender_index import all_scores
from .recommender_portraits import Cards, Portrayed
from .recommender_signals import KINDS, SHARES, Parts, Signals, Words, signals_of, trend_of
from .seqknn import GRID, Neighbours, SeqKnnOptions, attribute_vectors, choose, pair_matrix

_TUNED_ON = 500


class Choices(NamedTuple):
    """What users chose, ordered by user, then time."""

    user: IntArray
    """Rising, shape `(E,)`."""

    item: IntArray
    """Shape `(E,)`."""

    at: IntArray
    """Microseconds since 1970, shape `(E,)`."""

    def take(self, rows: IntArray) -> "Choices":
        """Keep some rows."""
        return Choices(self.user[rows], self.item[rows], self.at[rows])


class Held(NamedTuple):
    """Users whose last choice is held back."""

    rows: IntArray
    """Rows of the choices that are held back, shape `(V,)`."""

    first: IntArray
    """First row of each such user, shape `(V,)`."""

    end: IntArray
    """Where each history ends: nothing at the moment of the held choice is in it, shape `(V,)`."""

    last: IntArray
    """Where each user's rows end, shape `(V,)`."""


class Material(NamedTuple):
    """What is fitted on."""

    choices: Choices
    items: Sequence[Item]
    words: Words
    cards: Cards | None
    """Without those that rest on a held-back choice."""

    portraits: Sequence[Portrayed]
    """Of the users of `held`, each drawn before the held choice; empty if there are none at all."""

    temperature: float
    seed: int


def hold_back(choices: Choices, most: int, seed: int) -> Held:
    """Choose users whose last choice can be asked for: it was new to them, and something came before it.

    Args:
        choices: All of them.
        most: Users at most, drawn by seed.
        seed: Draws.
    """
    cuts = np.flatnonzero(np.diff(choices.user)) + 1
    starts = np.concatenate([[0], cuts]).astype(np.int64)
    ends = np.append(cuts, len(choices.user)).astype(np.int64)
    order: list[int] = (
        np.random.default_rng(seed).permutation(len(starts)).tolist() if len(choices.user) else []
    )
    found: list[tuple[int, int, int, int]] = []
    for number in order:
        start, end = int(starts[number]), int(ends[number])
        cut = start + int(np.searchsorted(choices.at[start:end], choices.at[end - 1]))
        if cut > start and choices.item[end - 1] not in choices.item[start:cut]:
            found.append((end - 1, start, cut, end))
        if len(found) == most:
            break
    table = np.array(sorted(found), dtype=np.int64).reshape(-1, 4)
    return Held(*table.T)


def signals_from(material: Material, choices: Choices, options: SeqKnnOptions) -> Signals:
    """Build the signals of some of the choices."""
    age = (choices.at.max(initial=0) - choices.at).astype(np.float32)
    trend = trend_of(choices.item, age, len(material.items))
    return signals_of(
        choices.user, choices.item, material.items, options, Parts(words=material.words, trend=trend)
    )


def fit_weights(material: Material, held: Held) -> tuple[SeqKnnOptions, Calibration]:
    """Return how sequences vote and what each signal counts; untaught ones if too few users are held back."""
    choices, n_items = material.choices, len(material.items)
    if len(held.rows) < FEWEST:
        options = SeqKnnOptions(window=10, delta=0.9)
        signals = signals_from(material, choices, options)
        ask = _asker(material._replace(portraits=()), signals, *_last_histories(choices))
        forms = (*forms_of(ask(np.arange(1)), KINDS), Form("profile", "nearness"))
        return options, untaught(
            forms, SHARES, np.bincount(choices.item, minlength=n_items).astype(np.float32)
        )
    hidden, _ = spans(held.end, held.last)
    kept = np.ones(len(choices.user), dtype=np.bool_)
    kept[hidden] = False
    past = choices.take(np.flatnonzero(kept))
    rows, starts = spans(held.first, held.end)
    items, answers = choices.item[rows], choices.item[held.rows]
    options = _tuned(past, material.items, items, starts, answers)
    ask = _asker(material, signals_from(material, past, options), items, starts)
    forms = forms_of(ask(np.arange(min(BLOCK, len(answers)))), KINDS)
    forms = _with_portraits(forms, material)
    counts = np.bincount(past.item, minlength=n_items).astype(np.float32)
    knots = knots_of(counts)
    exam = hold_exam(ask, items, starts, answers, forms=forms, counts=counts, knots=knots, seed=material.seed)
    return options, calibrate(exam, forms, knots)


def _last_histories(choices: Choices) -> tuple[IntArray, IntArray]:
    """Return the history of the last user alone, for a look at the scores."""
    mine = choices.item[choices.user == choices.user[-1]] if len(choices.user) else choices.item
    return mine, np.array([0, len(mine)], dtype=np.int64)


def _with_portraits(forms: tuple[Form, ...], material: Material) -> tuple[Form, ...]:
    """Add the portraits' signal where some users have one, even if the first users have none."""
    if any(form.name == "profile" for form in forms) or not _any_likes(material.portraits):
        return forms
    return (*forms, Form("profile", "nearness"))


def _any_likes(portraits: Sequence[Portrayed]) -> bool:
    return any(len(portrait.likes) for portrait in portraits)


def _asker(
    material: Material, signals: Signals, items: IntArray, starts: IntArray
) -> Callable[[IntArray], dict[str, FloatArray]]:
    told = _any_likes(material.portraits)

    def ask(rows: IntArray) -> dict[str, FloatArray]:
        taken, cuts = spans(starts[rows], starts[rows + 1])
        portraits = [material.portraits[row] for row in rows.tolist()] if told else ()
        found = all_scores(signals, material.cards, items[taken], cuts, portraits, material.temperature)
        if told and "profile" not in found:
            found["profile"] = np.zeros_like(found["text"])
        return found

    return ask


def _tuned(
    past: Choices, items: Sequence[Item], histories: IntArray, starts: IntArray, answers: IntArray
) -> SeqKnnOptions:
    """Choose by NDCG@10 how sequences vote, on a few of the held-back users."""
    attributes = attribute_vectors(items)
    few = min(_TUNED_ON, len(answers))
    mine, cuts = histories[: starts[few]], starts[: few + 1]

    def value(options: SeqKnnOptions) -> float:
        pairs: Matrix = pair_matrix(past.user, past.item, len(items), options)
        return _ndcg(Neighbours.of(pairs, attributes, options).vote(mine, cuts), mine, cuts, answers[:few])

    return choose(SeqKnnOptions(), tuple(GRID), value)


def _ndcg(scores: FloatArray, items: IntArray, starts: IntArray, answers: IntArray) -> float:
    """Return the mean NDCG@10 of one answer a query by mid-ranks, histories left out."""
    own = scores[np.arange(len(answers)), answers][:, None]
    scores[owners(starts), items] = -np.inf
    better = (scores > own).sum(axis=1)
    beside = np.maximum((scores == own).sum(axis=1) - 1, 0)
    rank = 1 + better + beside / 2
    return float(np.where(rank <= 10, 1 / np.log2(1 + rank), 0).mean())
