"""The critic: numbers for a draft, and a sentence the next draft can use."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..models import Critique
from ..records import Usage
from ..sections import CriticSettings
from ..tools.embedder import FloatArray
from ..tools.late_interaction import mid_ranks, score_items
from ..tools.leaks import leak_penalty
from ..tools.reward import boilerplate_penalty, rank_reward, score
from .calling import Answer
from .case import Case
from .cue_drafts import offered_phrases
from .evidence import Evidence, gather_evidence
from .next_item import next_item_reward
from .state import Deps, Draft

_MOST_MISSED = 4
_NEAREST = 3
_BOILERPLATE_FROM = 0.5
_PAIR_LENGTH = 2
"""A pair holds two profiles, and may be so many times as long as one."""


class Review(NamedTuple):
    """What reading several drafts gave."""

    drafts: list[Draft]
    usage: Usage
    notes: list[str]
    exhausted: bool


class Read(NamedTuple):
    """One draft's vectors."""

    sentences: FloatArray
    """One row a claim, by the encoder itself, shape `(C, D)`: evidence is a matter of meaning alone."""

    liked: FloatArray
    """Rows that score items: liked sentences, then all of them as one text; in the critic's space, `(F, D)`."""

    item_side: FloatArray
    """One row a claim of the item's profile, in the critic's space, `(I, D)`; I = 0 for a profile."""

    frozen: FloatArray
    """`liked` by the encoder itself, shape `(F, D)`."""


class Place(NamedTuple):
    """Where a draft puts the held-back items."""

    ranks: NDArray[np.float64]
    """Mid-rank of each among the negatives, shape `(P,)`."""

    margin: float
    """Mean score less that of the negatives, in cosine units."""


async def criticise(deps: Deps, case: Case, drafts: Sequence[Draft]) -> Review:
    """Grade drafts; every text of all of them is embedded in one call."""
    if not drafts:
        return Review([], Usage(), [], False)
    reads = await read_drafts(deps, drafts)
    claims = [claim for draft in drafts for claim in draft.claims]
    evidence = await gather_evidence(deps.embedder, case, claims)
    answers = await asyncio.gather(*(_text_reward(deps, case, draft) for draft in drafts))
    if any(answer.value is None for answer in answers):  # totals compare only if all have the same terms
        answers = [answer._replace(value=None) for answer in answers]
    criticised = [
        draft.model_copy(update={"critique": _critique(deps, case, evidence, draft, read, answer.value)})
        for draft, read, answer in zip(drafts, reads, answers, strict=True)
    ]
    return Review(
        criticised,
        Usage.total(answer.usage for answer in answers),
        sorted({answer.note for answer in answers if answer.note}),
        any(answer.exhausted for answer in answers),
    )


async def read_drafts(deps: Deps, drafts: Sequence[Draft]) -> list[Read]:
    """Embed the sentences of each draft, and what it says the user likes as a whole.

    Encoders do not see negation, so sentences about dislikes would pull in what they name.
    """
    texts: list[str] = []
    for draft in drafts:
        texts += [
            *(claim.text for claim in draft.claims),
            draft.liked_text,
            *(claim.text for claim in draft.item_claims),
        ]
    vectors = await deps.embedder.embed(texts)
    reads: list[Read] = []
    start = 0
    for draft in drafts:
        middle, end = start + len(draft.claims), start + len(draft.claims) + 1 + len(draft.item_claims)
        sentences = vectors[start:middle]
        likes = [
            row for row, facet in zip(sentences, draft.facets, strict=True) if facet.polarity != "dislike"
        ]
        frozen = np.concatenate([*(row[None] for row in likes), vectors[middle : middle + 1]])
        item_side = deps.space.items(vectors[middle + 1 : end])
        reads.append(Read(sentences, deps.space.users(frozen), item_side, frozen))
        start = end
    return reads


async def _text_reward(deps: Deps, case: Case, draft: Draft) -> Answer[float]:
    if deps.settings.reward.text == 0 or not case.has_exam or deps.chat is None:
        return Answer()
    return await next_item_reward(deps, case, draft.text)


