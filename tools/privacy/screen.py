"""The screen between what people wrote and what models read and Limner keeps of it.

On the way in, other people's texts lose orders to a model and, as far as the policy says, personal data and sentences
that tell a sensitive trait; what was recorded stays as it is. On the way out, a sentence that a model (or a rule) made
of them is kept only if it holds nothing of that kind. A text in which nothing is found stays the same, byte for byte.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from ...records import Interaction, Item, Message, content_hash
from ...sections import PrivacySettings
from .identifiers import identifier_spans
from .orders import WITHHELD, Span, is_unsafe, joined, orders_hash, replaced, unsafe_spans
from .people import person_spans
from .privacy_words import privacy_hash
from .remembered import Remembered
from .sensitive import names_trait, own_traits
from .unseen import without_unseen

VERSION = 1
"""Counts up when something else is found."""

_CORRECTED = re.compile(r"^≠ ", re.MULTILINE)
"""How a correction says what is wrong; see `agents.corrections.correction`."""

_REMEMBERED, _LETTERS = 16_384, 4 << 20
"""Texts, and letters of all of them, that are remembered of each way to look at them."""


_Found = TypeVar("_Found", str, bool)


class _Policy(NamedTuple):
    """What is looked for; hashable, so that what was screened is remembered."""

    redact: bool
    sensitive: bool
    regions: tuple[str, ...]


class Screen:
    """What one tenant lets through.

    Args:
        settings: The tenant's policy; see `PrivacySettings.of_tenant`.
    """

    def __init__(self, settings: PrivacySettings | None = None) -> None:
        chosen = settings or PrivacySettings()
        self._policy = _Policy(chosen.redact, chosen.sensitive, chosen.regions)

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides what passes."""
        return content_hash(VERSION, self._policy, orders_hash(), privacy_hash())

    def words(self, text: str) -> str:
        """Return what a person wrote, as models may read it."""
        return _words(self._policy, text)

    def published(self, text: str) -> str:
        """Return a publisher's text, as models may read it; names and article numbers stay."""
        return _published(self._policy, text)

    def message(self, message: Message) -> Message:
        """Return a message on its way to a model without identifiers, the last gate; prompts themselves hold none."""
        if not self._policy.redact:
            return message
        spans = joined(identifier_spans(message.content, ()))
        return message.model_copy(update={"content": replaced(message.content, spans)}) if spans else message

    def allows(self, sentence: str) -> bool:
        """Whether a sentence made of people's words may be kept and told."""
        return _allows(self._policy, sentence)

    def safe(self, sentence: str) -> bool:
        """Whether a sentence about no person in particular, such as one about an item, may be kept and told."""
        return _safe(self._policy, sentence)

    def event(self, event: Interaction) -> Interaction:
        """Return an interaction as models may read it."""
        if not event.text:
            return event
        if _CORRECTED.search(event.text):  # each line has a meaning of its own
            text = "\n".join(map(self.words, event.text.split("\n")))
        else:
            text = self.words(event.text)
        return event if text == event.text else event.model_copy(update={"text": text})

    def events(self, events: Sequence[Interaction]) -> list[Interaction]:
        """Return a history as models may read it; orders that run over several entries are taken out of each."""
        return _without_split_orders([self.event(event) for event in events])

    def item(self, item: Item) -> Item:
        """Return a catalogue entry as models may read it."""
        labels = {
            name: tuple(label for label in map(self.published, getattr(item, name)) if _says(label))
            for name in ("categories", "tags")
        }
        texts = {
            name: self.published(said) if (said := getattr(item, name)) else said
            for name in ("title", "brand", "description")
        }
        changed = {
            name: value for name, value in (*labels.items(), *texts.items()) if value != getattr(item, name)
        }
        return item.model_copy(update=changed) if changed else item


def _says(label: str) -> bool:
    return any(character.isalnum() for character in label)


def _remembered(function: Callable[[_Policy, str], _Found]) -> Remembered[_Policy, _Found]:
    return Remembered(function, most=_REMEMBERED, letters=_LETTERS)


@_remembered
def _words(policy: _Policy, text: str) -> str:
    seen = without_unseen(text)
    spans = unsafe_spans(seen)
    if policy.redact:
        spans += [*identifier_spans(seen, policy.regions), *person_spans(seen)]
    if not policy.sensitive:
        spans += own_traits(seen)
    return replaced(seen, joined(spans)) if spans else seen


@_remembered
def _published(policy: _Policy, text: str) -> str:
    seen = without_unseen(text)
    spans = unsafe_spans(seen)
    if policy.redact:
        spans += identifier_spans(seen, ())
    return replaced(seen, joined(spans)) if spans else seen


@_remembered
def _allows(policy: _Policy, sentence: str) -> bool:
    return _safe(policy, sentence) and (policy.sensitive or not names_trait(sentence))


@_remembered
def _safe(policy: _Policy, sentence: str) -> bool:
    if is_unsafe(sentence) or sentence.strip() == WITHHELD:
        return False
    return not (policy.redact and any(identifier_spans(sentence, ())))


def _without_split_orders(events: Sequence[Interaction]) -> list[Interaction]:
    """Take out orders whose parts stand in entries that follow each other."""
    shown = list(events)
    spoken = [place for place, event in enumerate(shown) if event.text]
    for first, second in pairwise(spoken):
        head, tail = shown[first].text or "", shown[second].text or ""
        border = len(head) + 1
        crossing = [
            span for span in unsafe_spans(f"{head} {tail}") if span.start < border - 1 and span.end > border
        ]
        if crossing:
            shown[first] = _cut(shown[first], [Span(span.start, len(head)) for span in crossing])
            shown[second] = _cut(shown[second], [Span(0, span.end - border) for span in crossing])
    return shown


def _cut(event: Interaction, spans: Iterable[Span]) -> Interaction:
    return event.model_copy(update={"text": replaced(event.text or "", joined(spans))})
