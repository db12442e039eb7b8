"""How well a space finds what held-back users chose next, among the whole catalogue."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...tools.embedder import FloatArray
from ...tools.late_interaction import score_by_each, stack_users
from ...tools.lessons import IntArray
from ...tools.space import Space
from .questions import NOTHING, Exam, Spoken

_AT_ONCE = 64


def examine(
    space: Space, items: FloatArray, exam: Exam, *, temperature: float, decay: float, share: float
) -> Mapping[str, float]:
    """Return the mean NDCG over the full list, `1 / log2(1 + rank)`, of each kind of query.

    Args:
        space: Under examination.
        items: Frozen vectors of the catalogue, shape `(N, D)`.
        exam: Who is asked what.
        temperature: Of the late interaction where the space has none.
        decay: Of a history where the space has none.
        share: Of a portrait where the space has none.

    Returns:
        `history`; and with portraits also `profile` and `both`.
    """
    temperature, decay = space.temperature or temperature, space.decay or decay
    share = space.share or share
    ranked = space.items(items)
    users = space.users(recent_vectors(exam.moments.newest, items, decay))
    found = {"history": _mean_gain(users @ ranked.T, exam.moments.answer, exam.histories)}
    if len(exam.spoken):
        answers, histories = exam.spoken.moments.answer, exam.spoken_histories
        by_history = space.users(recent_vectors(exam.spoken.moments.newest, items, decay)) @ ranked.T
        by_profile = _by_facets(space, exam.spoken, ranked, temperature)
        both = np.logaddexp(
            by_history / temperature + np.log1p(-share), by_profile / temperature + np.log(share)
        )
        found["profile"] = _mean_gain(by_profile, answers, histories)
        found["both"] = _mean_gain(both, answers, histories)
        found["history of these"] = _mean_gain(by_history, answers, histories)
    return found


def recent_vectors(newest: IntArray, items: FloatArray, decay: float) -> FloatArray:
    """Return the decayed mean of each history's newest items at unit length, shape `(M, D)`."""
    fading: FloatArray = np.power(np.float32(decay), np.arange(newest.shape[1], dtype=np.float32))
    weights: FloatArray = np.where(newest != NOTHING, fading, np.float32(0))
    mean = np.einsum("mw,mwd->md", weights, items[np.maximum(newest, 0)])
    unit: FloatArray = (mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)).astype(
        np.float32
    )
    return unit


def ranks_of(scores: FloatArray, answers: IntArray, histories: Sequence[IntArray]) -> NDArray[np.float64]:
    """Return the mid-rank of each answer, 1 is best, shape `(Q,)`; what is in the history is not ranked."""
    ranks = np.zeros(len(answers))
    for row, (answer, history) in enumerate(zip(answers.tolist(), histories, strict=True)):
        own = scores[row]
        rivals = np.ones(len(own), dtype=np.bool_)
        rivals[history] = False
        rivals[answer] = False
        ranks[row] = 1 + (own[rivals] > own[answer]).sum() + (own[rivals] == own[answer]).sum() / 2
    return ranks


def _mean_gain(scores: FloatArray, answers: IntArray, histories: Sequence[IntArray]) -> float:
    return float(np.mean(1 / np.log2(1 + ranks_of(scores, answers, histories))))


def _by_facets(space: Space, spoken: Spoken, ranked: FloatArray, temperature: float) -> FloatArray:
    parts: list[FloatArray] = []
    for start in range(0, len(spoken), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        users = [
            space.users(facets[real])
            for facets, real in zip(spoken.facets[rows], spoken.real[rows], strict=True)
        ]
        parts.append(score_by_each(stack_users(users), ranked, temperature=temperature))
    return np.concatenate(parts)
