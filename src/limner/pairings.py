"""Pairs as data: a user and an item described for each other."""

from typing import Annotated, Literal

from pydantic import Field

from .records import Identifier, Moment, ProfileSource, Record, Usage


class PairSide(Record):
    """One side of a pair: what was noticed, what the model set itself to write, what it wrote."""

    cue: str
    """The observation this side starts from; empty if `pairing.cue` is off."""

    instruction: str
    """The model's own plan for the profile; empty if `pairing.instruction` is off."""

    profile: str
    """The profile, written for the other side."""


class PairOutcome(Record):
    """What a user is known to have done at the moment that a pair was written for."""

    event_id: Identifier
    """The interaction."""

    item_id: Identifier
    """The item that was chosen; another than the pair's own if that was a negative."""

    chosen: bool
    """Whether the pair's own item is the chosen one."""

    rating: float | None = None
    """What the user gave the pair's own item, on the source's scale; absent for a negative or if unrated."""


class Judgement(Record):
    """The rating that a judge expects who has read nothing but the two profiles."""

    fit: Annotated[float, Field(ge=0.0, le=1.0)]
    """Expected rating as a share of the scale."""

    expected: float | None
    """Expected rating on the source's scale; absent where nothing was rated."""

    said: float | None
    """Likeliest rating on the source's scale; absent where nothing was rated."""

    interval: tuple[float, float] | None
    """From the 10 % to the 90 % quantile of the distribution, on the source's scale; absent where nothing was
    rated, or where the judge gives no log-probabilities."""

    shares: tuple[float, ...]
    """Probability of each level of the scale, lowest first; one of them is 1 without log-probabilities."""

    bare: tuple[float, ...] = ()
    """The same before what the judge says of blank profiles and what is usual were set against it."""


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

    fit: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """How well the two fit: the judge's expected rating as a share of the scale, else `(1 + affinity) / 2`."""

    judged: bool = False
    """Whether a model that read nothing but the two profiles predicted the rating."""

    expected_rating: float | None
    """On the source's scale: the judge's where it judged, else the damped user and item mean; absent where
    nothing was rated."""

    rating_interval: tuple[float, float] | None = None
    """From the 10 % to the 90 % quantile of the judge's ratings; absent where it did not judge."""

    because: str = ""
    """Why, or why not: one sentence to say to the user, in the user's language."""

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


RankMode = Literal["factored", "joint"]


class RankedItem(Record):
    """One candidate and its place."""

    item_id: Identifier
    """The candidate."""

    rank: Annotated[float, Field(ge=1.0)]
    """1 is best; candidates that tie share the mean of their places."""

    score: Annotated[float, Field(ge=0.0, le=1.0)]
    """How well the item is expected to suit the user."""

    low: Annotated[float, Field(ge=0.0, le=1.0)]
    """The 10 % quantile of what is believed of it."""

    high: Annotated[float, Field(ge=0.0, le=1.0)]
    """The 90 % quantile of what is believed of it."""

    source: Literal["pair", "scorer"]
    """`pair` if two profiles were written for it, `scorer` if it was scored without a model call."""

    pair: Pair | None = None
    """The two profiles; absent for `scorer`."""

    because: str = ""
    """Why, or why not, as the pair says it; empty for `scorer`."""


class Ranking(Record):
    """Candidates for one user, best first."""

    user_id: Identifier
    """The user."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    mode: RankMode
    """`factored` pairs only what can change the top, several items a call; `joint` pairs every candidate alone."""

    top: Annotated[int, Field(ge=1)]
    """How many places matter: no call is spent below them."""

    items: tuple[RankedItem, ...]
    """Every candidate once, best first; a tie is laid out by lot, not by the order of the question."""

    scorer: str
    """Name of the scorer; `prior` for the untaught one."""

    final: bool = True
    """Whether this is the last word; earlier ones of a stream are not."""

    calls: Annotated[int, Field(ge=0)] = 0
    """Model calls that were sent for it."""

    usage: Usage = Usage()
    """What it cost; pairs that were there already cost nothing."""

    notes: tuple[str, ...] = ()
    """Anything the reader should know, for example candidates that the budget left unpaired."""
