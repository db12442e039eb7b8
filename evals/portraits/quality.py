"""What portraits are like, whether or not they predict: one value a user and metric.

| metric | meaning | better |
|---|---|---|
| `grounding` | share of sentences that anything in the user's history supports | high |
| `citations` | share of sentences that the interactions they cite support; no value where nothing is cited | high |
| `history similarity` | cosine of the portrait with the mean of the newest items | high |
| `boilerplate` | share of other users whose newest items the portrait fits at least as well; chance is .5 | low |
| `portrait similarity` | mean cosine with the portraits of other users | low |
| `diversity within` | mean cosine distance between its sentences; no value for a single one | |
| `distinct-1`, `distinct-2` | share of different words, and pairs of neighbouring words, among all in it | high |
| `language kept` | whether it is in the user's language; no value where it is too short to tell | high |
| `words` | length | |
| `by model` | whether a language model wrote it | |
| `empty` | whether there is none; then no other metric has a value | low |
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...agents.case import Case, mean_vector
from ...agents.evidence import Evidence, gather_evidence
from ...models import Claim, Profile
from ...tools.language import detect_language
from ...tools.late_interaction import score_items
from ...tools.reward import Exam, boilerplate_penalty
from ...tools.store import RatingScale
from ...tools.waiting import wait_for
from ..dataset import FloatArray, IntArray
from ..encoding import Encoding
from ..pooling import score_late
from ..splits import Past, Queries
from .liked_texts import liked_texts
from .moments import interactions_of, moment_of

Columns = dict[str, FloatArray]

RECENT = 10
AUDIENCE = 64
"""Other users whose newest items a portrait is held against."""

_MOST_CITED = 4
_FEWEST_WORDS = 12
"""Below, nobody can tell a language."""


@dataclass(frozen=True, kw_only=True)
class Hanging:
    """Portraits and the people they are of."""

    past: Past
    queries: Queries
    profiles: Sequence[Profile | None]
    """One a query."""

    encoding: Encoding
    """Tells what is near what."""

    temperature: float
    """Of the late interaction, in cosine units."""

    support: float
    """Cosine, or share of words, from which an interaction supports a sentence."""

    seed: int
    """Draws the audience."""

    @property
    def shown(self) -> list[int]:
        """Return the queries that have a portrait."""
        return [query for query, profile in enumerate(self.profiles) if profile and profile.facets]

    def profile(self, query: int) -> Profile:
        """Return one of `shown`."""
        found = self.profiles[query]
        assert found is not None, "only those that are shown"
        return found

    def newest(self, query: int) -> IntArray:
        """Return the newest items of a history."""
        return self.queries.items_of(query)[-RECENT:]


def measure_portraits(hanging: Hanging) -> Columns:
    """Return every metric, one value a query; NaN where it does not apply."""
    values: Columns = {"empty": np.array([profile is None for profile in hanging.profiles], dtype=np.float32)}
    parts = (_forms(hanging), _support(hanging), _fit(hanging), _likeness(hanging))
    for part in parts:
        for name, column in part.items():
            values[name] = np.full(len(hanging.profiles), np.nan, dtype=np.float32)
            values[name][hanging.shown] = column
    return values


def agreement(one: FloatArray, two: FloatArray) -> FloatArray:
    """Return Spearman's rank correlation of each two rows, shape `(Q,)`, ties shared; NaN where one is constant.

    Examples:
        >>> agreement(np.float32([[1, 2, 3], [1, 1, 1]]), np.float32([[10, 20, 90], [1, 2, 3]])).tolist()
        [1.0, nan]
    """
    from scipy import stats

    untyped: Any = stats
    ranks: Any = [untyped.rankdata(scores, axis=1) for scores in (one, two)]
    left, right = (table - table.mean(axis=1, keepdims=True) for table in ranks)
    both = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        found: FloatArray = ((left * right).sum(axis=1) / both).astype(np.float32)
    return found


def scores_of(hanging: Hanging) -> FloatArray:
    """Return the score of every item by each of the portraits shown, shape `(shown, N)`."""
    matrix = hanging.encoding.encode_items(hanging.past.items)
    texts = [liked_texts(hanging.profile(query).facets) for query in hanging.shown]
    vectors = hanging.encoding.encode_each(texts)
    return score_late(vectors, matrix, temperature=hanging.temperature)


def _forms(hanging: Hanging) -> Columns:
    """Measure what can be read off a portrait alone."""
    profiles = [hanging.profile(query) for query in hanging.shown]
    languages = [_language_kept(profile) for profile in profiles]
    return {
        "words": _column([len(profile.text.split()) for profile in profiles]),
        "by model": _column([profile.source == "model" for profile in profiles]),
        "language kept": _column(languages),
        "diversity within": _column(_diversity(hanging, profiles)),
        "distinct-1": _column([distinct(profile.text, 1) for profile in profiles]),
        "distinct-2": _column([distinct(profile.text, 2) for profile in profiles]),
        **_verdicts(profiles),
    }


def distinct(text: str, size: int) -> float:
    """Return the share of different runs of so many words among all; NaN in a shorter text.

    Source:
        Li et al. 2016, section 5, https://arxiv.org/abs/1510.03055. Differs: within one text, not over a corpus.

    Examples:
        >>> distinct("Old maps, old boats and old maps.", 1), distinct("Old maps, old boats and old maps.", 2)
        (0.5714285714285714, 0.8333333333333334)
    """
    words = re.findall(r"\w+", text.casefold())
    runs = list(zip(*(words[start:] for start in range(size)), strict=False))
    return len(set(runs)) / len(runs) if runs else float("nan")


def _language_kept(profile: Profile) -> float:
    if len(profile.text.split()) < _FEWEST_WORDS:
        return float("nan")
    return float(detect_language([profile.text], []) == profile.language)


def _diversity(hanging: Hanging, profiles: Sequence[Profile]) -> list[float]:
    """Return the mean distance of each two sentences of a portrait."""
    texts = [[facet.text for facet in profile.facets] for profile in profiles]
    return [_mean_distance(vectors) for vectors in hanging.encoding.encode_each(texts)]


def _mean_distance(vectors: FloatArray) -> float:
    count = len(vectors)
    if count < 2:
        return float("nan")
    cosines = vectors @ vectors.T
    return float(1.0 - (cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def _verdicts(profiles: Sequence[Profile]) -> Columns:
    """Return what a judge said, where one was asked."""
    names = sorted(
        {name for profile in profiles for name in profile.reward_terms if name.startswith("judge_")}
    )
    return {
        name.replace("_", " "): _column([profile.reward_terms.get(name, np.nan) for profile in profiles])
        for name in names
    }


def _support(hanging: Hanging) -> Columns:
    """Measure how many sentences the history supports."""
    matrix = hanging.encoding.encode_items(hanging.past.items)
    scale = _scale_of(hanging.past)
    found = [wait_for(_support_of(hanging, query, matrix, scale)) for query in hanging.shown]
    return {"grounding": _column([one for one, _ in found]), "citations": _column([two for _, two in found])}


async def _support_of(
    hanging: Hanging, query: int, matrix: FloatArray, scale: RatingScale | None
) -> tuple[float, float]:
    profile, case = hanging.profile(query), _case_of(hanging, query, matrix, scale)
    evidence = await gather_evidence(hanging.encoding, case, profile.claims)
    vectors = await hanging.encoding.embed([facet.text for facet in profile.facets])
    cited: Mapping[str, Claim] = {claim.text: claim for claim in profile.claims}
    best = [
        evidence.cite(facet.text, vector, facet.polarity, most=_MOST_CITED).support
        for facet, vector in zip(profile.facets, vectors, strict=True)
    ]
    own = [
        _cited_support(evidence, cited[facet.text], facet.polarity, vector)
        for facet, vector in zip(profile.facets, vectors, strict=True)
        if facet.text in cited
    ]
    return _share(best, hanging.support), _share(own, hanging.support)


def _cited_support(evidence: Evidence, claim: Claim, polarity: Any, vector: FloatArray) -> float:
    return evidence.support(claim.text, vector, claim.evidence, polarity)


def _share(supports: Sequence[float], threshold: float) -> float:
    return float(np.mean([support >= threshold for support in supports])) if supports else float("nan")


def _case_of(hanging: Hanging, query: int, matrix: FloatArray, scale: RatingScale | None) -> Case:
    """Return a history as the material that sentences are held against; nothing of it is held back."""
    past, queries = hanging.past, hanging.queries
    history = queries.history_of(query)
    numbers: list[int] = history.item.tolist()
    items = {past.items[number].item_id: past.items[number] for number in numbers}
    nothing = np.zeros((0, matrix.shape[1]), dtype=np.float32)
    return Case(
        subject=f"user:{past.user_ids[int(queries.user[query])]}",
        as_of=moment_of(int(queries.as_of[query]), past.card.clock),
        visible=tuple(interactions_of(history, past)),
        held=(),
        items=items,
        language=hanging.profile(query).language,
        scale=scale,
        vectors={past.items[number].item_id: matrix[number] for number in numbers},
        exam=Exam(positives=nothing, negatives=nothing, own=nothing, others=(), targets=(), known=""),
        positives=(),
        negatives=(),
        neg_seed=0,
    )


def _scale_of(past: Past) -> RatingScale | None:
    """Return the scale of the past's ratings, without the 1 % at either end."""
    rated = past.events.rating[~np.isnan(past.events.rating)]
    if not len(rated):
        return None
    low, high = np.quantile(rated, [0.01, 0.99], method="nearest")
    return RatingScale(float(low), float(high), float(rated.mean()), len(rated))


