"""A tenant's store behind the screen: people's words come out of it as models may read them, and what is made of them
goes in only as far as it may be kept. `SqlStore` itself gives and keeps everything as it is.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from ...models import Cue, Profile, Rollout
from ...pairings import Pair
from ...records import Interaction, Item
from ..sql.sql_engine import Engine
from ..sql.sql_store import SqlStore
from ..store import Published, Subject
from .screen import Screen
from .screened_records import screened_cues, screened_pair, screened_profile, screened_rollout


class ScreenedStore(SqlStore):
    """A `Store` for whoever draws, ranks and tells; its owner reads `Doors.recorded`."""

    def __init__(self, engine: Engine, tenant: str, screen: Screen) -> None:
        super().__init__(engine, tenant)
        self._screen = screen

    def shown(self, interactions: Sequence[Interaction]) -> list[Interaction]:
        """Return interactions as models may read them."""
        return self._screen.events(interactions)

    async def items(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """Return the items that exist, by id."""
        found = await super().items(item_ids)
        return {item_id: self._screen.item(item) for item_id, item in found.items()}

    async def all_items(self, batch: int = 1000, *, after: str | None = None) -> AsyncIterator[list[Item]]:
        """Stream every item, in id order, starting behind `after`."""
        async for page in super().all_items(batch, after=after):
            yield [self._screen.item(item) for item in page]

    async def history(self, user_id: str, *, as_of: datetime, last: int | None = None) -> list[Interaction]:
        """Return a user's interactions before `as_of`, oldest first."""
        return self._screen.events(await super().history(user_id, as_of=as_of, last=last))

    async def events(self, user_id: str, event_ids: Sequence[str]) -> dict[str, Interaction]:
        """Return those of a user's interactions that have these ids, by id."""
        found = self._screen.events(list((await super().events(user_id, event_ids)).values()))
        return {event.event_id: event for event in found}

    async def item_history(
        self, item_id: str, *, as_of: datetime, exclude_user: str | None = None, last: int = 50
    ) -> list[Interaction]:
        """Return the `last` interactions with an item before `as_of`, oldest first."""
        found = await super().item_history(item_id, as_of=as_of, exclude_user=exclude_user, last=last)
        return self._screen.events(found)

    async def add_cues(self, subject: Subject, cues: Sequence[Cue], events: Sequence[str]) -> None:
        """Keep cues that may be kept, and mark `events` as cued."""
        await super().add_cues(subject, screened_cues(self._screen, list(cues)), events)

    async def cues(self, subject: Subject) -> list[Cue]:
        """Return a subject's cues, oldest first; those that another policy kept are left out."""
        return screened_cues(self._screen, await super().cues(subject))

    async def publish(self, published: Published) -> Profile:
        """Keep a profile and its rollouts in one transaction and return it with its version."""
        profile = screened_profile(self._screen, published.profile)
        return await super().publish(Published(profile, tuple(self._logged(published.rollouts))))

    async def put_pair(self, pair: Pair, rollouts: Sequence[Rollout]) -> None:
        """Keep a pair and its rollouts in one transaction."""
        await super().put_pair(screened_pair(self._screen, pair), self._logged(rollouts))

    async def log(self, rollouts: Sequence[Rollout]) -> None:
        """Append drafts to the log in one transaction."""
        await super().log(self._logged(rollouts))

    def _logged(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        return [screened_rollout(self._screen, rollout) for rollout in rollouts]
