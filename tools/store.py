"""The store door: everything that must survive, for one tenant."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from ..cards import ItemCard
from ..communities import Belonging
from ..models import Cue, Profile, Rollout
from ..pairings import Pair
from ..receipts import Scope
from ..records import Interaction, Item
from .grouping.stored_groups import Choice, Grouping, MarkedUser, Placed
from .memories import Memories
from .reach import Reach

Subject = str
"""Whose: `user:ID` or `item:ID`; for cues followed by ` by ` and who wrote them."""


class Recorded(NamedTuple):
    """What a write did."""

    added: int
    """Events that were new."""

    repeated: int
    """Events whose id was already there; nothing changed for them."""

    forgotten: int = 0
    """Events that were forgotten, or whose user or item was; nothing was kept of them."""


class RatingScale(NamedTuple):
    """Ratings seen so far; `Store.rating_scale` says which ratings `low` and `high` pass over."""

    low: float
    high: float
    mean: float
    n: int


class ItemStatistics(NamedTuple):
    """What others did with one item, in numbers."""

    events: int
    """Interactions."""

    ratings: int
    """Those with a rating."""

    mean: float
    """Mean rating on the source's scale; 0 where there is none."""

    spread: float
    """Standard deviation of the ratings; 0 where there is none."""


class Counts(NamedTuple):
    """How much a store holds."""

    users: int
    items: int
    interactions: int
    cues: int
    profiles: int
    rollouts: int


class Forget(NamedTuple):
    """One forget as far as it has come."""

    seq: int
    """Counts a tenant's forgets from 1."""

    state: Literal["rows", "places", "files", "done"]
    """`rows` while rows are being removed, `places` while all else is, `files` until databases are rewritten."""

    scope: Scope | None
    """What is to be forgotten; absent once it is gone, so that nothing names it any more."""

    removed: dict[str, int]
    """Place to number of entries removed so far."""

    at: datetime
    """When it was asked for."""


class Published(NamedTuple):
    """What goes into the store in one transaction when a profile is published."""

    profile: Profile
    """Its `version` and `parent_version` are assigned by the store; what it carries there is ignored."""

    rollouts: tuple[Rollout, ...]


