"""What everything is built of: the record base, interactions, items, messages and usage.

Every object is frozen and rejects unknown fields. The string under a field is its documentation and
travels with the JSON Schema.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Kind = Literal["view", "click", "purchase", "rating", "review", "message"]

Polarity = Literal["like", "dislike", "neutral"]

ProfileSource = Literal["model", "extractive"]


def _as_utc(moment: datetime) -> datetime:
    """Read a naive datetime as UTC and convert an aware one, so that moments compare."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside of the years 1 to 9999 in UTC") from error


Moment = Annotated[datetime, AfterValidator(_as_utc)]

LONGEST_ID = 512
"""Characters of an id at most."""

FEWEST_TOKENS = 40
"""Smallest room for a context, on every face: less holds a frame with nothing in it."""

Identifier = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]

Text = Annotated[str, Field(min_length=0)]
"""Any text, but no half of a character, which no file and no database takes: only a bound makes pydantic look."""


def whole(text: str) -> str:
    r"""Return a text with a question mark for each half of a character, as programs leave them that cut through emoji.

    Examples:
        >>> whole("tea \ud83c"), whole("tea")
        ('tea ?', 'tea')
    """
    return text.encode("utf-8", "replace").decode()


def content_hash(*parts: object) -> str:
    """Return 32 hexadecimal digits that depend on the parts, their order and nothing else."""
    pieces: list[bytes] = []
    for part in parts:
        encoded = repr(part).encode()
        pieces += (len(encoded).to_bytes(8, "big"), encoded)
    return hashlib.blake2b(b"".join(pieces), digest_size=16).hexdigest()


class Record(BaseModel):
    """Base of every stored, sent or model-written object."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _derive_event_id(fields: dict[str, Any]) -> str:
    """Hash an interaction's other fields, so that the same event always has the same id."""
    names = ("user_id", "item_id", "kind", "at", "rating", "text")
    values = [fields.get(name) for name in names]
    return content_hash(*(None if value is None else str(value) for value in values))


class Interaction(Record):
    """One thing a user did, at one moment."""

    user_id: Identifier
    """Whose behaviour this is; compared for equality only."""

    item_id: Identifier | None = None
    """The catalogue entry it concerns; absent for a chat message."""

    kind: Kind
    """What was done."""

    at: Moment
    """When, in UTC. A source that gives only an order counts seconds from 1970-01-01."""

    rating: float | None = None
    """On the source's own scale, not normalised; absent if the user gave none."""

    text: Text | None = None
    """The user's own words (review, chat turn); absent if there are none."""

    event_id: Identifier = Field(default_factory=_derive_event_id)
    """Unique in a tenant; recording it again changes nothing. Left out, it is a hash of the rest."""


_INTERACTION_FIELDS = set(Interaction.model_fields)


def checked_interaction(
    *,
    user_id: str,
    item_id: str | None,
    kind: Kind,
    at: datetime,
    rating: float | None,
    text: str | None,
    event_id: str | None,
) -> Interaction:
    """Return an interaction of parts that a reader or a database has checked; a third of the cost of checking again.

    Ids have 1 to `LONGEST_ID` characters, `at` is in UTC; without `event_id` it is derived, as it always is.

    Examples:
        >>> parts = {"user_id": "u", "item_id": "i", "kind": "click", "rating": None, "text": None}
        >>> now = datetime(2025, 1, 1, tzinfo=UTC)
        >>> checked_interaction(**parts, at=now, event_id=None) == Interaction(**parts, at=now)
        True
    """
    if event_id is None:
        rated = None if rating is None else str(rating)
        event_id = content_hash(user_id, item_id, kind, str(at), rated, text)
    made = Interaction.__new__(Interaction)
    # What `model_construct` does, without its loop over the fields.
    put = object.__setattr__
    put(
        made,
        "__dict__",
        {
            "user_id": user_id,
            "item_id": item_id,
            "kind": kind,
            "at": at,
            "rating": rating,
            "text": text,
            "event_id": event_id,
        },
    )
    put(made, "__pydantic_fields_set__", _INTERACTION_FIELDS)  # shared: nothing changes it in a frozen record
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    return made


class Item(Record):
    """A catalogue entry with the text its publisher gives."""

    item_id: Identifier
    """Unique in a tenant; compared for equality only, never shown to a model."""

    title: Text = ""
    """Name, or whatever words identify the item; empty if the source has none."""

    brand: Text | None = None
    """Maker or seller."""

    categories: tuple[Text, ...] = ()
    """Categories or genres, broad to narrow."""

    tags: tuple[Text, ...] = ()
    """Free keywords, by users or publisher."""

    description: Text | None = None
    """Longer publisher text."""

    def describe(self, max_chars: int = 400) -> str:
        """Return the text that is embedded and shown for this item, at most `max_chars` long."""
        title_words = self.title.casefold()
        brand = self.brand if self.brand and self.brand.casefold() not in title_words else None
        details = [brand, ", ".join(self.categories), ", ".join(self.tags), self.description]
        parts = [self.title, *(part for part in details if part)]
        return ". ".join(part for part in parts if part)[:max_chars]


class Usage(Record):
    """What something cost."""

    calls: int = 0
    """Requests sent to a model, retries included."""

    cached_calls: int = 0
    """Answers taken from the completion cache; they cost nothing."""

    prompt_tokens: int = 0
    """Tokens read, as the backend counts them."""

    completion_tokens: int = 0
    """Tokens written, as the backend counts them."""

    cost: float = 0.0
    """Money in US dollars; 0 for local models."""

    unpriced_calls: int = 0
    """Calls whose price nobody knows; they are in `calls`, but count as 0 in `cost`."""

    seconds: float = 0.0
    """Summed latency of the calls; calls may overlap."""

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Self) -> "Usage":
        """Add field by field."""
        names = Usage.model_fields
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @staticmethod
    def total(parts: Iterable["Usage"]) -> "Usage":
        """Add any number of usages."""
        return sum(parts, start=Usage())


class Message(Record):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""

    content: str
    """What is said."""
