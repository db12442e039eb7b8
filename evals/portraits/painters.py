"""Ways of getting a portrait: Limner's loop, or one plain completion."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from ...agents.case import FULL, describe_event, one_line, polarity_of
from ...agents.colophon import INCOMPLETE
from ...errors import EmptyHistoryError, ModelError, NoTextError, PriceUnknownError
from ...models import Facet, Profile
from ...records import Usage, content_hash
from ...settings import Settings
from ...tools.chat import ChatRequest, ChatResult
from ...tools.language import detect_language
from ...tools.prompt import load_prompt
from ...tools.store import Published
from .studio import Asking, Studio, Wanted

EXTRACTIVE = "extractive"
"""Writer that draws without a language model."""

ZERO_SHOT = load_prompt("zero_shot_profile")

_EVENTS_SHOWN = 20
_MOST_TOKENS = 200
_MOST_SENTENCES = 8
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")  # noqa: RUF001  # these end sentences too


class Painter(Asking, Protocol):
    """A way of getting portraits; its `kind` is of lower-case letters, digits and dashes."""

    @property
    def writer(self) -> str:
        """Who writes: `extractive`, or a LiteLLM model string; with all else that tells two painters apart."""
        ...

    @property
    def drawn_by(self) -> str:
        """Who writes in Limner's own loop."""
        ...

    def adapt(self, settings: Settings) -> Settings:
        """Return the settings that Limner draws with."""
        ...

    async def paint(self, studio: Studio, wanted: Sequence[Wanted]) -> dict[Wanted, Profile]:
        """Return portraits; who has nothing to draw from is left out."""
        ...


class LoopPainter:
    """Limner's own loop: cues, drafts, critique, revision, grounding.

    Args:
        writer: `extractive`, or a LiteLLM model string.
        drafting: Fields of `DraftingSettings` that differ from the configured ones.
    """

    kind = "portrait"
    asked = None

    def __init__(self, writer: str, drafting: Mapping[str, Any] | None = None) -> None:
        self.writer = self.drawn_by = writer
        self._drafting = dict(drafting or {})

    def adapt(self, settings: Settings) -> Settings:
        """Draw as configured, but for what this painter was told."""
        return settings.model_copy(update={"drafting": settings.drafting.model_copy(update=self._drafting)})

    async def paint(self, studio: Studio, wanted: Sequence[Wanted]) -> dict[Wanted, Profile]:
        """Draw everybody who is not up to date."""
        return await studio.each(wanted, studio.draw, f"portraits by {self.writer}")


class ZeroShotPainter:
    """One plain completion about the last interactions: no cues, no critic, no evidence."""

    kind = "zero-shot"
    drawn_by = EXTRACTIVE

    def __init__(self, writer: str) -> None:
        self.writer = self.asked = writer

    def adapt(self, settings: Settings) -> Settings:
        """Fall back on what is configured."""
        return settings

    async def paint(self, studio: Studio, wanted: Sequence[Wanted]) -> dict[Wanted, Profile]:
        """Ask once for everybody; where the model fails, Limner's extractive portrait stands in."""
        return await studio.each(
            wanted, lambda entry: self._describe(studio, entry), f"zero-shot by {self.writer}"
        )

    async def _describe(self, studio: Studio, entry: Wanted) -> Profile:
        assert studio.chat is not None, "`asked` names a model"
        told = await tell_history(studio, entry)
        messages = ZERO_SHOT.render(events=told.lines, language=told.language)
        fingerprint = content_hash(studio.chat.identity, messages)
        kept = await studio.kept.profile(entry.user_id, as_of=entry.as_of)
        if kept and kept.fingerprint == fingerprint:
            return kept
        request = ChatRequest(messages=messages, purpose=ZERO_SHOT.id, max_tokens=_MOST_TOKENS, seed=0)
        try:
            result = await studio.chat.for_subject(f"user:{entry.user_id}").complete(request, studio.budget)
        except PriceUnknownError:
            raise
        except ModelError as error:
            return await _stand_in(studio, entry, f"{ZERO_SHOT.id}: {error}", usage_of(error))
        if not result.text.strip():
            return await _stand_in(studio, entry, f"{ZERO_SHOT.id}: no words", result.usage)
        profile = _read(result, entry, told.language, fingerprint)
        return await studio.kept.publish(Published(profile, ()))


class HistoryInWords(NamedTuple):
    """A history as prompts show it."""

    lines: list[str]
    """One interaction each, oldest first."""

    language: str


async def tell_history(studio: Studio, entry: Wanted, last: int = _EVENTS_SHOWN) -> HistoryInWords:
    """Return the last interactions before a moment in words.

    Raises:
        EmptyHistoryError: There are none.
        NoTextError: Nothing in them has any text.
    """
    events = await studio.store.history(entry.user_id, as_of=entry.as_of, last=last)
    if not events:
        raise EmptyHistoryError(entry.user_id, entry.as_of.isoformat())
    items = await studio.store.items([event.item_id for event in events if event.item_id])
    described = [item.describe() for item in items.values()]
    words = [event.text for event in events if event.text]
    if not any(described) and not words:
        raise NoTextError(f"user:{entry.user_id}")
    scale = await studio.store.rating_scale(as_of=entry.as_of)
    lines = [describe_event(event, items, polarity_of(event, scale), FULL) for event in events]
    return HistoryInWords(lines, detect_language(words, described))


def usage_of(error: ModelError) -> Usage:
    """Return what a failure cost, as far as it says."""
    spent = getattr(error, "usage", None)
    return spent if isinstance(spent, Usage) else Usage()


async def _stand_in(studio: Studio, entry: Wanted, why: str, spent: Usage) -> Profile:
    """Draw without the model; nothing is kept under the model's name, so that another run asks again."""
    drawn = await studio.draw(entry)
    return unfinished(drawn, spent, why)


def unfinished(drawn: Profile, spent: Usage, why: str) -> Profile:
    """Mark what stands in for a portrait that a model failed to give, so that another run tries again."""
    marked = f"{INCOMPLETE}{drawn.fingerprint.removeprefix(INCOMPLETE)}"
    return drawn.model_copy(
        update={"usage": drawn.usage + spent, "notes": (*drawn.notes, why), "fingerprint": marked}
    )


def _read(result: ChatResult, entry: Wanted, language: str, fingerprint: str) -> Profile:
    """Take each sentence of a completion for a facet."""
    text = one_line(result.text)
    sentences = tuple(part for part in _SENTENCE_END.split(text) if part)[:_MOST_SENTENCES]
    return Profile(
        user_id=entry.user_id,
        version=1,
        as_of=entry.as_of,
        text=text,
        likes=sentences,
        facets=tuple(
            Facet(name=f"sentence {place}", text=sentence)
            for place, sentence in enumerate(sentences, start=1)
        ),
        language=language,
        source="model",
        usage=result.usage,
        model=result.model,
        prompt_versions={ZERO_SHOT.id: ZERO_SHOT.version},
        critic_version="none",
        fingerprint=fingerprint,
        created_at=datetime.now(UTC),
    )
