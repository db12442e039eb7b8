"""Users who hold one item back, made ready for `tools.recommender.calibration`: their item among its rivals.

Rivals are the items that some signal or all together rank first, and a random rest that stands for everything else,
so that memory grows with users and not with the catalogue.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..embedder import FloatArray
from ..spans import IntArray, owners, spans
from .calibration import Form, Kind, hats_of
from .calibration_fit import Exam

NEAR = 200
"""Rivals that signals rank first, at most."""

FAR = 60
"""Rivals drawn at random."""

BLOCK = 128
"""Users whose scores of the whole catalogue are held at once."""

_HIGH = 10
"""Place of a usual high vote."""

Ask = Callable[[IntArray], Mapping[str, FloatArray]]
"""Takes rows of users; returns the scores of every signal by name, each `(rows, N)`."""


def forms_of(signals: Mapping[str, FloatArray], kinds: Mapping[str, Kind]) -> tuple[Form, ...]:
    """Return how signals become columns; the scale of votes is the median of each user's tenth highest.

    Args:
        signals: Scores of some users, each `(Q, N)`.
        kinds: Of the same signals, by name.
    """
    return tuple(
        Form(name, kinds[name], _scale(scores) if kinds[name] == "votes" else 1.0)
        for name, scores in signals.items()
    )


def hold_exam(
    ask: Ask,
    items: IntArray,
    starts: IntArray,
    answers: IntArray,
    *,
    forms: Sequence[Form],
    counts: FloatArray,
    knots: FloatArray,
    seed: int,
) -> Exam:
    """Return users as an exam.

    Args:
        ask: Scores the catalogue for some of the users.
        items: Histories one after the other, each oldest first.
        starts: Where each history begins, and their end, shape `(Q + 1,)`.
        answers: The item each user held back, shape `(Q,)`.
        forms: The signals, in the order of the columns.
        counts: How often each item was chosen, shape `(N,)`.
        knots: From `knots_of`.
        seed: Draws the random rest.
    """
    n_users, n_items = len(answers), len(counts)
    rng = np.random.default_rng(seed)
    near, far = min(NEAR, n_items), min(FAR, n_items)
    width = sum(form.width for form in forms)
    columns = np.empty((width, n_users, 1 + near + far), dtype=np.float32)
    times = np.empty((n_users, 1 + near + far), dtype=np.float32)
    rivals = np.empty((n_users, 1 + near + far), dtype=np.int64)
    for first in range(0, n_users, BLOCK):
        rows = np.arange(first, min(first + BLOCK, n_users))
        taken, cuts = spans(starts[rows], starts[rows + 1])
        mine = items[taken]
        signals = ask(rows)
        every = np.concatenate([form.columns(signals[form.name], mine, cuts) for form in forms])
        hidden = np.zeros(every.shape[1:], dtype=np.bool_)
        hidden[owners(cuts), mine] = True
        hidden[np.arange(len(rows)), answers[rows]] = True
        picked, counted = _rivals(_last_columns(every, forms), hidden, near, far, rng)
        rivals[rows] = np.concatenate([answers[rows, None], picked], axis=1)
        times[rows] = np.concatenate([np.zeros((len(rows), 1)), counted], axis=1)
        columns[:, rows] = np.take_along_axis(every, rivals[rows][None], axis=2)
    return Exam(
        columns=columns,
        hats=hats_of(np.log1p(counts), knots)[rivals],
        times=times,
        lengths=np.diff(starts),
        catalogue=n_items,
    )


def _last_columns(every: FloatArray, forms: Sequence[Form]) -> FloatArray:
    """Return the z-scores of the signals, shape `(signals, Q, N)`."""
    last: list[int] = (np.cumsum([form.width for form in forms]) - 1).tolist()
    units: FloatArray = every[last]
    return units


def _rivals(
    units: FloatArray, hidden: NDArray[np.bool_], near: int, far: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Return items, shape `(Q, near + far)`, and how many each stands for.

    Each signal brings its first ones; those of all signals together fill up the rest of `near`.
    """
    n_users, n_items = hidden.shape
    wanted = units.mean(axis=0)
    each = near // (len(units) + 1)
    for unit in units:
        if 0 < each < n_items:
            best = np.argpartition(np.where(hidden, -np.inf, unit), n_items - each, axis=1)[:, -each:]
            np.put_along_axis(wanted, best, np.inf, axis=1)
    wanted[hidden] = -np.inf
    first = np.argpartition(wanted, n_items - near, axis=1)[:, -near:]
    drawn = rng.integers(0, n_items, size=(n_users, far))
    shown = hidden.copy()
    np.put_along_axis(shown, first, True, axis=1)
    counted = [
        ~np.take_along_axis(hidden, first, axis=1),
        ~np.take_along_axis(shown, drawn, axis=1) * (n_items / far),
    ]
    return np.concatenate([first, drawn], axis=1), np.concatenate(counted, axis=1).astype(np.float32)


def _scale(votes: FloatArray) -> float:
    place = min(_HIGH, votes.shape[1])
    high = np.partition(votes, -place, axis=1)[:, -place]
    told = high[high > 0]
    found = votes[votes > 0] if not len(told) else told
    return float(np.median(found)) if len(found) else 1.0
