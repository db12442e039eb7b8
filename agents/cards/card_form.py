"""The form of a card: how it is asked for, many items in one completion or one item in three, and how it is read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ...cards import MOST_FEATURE_WORDS
from ...tools.chat import ChatRequest
from ...tools.prompt import load_prompt
from ...tools.schemas import is_object
from ..calling import make_request
from ..case import EventLine
from ..json_schema import object_schema
from ..phrasing import Opening, compose, sentence_pattern
from ..state import Deps, Style
from .card_material import BATCHED, CHAIN, CardMaterial

PARTS = ("liked_by", "disliked_by", "reasoning", "feature")
"""The parts of a card, in the order of reasoning."""

_OPENINGS: dict[str, Opening] = {
    "liked_by": "suits",
    "disliked_by": "unsuits",
    "reasoning": "grounds",
    "feature": "apart",
}
_MOST_CHARACTERS = {"liked_by": 240, "disliked_by": 240, "reasoning": 240, "feature": 180}
_FEWEST_CHARACTERS = 12
_TOKENS: dict[Style, int] = {"free": 70, "lexicon": 40, "plain": 40}
"""Of one part."""

_CLAUSE = re.compile(r"[,;:.!?。、，]\s*$")  # noqa: RUF001  # full-width marks end clauses too


class CardDraft(BaseModel):
    """A card as a model writes it; a part it leaves out is empty."""

    liked_by: str = ""
    """Who would like the item."""

    disliked_by: str = ""
    """Who would not."""

    reasoning: str = ""
    """What follows for what sets it apart."""

    feature: str = ""
    """What sets it apart."""

    def tidy(self) -> "CardDraft":
        """Return it with single blanks and a feature of at most 25 words."""
        parts = {name: " ".join(getattr(self, name).split()) for name in PARTS}
        return CardDraft(**parts | {"feature": shorten(parts["feature"], MOST_FEATURE_WORDS)})

    @property
    def is_whole(self) -> bool:
        """Whether it says who would like the item, who would not, and what sets it apart."""
        return bool(self.liked_by.strip() and self.disliked_by.strip() and self.feature.strip())


CardDrafts = dict[str, Any]
"""An answer about several items: reference to what should be a `CardDraft`; one that is none loses only itself."""


class ShownItem(BaseModel):
    """An item as the prompt shows it."""

    ref: str
    """Short name, valid within one prompt."""

    text: str
    """The publisher's text."""

    reviews: list[EventLine]
    """What was written about it."""


def extractive_draft(material: CardMaterial) -> CardDraft:
    """Write a card in fixed sentences from its best phrases, without a model."""
    return CardDraft(**{name: fixed_sentence(material, name) for name in PARTS})


def batch_request(deps: Deps, batch: Sequence[CardMaterial]) -> ChatRequest:
    """Ask for the cards of several items of one language in one completion."""
    prompt = load_prompt(BATCHED[0])
    shown = [
        ShownItem(ref=ref, text=material.text, reviews=material.lines)
        for ref, material in zip(refs(batch), batch, strict=True)
    ]
    language = batch[0].case.language
    parts = {ref: _schema(deps, material, PARTS) for ref, material in zip(refs(batch), batch, strict=True)}
    return make_request(
        prompt,
        prompt.render(items=shown, language=language, most_words=MOST_FEATURE_WORDS),
        schema=object_schema(parts),
        max_tokens=_TOKENS[deps.style] * len(PARTS) * len(batch),
        seed=deps.settings.drafting.seed,
        temperature=deps.settings.cards.temperature,
        top_p=deps.settings.drafting.top_p,
    )


def refs(batch: Sequence[CardMaterial]) -> list[str]:
    """Return short names of a batch's items; ids never reach a model."""
    return [f"i{number}" for number in range(1, len(batch) + 1)]


def read_batch(batch: Sequence[CardMaterial], answer: Mapping[str, Any]) -> dict[str, CardDraft]:
    """Return the whole cards of an answer, by fingerprint; what the answer misses or spoils is left out."""
    found: dict[str, CardDraft] = {}
    for ref, material in zip(refs(batch), batch, strict=True):
        written = answer.get(ref)
        if not is_object(written):
            continue
        try:
            draft = CardDraft.model_validate({name: written.get(name, "") for name in PARTS}).tidy()
        except ValidationError:
            continue
        if draft.is_whole:
            found[material.fingerprint] = draft
    return found


def chain_request(deps: Deps, material: CardMaterial, step: int, so_far: CardDraft) -> ChatRequest:
    """Ask one of the three questions about one item: who would like it, who would not, what sets it apart.

    Source:
        ISRF's sequence of item prompts (`METHODS` of the paper). Differs: constrained decoding, shorter answers, and
        reviews before a moment in place of a random split.
    """
    prompt = load_prompt(CHAIN[step])
    known = {"liked_by": so_far.liked_by, "disliked_by": so_far.disliked_by, "most_words": MOST_FEATURE_WORDS}
    names = (("liked_by",), ("disliked_by",), ("reasoning", "feature"))[step]
    return make_request(
        prompt,
        prompt.render(
            item=material.text,
            reviews=material.lines,
            language=material.case.language,
            **{name: value for name, value in known.items() if name in prompt.inputs},
        ),
        schema=_schema(deps, material, names),
        max_tokens=_TOKENS[deps.style] * len(names),
        seed=deps.settings.drafting.seed,
        temperature=deps.settings.cards.temperature,
        top_p=deps.settings.drafting.top_p,
    )


def shorten(text: str, most_words: int) -> str:
    """Return the first words of a text: up to its last clause that fits, else as many words as fit.

    Examples:
        >>> shorten("A calm story, told slowly, about rain and more rain", 6)
        'A calm story, told slowly.'
        >>> shorten("one two three four", 3), shorten("Fits as it is.", 9)
        ('one two three.', 'Fits as it is.')
    """
    words = text.split()
    if len(words) <= most_words:
        return text
    kept = words[:most_words]
    ends = [place for place, word in enumerate(kept, start=1) if _CLAUSE.search(word)]
    if ends and ends[-1] > most_words // 2:
        kept = kept[: ends[-1]]
    return " ".join(kept).rstrip(",;:.!?") + "."


def fixed_sentence(material: CardMaterial, name: str) -> str:
    """Return the sentence that stands for a part without a model."""
    return compose(_phrases(material, name), material.case.language, _OPENINGS[name])


def _phrases(material: CardMaterial, name: str) -> list[str]:
    phrases = material.phrases
    by_part = {
        "liked_by": phrases.likers,
        "disliked_by": phrases.dislikers,
        "reasoning": phrases.grounds,
        "feature": phrases.apart,
    }
    return by_part[name]


def _schema(deps: Deps, material: CardMaterial, names: Sequence[str]) -> dict[str, Any]:
    return object_schema({name: _part(deps, material, name) for name in names})


def _part(deps: Deps, material: CardMaterial, name: str) -> dict[str, Any]:
    """Return a part's schema: any sentence, or a fixed one over the item's own phrases."""
    if deps.style == "free":
        return {"type": "string", "minLength": _FEWEST_CHARACTERS, "maxLength": _MOST_CHARACTERS[name]}
    seed = int(material.fingerprint[:8], 16)
    pattern = sentence_pattern(_phrases(material, name), material.case.language, _OPENINGS[name], seed=seed)
    return {"type": "string", "pattern": pattern}
