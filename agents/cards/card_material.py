"""What a card rests on: one item's publisher text, and what others wrote about it before a moment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import NamedTuple

import numpy as np

from ...errors import NoTextError
from ...records import Interaction, Item, content_hash
from ...tools.embedder import FloatArray
from ...tools.language import detect_language
from ...tools.prompt import load_prompt
from ...tools.reward import Exam
from ...tools.store import RatingScale
from ..case import Case, EventLine, one_line
from ..lexicon import Lexicon, item_phrases, rank_phrases, text_phrases
from ..phrasing import SLOTS
from ..state import LENGTHS, Deps

BATCHED = ("describe_items",)
CHAIN = ("card_likers", "card_dislikers", "card_feature")
"""Prompts of the two forms, in the order of asking."""

_FORM = 3
"""Counts up when fixed sentences are made of other phrases, or grounding changes."""

_TAG = re.compile(r"<!--.*?(?:-->|$)|<[^<>]{0,500}(?:>|$)", re.DOTALL)
_READ = 50
_PHRASES = 9
_DESCRIPTION_CHARACTERS = 200
_SHORTEST_NAME = 3
_PUBLISHER_CHARACTERS = {"free": 400, "lexicon": 200, "plain": 200}


class CardPhrases(NamedTuple):
    """Phrases for the parts of a card, best first; none is empty."""

    likers: list[str]
    """What those look for who like the item."""

    dislikers: list[str]
    """What those avoid who do not."""

    grounds: list[str]
    """What others say of it; its labels if nobody says anything."""

    apart: list[str]
    """What sets it apart."""


@dataclass(frozen=True, kw_only=True)
class CardMaterial:
    """One item and what may be said about it."""

    item: Item
    case: Case
    """The reviews shown, as a history of nobody; it holds no user id that a prompt or a phrase could take."""

    vector: FloatArray
    """The item's unit vector, shape `(D,)`."""

    fingerprint: str
    """Hash of exactly what is shown, and of who writes."""

    text: str
    """The publisher's text as a prompt shows it."""

    lines: list[EventLine]
    """The reviews as a prompt shows them."""

    phrases: CardPhrases
    """What fixed sentences may say."""

    @property
    def reviews(self) -> tuple[Interaction, ...]:
        """The reviews shown, oldest first."""
        return self.case.visible

    @property
    def read_to(self) -> datetime | None:
        """Moment of the newest review shown."""
        return self.reviews[-1].at if self.reviews else None


async def read_material(
    deps: Deps, item: Item, vector: FloatArray, *, as_of: datetime, scale: RatingScale | None
) -> CardMaterial:
    """Read an item's reviews before `as_of` and name what a card of it rests on.

    Raises:
        NoTextError: Neither the catalogue nor anybody's words say anything about the item.
    """
    item = _without_markup(item)
    events = await deps.store.item_history(item.item_id, as_of=as_of, last=_READ)
    written = _without_names([event for event in events if event.text and event.text.strip()])
    case = _case(item, written, as_of, scale, deps.embedder.dimension)
    shown = _chosen(case, deps.settings.cards.reviews)
    language = detect_language([event.text or "" for event in shown], [item.describe()])
    case = _case(item, shown, as_of, scale, deps.embedder.dimension, language=language)
    text, lines = (
        one_line(item.describe(_PUBLISHER_CHARACTERS[deps.style])),
        case.lines(shown, LENGTHS[deps.style]),
    )
    return CardMaterial(
        item=item,
        case=case,
        vector=vector,
        fingerprint=_fingerprint(deps, item, case, (text, *(line.line for line in lines))),
        text=text,
        lines=lines,
        phrases=phrases_of(deps, item, case),
    )


def phrases_of(deps: Deps, item: Item, case: Case) -> CardPhrases:
    """Return the phrases of an item's texts and reviews that the parts of its card may use.

    Who dislikes it is told by what disliking reviewers say, then by what the item is: who avoids that is put off.
    A review's phrase counts only if two reviewers or the catalogue use it, so that no reviewer's own words do.

    Raises:
        NoTextError: There are none.
    """
    labels = item_phrases(item, case.language)
    publishers = detect_language([], [item.describe()])  # reviewers may write in another language
    title = text_phrases(item.title, publishers, most_words=2)
    description = (item.description or "")[:_DESCRIPTION_CHARACTERS]
    described = [phrase for phrase in text_phrases(description, publishers, most_words=2) if " " in phrase]
    spoken = _common_words(case, deps.lexicon)
    liked = [spoken[event.event_id] for event in case.visible if case.polarity(event) != "dislike"]
    disliked = [spoken[event.event_id] for event in case.visible if case.polarity(event) == "dislike"]
    anything = [*labels, *title, *described, *(phrase for said in liked + disliked for phrase in said)][:1]
    if not anything:
        raise NoTextError(case.subject)

    def rank(*mentions: tuple[Sequence[str], float]) -> list[str]:
        return [phrase for phrase, _ in rank_phrases(mentions, deps.lexicon, limit=_PHRASES)]

    likers = rank((labels, 1.0), *((said, 0.5) for said in liked)) or anything
    complaints = rank(*((said, 1.0) for said in disliked))
    praise = rank(*((said, 1.0) for said in liked))
    return CardPhrases(
        likers=likers,
        # Without a complaint, what else the item is: not the very words that draw people to it.
        dislikers=_first([*complaints, *likers[SLOTS:], *likers]),
        grounds=_first([*praise, *complaints], but=likers),
        apart=_first([*title, *praise, *described, *likers], but=likers),
    )