def _fit(hanging: Hanging) -> Columns:
    """Measure how near a portrait is to its own history and to those of others."""
    matrix = hanging.encoding.encode_items(hanging.past.items)
    told = [query for query in range(len(hanging.queries)) if len(hanging.newest(query))]
    audience = np.random.default_rng(hanging.seed).permutation(told)[: AUDIENCE + 1].tolist()
    texts = [liked_texts(hanging.profile(query).facets) for query in hanging.shown]
    boiler: list[float] = []
    near: list[float] = []
    for query, vectors in zip(hanging.shown, hanging.encoding.encode_each(texts), strict=True):
        near.append(float(vectors[-1] @ mean_vector(matrix[hanging.newest(query)])))
        user = hanging.queries.user[query]
        others = [other for other in audience if hanging.queries.user[other] != user][:AUDIENCE]
        fits = [
            float(score_items(vectors, matrix[hanging.newest(one)], temperature=hanging.temperature).mean())
            for one in (query, *others)
        ]
        boiler.append(boilerplate_penalty(fits[0], fits[1:]) if others else float("nan"))
    return {"history similarity": _column(near), "boilerplate": _column(boiler)}


def _likeness(hanging: Hanging) -> Columns:
    """Measure how much portraits of different users are alike."""
    shown = hanging.shown
    wholes = hanging.encoding.encode([hanging.profile(query).text for query in shown])
    users = hanging.queries.user[shown]
    different = users[:, None] != users[None, :]
    count = different.sum(axis=1)
    cosines = (wholes @ wholes.T * different).sum(axis=1)
    return {"portrait similarity": np.where(count > 0, cosines / np.maximum(count, 1), np.nan)}


def _column(values: Sequence[float]) -> FloatArray:
    return np.array(values, dtype=np.float32)
