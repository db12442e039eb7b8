"""Cards: what reasoning about an item found, as data."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from .errors import LimnerError
from .models import Claim
from .records import Identifier, Moment, ProfileSource, Record, Usage

MOST_FEATURE_WORDS = 25
"""Words of a card's feature at most."""


class ItemCard(Record):
    """What reasoning about an item found: who it is for, who it is not for, and why.

    It rests on the publisher's text and on reviews before `as_of`; it never names a reviewer.
    """

    item_id: Identifier
    """The item described."""

    liked_by: str
    """Who would like it."""

    disliked_by: str
    """Who would not: people put off by what it is."""

    reasoning: str = ""
    """Why the feature sets it apart; empty if nothing could be said."""

    feature: str
    """What sets it apart, in at most 25 words."""

    claims: tuple[Claim, ...] = ()
    """Its sentences with the reviews that support them; a sentence without any rests on publisher text."""

    evidence: tuple[str, ...] = ()
    """Event ids of the reviews it rests on; empty if it rests on publisher text alone."""

    read: tuple[str, ...] = ()
    """Event ids of every review its writer was shown, cited or not; to forget one of them is to write it anew."""

    grounding: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Share of the sentences as they were written that reviews or publisher text support."""

    repaired: tuple[str, ...] = ()
    """Parts whose own words nothing supported, so that fixed sentences stand there."""

    shared_with: Identifier | None = None
    """The near-duplicate that this card was written for; absent for the item's own."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    read_to: Moment | None = None
    """Moment of the newest review it was written from; absent without any."""

    language: str
    """ISO 639-1 code of the language the reviewers write in, or of the publisher's text."""

    source: ProfileSource
    """`model` if a language model wrote any part, `extractive` if it was assembled without one."""

    notes: tuple[str, ...] = ()
    """Anything the reader should know, for example why no model text was used."""

    model: str | None = None
    """The model that wrote it; absent if extractive."""

    prompt_versions: dict[str, int] = Field(default_factory=dict[str, int])
    """Prompt id to version, for every prompt used."""

    fingerprint: str
    """Hash of exactly what it rests on and of who wrote it; equal for items that share it."""

    usage: Usage = Usage()
    """Its share of what the calls cost; shares of one call add up to it."""

    created_at: Moment
    """When it was written."""


class Interests(Record):
    """What a user likes and refuses, in words; the user side of a card."""

    user_id: Identifier
    """Whose interests."""

    likes: tuple[str, ...] = ()
    """Sentences about what draws the user."""

    dislikes: tuple[str, ...] = ()
    """Sentences about what the user refuses."""

    core: str = ""
    """The core preference in at most 50 words; empty if nothing is known."""


@dataclass(frozen=True, kw_only=True)
class CardOutcome:
    """What became of one item of a batch."""

    item_id: str
    """The item."""

    card: ItemCard | None = None
    """Its card."""

    fresh: bool = False
    """Whether the card was written now; else it was up to date and cost nothing."""

    error: LimnerError | None = None
    """Why there is no card."""