def _common_words(case: Case, lexicon: Lexicon) -> dict[str, list[str]]:
    """Return, by event id, the phrases of a review that another reviewer or the catalogue uses too."""
    speakers: dict[str, set[str]] = {}
    for event in case.visible:
        for phrase in case.words(event):
            speakers.setdefault(phrase, set()).add(event.user_id)
    return {
        event.event_id: [
            phrase for phrase in case.words(event) if len(speakers[phrase]) > 1 or lexicon.knows(phrase)
        ]
        for event in case.visible
    }


def _first(phrases: Sequence[str], *, but: Sequence[str] = ()) -> list[str]:
    """Return the first phrases that add a word to those before them and to `but`; those of `but` if none does."""
    kept: list[str] = []
    said = {word for phrase in but for word in phrase.split()}
    for phrase in phrases:
        words = set(phrase.split())
        if not words & said:
            kept.append(phrase)
            said |= words
    return kept[:_PHRASES] or list(but)


def writer_of(deps: Deps) -> str:
    """Name who writes, in which form and with which prompts."""
    if deps.chat is None:
        return "none"
    form = deps.settings.cards.form
    prompts = [f"{name} v{load_prompt(name).version}" for name in prompt_names(deps)]
    return f"{deps.chat.identity}/{deps.style}/{form}/{deps.settings.cards.temperature}/{', '.join(prompts)}"


def prompt_names(deps: Deps) -> tuple[str, ...]:
    """Return the prompts that a card is written with; none without a model."""
    if deps.chat is None:
        return ()
    return BATCHED if deps.settings.cards.form == "batched" else CHAIN


def _fingerprint(deps: Deps, item: Item, case: Case, shown: Sequence[str]) -> str:
    """Hash what is shown; what the catalogue's phrases are worth is left out, since every new item moves it."""
    return content_hash(
        _FORM,
        item.item_id,
        item_phrases(item, case.language),
        item.title,
        shown,
        [event.event_id for event in case.visible],
        case.language,
        writer_of(deps),
        deps.settings.critic.support,
        deps.embedder.name,
    )


def _chosen(case: Case, most: int) -> tuple[Interaction, ...]:
    """Take the newest reviews, at most half of them disliking ones unless there are too few others."""
    newest = list(reversed(case.visible))
    disliking = [event for event in newest if case.polarity(event) == "dislike"][: (most + 1) // 2]
    others = [event for event in newest if event not in disliking][: most - len(disliking)]
    taken = {event.event_id for event in (*disliking, *others)}
    return tuple(event for event in case.visible if event.event_id in taken)


def _without_markup(item: Item) -> Item:
    """Return an item whose description is plain words: shops keep HTML there."""
    if not item.description:
        return item
    return item.model_copy(update={"description": unescape(_TAG.sub(" ", item.description)).strip() or None})


def _without_names(events: Sequence[Interaction]) -> list[Interaction]:
    """Take the reviewers' ids out of their words, in case somebody signed."""
    names = sorted({event.user_id for event in events if len(event.user_id) >= _SHORTEST_NAME})
    if not names:
        return list(events)
    signed = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
    return [event.model_copy(update={"text": signed.sub(" ", event.text or "")}) for event in events]


def _case(
    item: Item,
    events: Sequence[Interaction],
    as_of: datetime,
    scale: RatingScale | None,
    dimension: int,
    *,
    language: str = "en",
) -> Case:
    """Return reviews as a case without an exam; the item is left out, so that a review stands for its own words."""
    nothing = np.zeros((0, dimension), dtype=np.float32)
    return Case(
        subject=f"item:{item.item_id}",
        as_of=as_of,
        visible=tuple(events),
        held=(),
        items={},
        language=language,
        scale=scale,
        vectors={},
        exam=Exam(positives=nothing, negatives=nothing, own=nothing, others=(), targets=(), known=""),
        positives=(),
        negatives=(),
        neg_seed=0,
    )
