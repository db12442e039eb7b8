"""Groups as data: people who share interests, what that adds for one of them, and how a refresh went.

Nothing here names a member or repeats a member's words: phrases and items are shown only if enough members share
them, and counts say how many.
"""

from typing import Annotated

from pydantic import Field

from .records import Identifier, Moment, Record, Usage

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class SharedInterest(Record):
    """Something that members of a group have in common, with the evidence in numbers."""

    phrase: str
    """A label of the catalogue, or the name of an interest that portraits note."""

    members: Annotated[int, Field(ge=1)]
    """Members whose history or portrait shows it; never fewer than the smallest group may have."""

    share: Share
    """Of the members."""

    lift: Annotated[float, Field(ge=0.0)]
    """Share among the members over the share among everybody; 1 tells nothing."""


class TopItem(Record):
    """An item that members of a group had more often than others."""

    item_id: Identifier
    """The item."""

    title: str
    """Its title; empty if the catalogue has none."""

    members: Annotated[int, Field(ge=1)]
    """Members who had it; never fewer than the smallest group may have."""

    lift: Annotated[float, Field(ge=0.0)]
    """Share among the members over the share among everybody."""


class Community(Record):
    """One group, for whoever plans for groups: a micro-segment."""

    group_id: Identifier
    """Stays the same from refresh to refresh while most members stay."""

    name: str
    """Its most telling interests, a few words."""

    size: Annotated[int, Field(ge=1)]
    """Users who belong to it more than to any other group."""

    share: Share
    """Of all users who belong anywhere."""

    interests: tuple[SharedInterest, ...]
    """What its members share, most telling first; empty if nothing is shared by enough of them."""

    items: tuple[TopItem, ...]
    """What its members had, most telling first; empty if nothing was had by enough of them."""

    as_of: Moment
    """Nothing at or after this moment was used."""


class Belonging(Record):
    """One group that a user belongs to, and how much."""

    group_id: Identifier
    """The group."""

    weight: Share
    """Share of this user; the weights of all groups sum to at most 1."""


class Group(Record):
    """The group a user belongs to most, and what it adds for this user."""

    user_id: Identifier
    """For whom."""

    group_id: Identifier
    """The group."""

    name: str
    """Its most telling interests, a few words."""

    size: Annotated[int, Field(ge=1)]
    """Users who belong to it more than to any other group."""

    weight: Share
    """How much this user belongs to it."""

    shared: tuple[SharedInterest, ...]
    """What its members share, most telling first."""

    news: tuple[SharedInterest, ...]
    """Those that this user's own history does not show."""

    items: tuple[TopItem, ...]
    """What its members had and this user had not, most telling first."""

    also: tuple[Belonging, ...] = ()
    """Further groups, by weight."""

    as_of: Moment
    """Nothing of this user at or after this moment was used."""

    found_at: Moment
    """`as_of` of the refresh that found the groups; at or before `as_of`."""

    notes: tuple[str, ...] = ()
    """Anything the reader should know."""


class RefreshRound(Record):
    """One round between individuals and groups; round 0 is the groups before any."""

    round: Annotated[int, Field(ge=0)]
    """Number."""

    gain: float | None
    """NDCG over the catalogue of choices held back from each of some users; absent if nothing could be held back."""

    groups: int
    """Groups after it."""

    seconds: float
    """Time it took."""

    calls: int = 0
    """Model calls it made; the form without training makes none."""


class RefreshEstimate(Record):
    """What a refresh would cost in model calls."""

    calls: tuple[int, int]
    """Fewest and most."""

    prompt_tokens: int
    """Tokens read, at most calls."""

    completion_tokens: int
    """Tokens written, at most calls and full length."""

    cost: float | None
    """About how many US dollars; absent if the model's price is unknown."""


class RefreshReport(Record):
    """What a refresh did, or with `dry_run` would do."""

    as_of: Moment
    """Nothing at or after this moment was used."""

    dry_run: bool
    """Whether nothing was written."""

    users: int
    """Users with a history."""

    recomputed: int
    """Users whose events changed since the last refresh, or who are new; the others were left as they are."""

    left_out: int
    """Users who belong nowhere, because nothing they had has a vector."""

    items: int
    """Items that these users had."""

    groups: int
    """Groups in the end; with `dry_run` as they are."""

    kept: int
    """Groups that kept their id."""

    refitted: bool
    """Whether groups were found anew, and not moved from where they were."""

    portraits: int
    """Portraits that were drawn or found up to date."""

    failed: int
    """Portraits that could not be drawn; these users are tried again next time."""

    usage: Usage
    """What the portraits cost."""

    calls_from_scratch: int
    """Calls of the method without increments: three for each user and item."""

    rounds: tuple[RefreshRound, ...] = ()
    """What each round gained."""

    estimate: RefreshEstimate | None = None
    """With `dry_run` and portraits."""

    seconds: float
    """Time it took."""