class Store(Protocol):
    """A database of one tenant. Every write is durable when its call returns.

    `as_of` bounds on interactions are exclusive: nothing at or after that moment is returned.

    A user's newest profile is the one with the latest `as_of`, and of those the highest version, so that one
    drawn for an earlier moment (a backtest) never replaces the one that is served.
    """

    @property
    def memories(self) -> Memories:
        """What assistants put away."""
        ...

    async def record(
        self, interactions: Sequence[Interaction], *, draw_at: datetime | None = None
    ) -> Recorded:
        """Keep interactions; an event id that is already there is left as it is, and what was forgotten stays out.

        Args:
            interactions: What happened.
            draw_at: The present, to queue with them, in the same transaction, a drawing of each user who did something
                new; absent to queue nothing.
        """
        ...

    def shown(self, interactions: Sequence[Interaction]) -> list[Interaction]:
        """Return interactions that came from a caller as `history` would return them."""
        ...

    async def put_items(self, items: Sequence[Item]) -> int:
        """Insert or replace items; return how many were new or changed."""
        ...

    async def items(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """Return the items that exist, by id."""
        ...

    def all_items(self, batch: int = 1000, *, after: str | None = None) -> AsyncIterator[list[Item]]:
        """Stream every item, in id order, starting behind `after`."""
        ...

    def users(self, *, after: str | None = None, batch: int = 1000) -> AsyncIterator[list[str]]:
        """Stream user ids that have interactions, in id order, starting behind `after`."""
        ...

    async def has_user(self, user_id: str) -> bool:
        """Whether any interaction of the user was ever recorded."""
        ...

    async def history(self, user_id: str, *, as_of: datetime, last: int | None = None) -> list[Interaction]:
        """Return a user's interactions before `as_of`, oldest first; only the `last` ones if given.

        Equal moments are ordered by event id, which carries no information.
        """
        ...

    async def history_page(
        self, user_id: str, *, before: tuple[datetime, str], limit: int
    ) -> list[Interaction]:
        """Return the `limit` interactions of a user before a moment and an event id, newest first.

        The last one's moment and id ask for the next page; events that are recorded meanwhile move none of them.
        """
        ...

    async def reach(self, user_id: str, *, as_of: datetime) -> Reach | None:
        """Return how far a user's interactions before `as_of` reach; `None` without any."""
        ...

    async def events(self, user_id: str, event_ids: Sequence[str]) -> dict[str, Interaction]:
        """Return those of a user's interactions that have these ids, by id."""
        ...

    async def had_items(self, user_id: str, *, as_of: datetime) -> list[str]:
        """Return the items that a user's interactions before `as_of` name, each once, by id."""
        ...

    async def item_history(
        self, item_id: str, *, as_of: datetime, exclude_user: str | None = None, last: int = 50
    ) -> list[Interaction]:
        """Return the `last` interactions with an item before `as_of`, oldest first."""
        ...

    async def item_statistics(
        self, item_ids: Sequence[str], *, as_of: datetime, exclude_user: str | None = None
    ) -> dict[str, ItemStatistics]:
        """Return what others did with items before `as_of`, in numbers; items nobody used are left out."""
        ...

    async def company(
        self, item_ids: Sequence[str], beside: Sequence[str], *, as_of: datetime, exclude_user: str
    ) -> dict[str, int]:
        """Return how many interactions with each item before `as_of` are by others who had one `beside` it by then.

        Items without any are left out.
        """
        ...

    async def popular(self, *, as_of: datetime, limit: int = 1000) -> list[tuple[str, int]]:
        """Return items by number of interactions before `as_of`, most first, ties by id."""
        ...

    async def other_users(self, user_id: str, *, as_of: datetime, limit: int, seed: int) -> list[str]:
        """Return a seeded sample of other users with interactions before `as_of`."""
        ...

    async def rating_scale(
        self, *, as_of: datetime, user_id: str | None = None, item_id: str | None = None
    ) -> RatingScale | None:
        """Return low, high, mean and count of ratings before `as_of`; `None` without any.

        For one user or item, `low` and `high` are the least and the greatest rating. For the whole tenant they
        are robust to strays: of `n` ratings, the `n // 100` least and greatest are passed over (the nearest-rank
        quantiles at 1 % and 99 %); with fewer than 100 nothing is. `mean` and `n` count every rating.
        """
        ...

    async def add_cues(self, subject: Subject, cues: Sequence[Cue], events: Sequence[str]) -> None:
        """Keep cues and mark `events` as cued for `subject`, in one transaction. Equal cue ids replace."""
        ...

    async def cues(self, subject: Subject) -> list[Cue]:
        """Return a subject's cues, oldest first."""
        ...

    async def cued_events(self, subject: Subject) -> frozenset[str]:
        """Return the event ids that cues were already extracted from."""
        ...

    async def publish(self, published: Published) -> Profile:
        """Keep a profile and its rollouts in one transaction and return it with its version.

        Versions of a user count up by 1 in the order of writing, whatever `as_of` is. The parent is the
        user's newest profile whose `as_of` is at or before the new one's; `parent_version` is `None` if there
        is none. If the parent has the same fingerprint, nothing is written and the parent is returned.
        """
        ...

    async def profile(
        self, user_id: str, *, version: int | None = None, as_of: datetime | None = None
    ) -> Profile | None:
        """Return one version, or the newest; with `as_of`, the newest at or before that moment."""
        ...

    async def profile_versions(self, user_id: str) -> list[Profile]:
        """Return all versions in the order of their numbers, which is that of writing."""
        ...

    def profiles(self, batch: int = 200, *, after: str | None = None) -> AsyncIterator[list[Profile]]:
        """Stream the newest profile of every user, in user order, starting behind `after`."""
        ...

    async def put_pair(self, pair: Pair, rollouts: Sequence[Rollout]) -> None:
        """Keep a pair and its rollouts in one transaction."""
        ...

    async def pair(self, user_id: str, item_id: str) -> Pair | None:
        """Return the newest pair."""
        ...

    async def put_cards(self, cards: Sequence[ItemCard]) -> None:
        """Keep cards in one transaction.

        A card that is there (same fingerprint, same item) keeps its words; the earlier of the two moments
        becomes its `as_of`, since the same material was there at both.
        """
        ...

    async def cards(self, fingerprints: Sequence[str]) -> list[ItemCard]:
        """Return every card with one of these fingerprints, by fingerprint and item id."""
        ...

    async def item_cards(self, item_ids: Sequence[str], *, as_of: datetime) -> dict[str, ItemCard]:
        """Return, by item id, each item's newest card that uses nothing at or after `as_of`.

        Newest is the card of the latest review, and of those the one written last.
        """
        ...

    async def log(self, rollouts: Sequence[Rollout]) -> None:
        """Append drafts to the log in one transaction; one that is already there stays."""
        ...

    def rollouts(self, batch: int = 500) -> AsyncIterator[list[Rollout]]:
        """Stream the log in the order of writing."""
        ...

    async def user_rollouts(self, user_id: str, *, pairs: bool = True) -> list[Rollout]:
        """Return the drafts of one user's portraits, and of the pairs unless left out, in the order of writing."""
        ...

    async def cached_completions(self, keys: Sequence[str]) -> dict[str, str]:
        """Return cached answers (JSON) by key."""
        ...

    async def cache_completions(self, entries: Mapping[str, str], subject: Subject) -> None:
        """Keep answers; `subject` lets a forget find them."""
        ...

    async def cached_vectors(self, encoder: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return cached vectors (little-endian float32) by key."""
        ...

    async def cache_vectors(self, encoder: str, entries: Mapping[str, bytes]) -> None:
        """Keep vectors; `tools.behalf` says whose texts they stand for."""
        ...

    async def count_choices(self, *, as_of: datetime) -> int:
        """Return how many interactions before `as_of` name an item."""
        ...

    async def choices(self, user_ids: Sequence[str], *, as_of: datetime) -> dict[str, list[Choice]]:
        """Return the items that users had before `as_of`, oldest first; users without any are left out."""
        ...

    async def put_groups(self, placed: Placed) -> None:
        """Keep what a refresh found, in one transaction.

        Groups of the last eight refreshes stay, and those of the newest moment.
        """
        ...

    async def grouping(self, *, as_of: datetime) -> Grouping | None:
        """Return the groups of the newest refresh for a moment at or before `as_of`, by group id."""
        ...

    async def marked_users(self, user_ids: Sequence[str]) -> dict[str, MarkedUser]:
        """Return what the last refresh made of users, by id."""
        ...

    async def belongings(self, user_id: str) -> list[Belonging]:
        """Return where the refresh of the newest moment put a user, most first."""
        ...

    def group_members(
        self, group_id: str, batch: int = 1000, *, after: str | None = None
    ) -> AsyncIterator[list[str]]:
        """Stream the users whom the refresh of the newest moment put into a group most, in id order.

        They start behind `after`.
        """
        ...

    async def forgets(self) -> int:
        """Return how many forgets the tenant has had; work that began before one may not write what it removed."""
        ...

    async def begin_forget(self, scope: Scope) -> Forget:
        """Make a forget durable before anything is removed: from now on nothing it names is recorded again."""
        ...

    async def unfinished_forgets(self) -> list[Forget]:
        """Return the forgets that were begun and not finished, oldest first."""
        ...

    async def put_forget(self, forget: Forget) -> None:
        """Write down how far a forget has come."""
        ...

    async def forget_rows(self, forget: Forget) -> Forget:
        """Remove all rows that a forget names and all that was made of them, some in each transaction.

        Returns the forget with what was removed; one that was killed in between goes on where it stopped.
        """
        ...

    async def count_rows(self, scope: Scope) -> Counter[str]:
        """Return what `forget_rows` would remove, and remove nothing."""
        ...

    async def forgotten_users(self, user_ids: Iterable[str]) -> dict[str, datetime]:
        """Return those who were forgotten whole, with the moment up to which nothing of them is taken."""
        ...

    async def cached_for(self) -> set[str]:
        """Return the users that cached answers and vectors belong to."""
        ...

    async def drop_caches(self, subjects: Collection[Subject]) -> None:
        """Remove cached answers and vectors of users and items."""
        ...

    async def scrub(self) -> None:
        """Rewrite the files of the database, so that they hold no byte of what was deleted.

        Raises:
            StoreError: The database is in use for longer than this may wait.
        """
        ...

    def rows_about(self, user_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Stream everything that is held about a user, as table and row."""
        ...

    async def counts(self) -> Counts:
        """Return how much the store holds."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
