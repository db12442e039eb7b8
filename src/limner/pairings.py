"""Pairs as data: a user and an item described for each other."""

from typing import Annotated

from pydantic import Field

from .models import ProfileSource
from .records import Identifier, Moment, Record, Usage


class PairSide(Record):
    """One side of a pair: what was noticed, what the model set itself to write, what it wrote."""

    cue: str
    """The observation this side starts from."""

    instruction: str
    """The model's own plan for the profile."""

    profile: str
    """The profile, written for the other side."""


class Reason(Record):
    """Why the two sides fit or not."""

    text: str
    """The reason, a sentence."""

    user_evidence: tuple[str, ...]
    """Event ids from the user's history."""

    item_evidence: tuple[str, ...] = ()
    """Event ids of others' interactions with the item; empty for a cold item."""


class Pair(Record):
    """A user profile and an item profile written for each other."""

    user_id: Identifier
    """The user."""

    item_id: Identifier
    """The item."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    user: PairSide
    """The user's side."""

    item: PairSide
    """The item's side."""

    affinity: Annotated[float, Field(ge=-1.0, le=1.0)]
    """Cosine of the two profiles' vectors."""

    expected_rating: float | None
    """Damped user and item mean on the source's scale; absent where nothing was rated."""

    reasons: tuple[Reason, ...]
    """Reasons with evidence on both sides."""

    language: str
    """ISO 639-1 code."""

    source: ProfileSource
    """`model`, or `extractive` if no model text was usable."""

    notes: tuple[str, ...] = ()
    """Anything the reader should know."""

    reward: float | None = None
    """Total reward by the critic."""

    reward_terms: dict[str, float] = Field(default_factory=dict[str, float])
    """The terms of the reward, unweighted."""

    usage: Usage = Usage()
    """What the pair cost."""

    model: str | None = None
    """The model that wrote it."""

    prompt_versions: dict[str, int] = Field(default_factory=dict[str, int])
    """Prompt id to version."""

    critic_version: str
    """Encoder and settings of the critic."""

    fingerprint: str
    """Hash of everything it was written from; an equal one makes writing it again a no-op."""

    created_at: Moment
    """When it was written."""