def _critique(
    deps: Deps, case: Case, evidence: Evidence, draft: Draft, read: Read, text_reward: float | None
) -> Critique:
    critic = critic_settings(deps)
    supports = [
        evidence.support(claim.text, vector, claim.evidence, facet.polarity)
        for claim, facet, vector in zip(draft.claims, draft.facets, read.sentences, strict=True)
    ]
    extra = {} if text_reward is None else {"text": text_reward}
    paired = draft.pair is not None
    length = critic.model_copy(update={"max_words": _PAIR_LENGTH * critic.max_words}) if paired else critic
    rewards = score(
        draft.whole,
        read.liked,
        supports,
        case.exam,
        critic=length,
        weights=deps.settings.reward,
        extra=extra | _item_rank(case, read, critic.temperature) | _frozen_rank(deps, case, read),
        verdicts=paired,
    )
    pairs = list(zip(draft.claims, supports, strict=True))
    unsupported = tuple(claim.text for claim, support in pairs if support < critic.support)
    boilerplate = _boilerplate(deps, case, draft, read)
    placed = _place(case, read, critic.temperature)
    missed = _missed(deps, case, draft, placed.ranks) if placed else ()
    return Critique(
        rank=float(placed.ranks.mean()) if placed else None,
        margin=placed.margin if placed else None,
        missed=missed,
        unsupported=unsupported,
        boilerplate=boilerplate,
        rewards=rewards,
        advice=_advise(
            missed,
            _quotable(unsupported, case),
            _quotable(boilerplate, case),
            too_long=rewards.get("length", 0.0) > 0,
        ),
    )


def critic_settings(deps: Deps) -> CriticSettings:
    """Return the critic's settings; a space that learned how sharply to choose among facets decides that."""
    critic, learned = deps.settings.critic, deps.space.temperature
    return critic if learned is None else critic.model_copy(update={"temperature": learned})


def _frozen_rank(deps: Deps, case: Case, read: Read) -> dict[str, float]:
    """Rank in the encoder's own space, where that is not the critic's."""
    if case.frozen is None or not case.has_exam:
        return {}
    temperature = deps.settings.critic.temperature
    positives = score_items(read.frozen, case.frozen.positives, temperature=temperature)
    negatives = score_items(read.frozen, case.frozen.negatives, temperature=temperature)
    return {"frozen_rank": rank_reward(positives, negatives)}


def _item_rank(case: Case, read: Read, temperature: float) -> dict[str, float]:
    """For a pair: do the item's sentences find its held-back users among others?"""
    side = case.item_side
    if side is None or not len(side.held_users) or not len(side.other_users) or not len(read.item_side):
        return {}
    fans = score_items(read.item_side, side.held_users, temperature=temperature)
    others = score_items(read.item_side, side.other_users, temperature=temperature)
    return {"item_rank": rank_reward(fans, others)}


def _place(case: Case, read: Read, temperature: float) -> Place | None:
    if not case.has_exam:
        return None
    positives = score_items(read.liked, case.exam.positives, temperature=temperature)
    negatives = score_items(read.liked, case.exam.negatives, temperature=temperature)
    return Place(mid_ranks(positives, negatives), float(positives.mean() - negatives.mean()))


def _boilerplate(deps: Deps, case: Case, draft: Draft, read: Read) -> tuple[str, ...]:
    """Return liked sentences that fit most other users at least as well as their own user."""
    if not len(case.exam.own) or not case.exam.others:
        return ()
    spoken = deps.space.users(read.sentences)
    best = case.exam.everybody.peaks(spoken @ case.exam.everybody.vectors.T)  # (C, 1 + U)
    return tuple(
        facet.text
        for facet, (own, *others) in zip(draft.facets, best.tolist(), strict=True)
        if facet.polarity != "dislike" and boilerplate_penalty(own, others) > _BOILERPLATE_FROM
    )


def _missed(deps: Deps, case: Case, draft: Draft, ranks: NDArray[np.float64]) -> tuple[str, ...]:
    """Name what the draft leaves out although it points at the worst-ranked held-back item.

    Only phrases of *visible* interactions are named: those of the visible items nearest to the missed one.
    """
    missed = (case.frozen or case.exam).positives[int(np.argmax(ranks))]
    seen = [
        event for event in case.visible if event.item_id in case.vectors and case.polarity(event) != "dislike"
    ]
    nearest = sorted(seen, key=lambda event: -float(case.vectors[event.item_id or ""] @ missed))[:_NEAREST]
    said = draft.text.casefold()
    phrases = [phrase for event in nearest for phrase in offered_phrases(case, event, deps.lexicon)]
    return tuple(dict.fromkeys(phrase for phrase in phrases if phrase not in said))[:_MOST_MISSED]


def _quotable(sentences: Sequence[str], case: Case) -> list[str]:
    """Leave out sentences that guessed a held-back title: to quote the guess would be to name it."""
    exam = case.exam
    verdicts = case.item_side is not None
    return [
        sentence
        for sentence in sentences
        if not leak_penalty(sentence, exam.targets, exam.known, verdicts=verdicts)
    ]


def _advise(
    missed: Sequence[str], unsupported: Sequence[str], boilerplate: Sequence[str], *, too_long: bool
) -> str:
    parts = [
        f"Say more about {', '.join(missed)}." if missed else "",
        f"The entries do not support: {' '.join(unsupported)}" if unsupported else "",
        f"This fits almost anybody, so make it more specific: {' '.join(boilerplate)}" if boilerplate else "",
        "It is too long." if too_long else "",
    ]
    return " ".join(part for part in parts if part) or "Keep what is there and say it more precisely."
