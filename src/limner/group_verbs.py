"""Verbs of groups: whom a user is like, what that adds, and the incremental pass that finds out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

from .batch_verbs import Engine
from .communities import Community, Group, RefreshReport
from .errors import InputError, LimnerError
from .models import Profile
from .opened import Opened
from .records import Usage
from .streaming import bounded

if TYPE_CHECKING:
    from .tools.budget import Budget

RefreshProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class GroupVerbs(Opened):
    """`group`, `groups`, `refresh`."""

    async def group(self, user_id: str, *, as_of: datetime | None = None) -> Group:
        """Return the group a user belongs to most, what its members share, and what of it is news to the user.

        The user is taken in by what happened before `as_of`, so one who came after the last refresh has a group
        too. Other members stay unnamed, and nothing is told that fewer than `settings.groups.minimum` share.

        Raises:
            UnknownUserError: The user was never recorded.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: None of the user's items is in the catalogue.
            NoGroupsError: No refresh found groups at or before `as_of`, or settings changed since.
        """
        from .agents.groups.belonging import group_of

        drawing = await self.prepare()
        return await group_of(drawing.deps, user_id, as_of=as_of or self._now())

    async def groups(self, *, as_of: datetime | None = None) -> AsyncIterator[Community]:
        """Stream the groups of the newest refresh at or before `as_of`, largest first.

        Raises:
            NoGroupsError: There is none.
        """
        from .agents.groups.belonging import communities

        for community in await communities(self.doors.store, as_of=as_of or self._now()):
            yield community

    async def group_members(self, group_id: str) -> AsyncIterator[str]:
        """Stream the users whom the newest refresh put into a group more than into any other, in id order.

        For whoever runs a campaign; never to be shown to users.
        """
        async for batch in self.doors.store.group_members(group_id):
            for user_id in batch:
                yield user_id

    async def refresh(
        self,
        *,
        as_of: datetime | None = None,
        dry_run: bool = False,
        full: bool = False,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
        engine: Engine = "asyncio",
        progress: RefreshProgress | None = None,
    ) -> RefreshReport:
        """Find groups, or bring them up to date: only users whose history changed are recomputed.

        Model calls are made only with `settings.groups.portraits`, for portraits of changed users.

        Args:
            as_of: Nothing at or after this moment is used; the present if absent.
            dry_run: Only say what would be recomputed, and what it would cost; nothing is written.
            full: Recompute everybody and find the groups anew.
            budget: Limits of all portraits together; `settings.budget` if absent. Users it does not reach are
                tried again next time.
            at_once: Portraits in flight, in each process; chosen by the model if absent.
            engine: Who draws portraits: this process, or a Ray cluster; all else is one pass over everybody here.
            progress: Told how far the pass is.

        Raises:
            InputError: `ray`, where no portraits are wanted.
            SettingsError: `ray` with a store or index that belongs to one process.
            TooFewUsersError: Fewer users than a group must have can be compared.
        """
        from .agents.groups.refresh import Refresh

        if engine == "ray":
            return await self._refresh_by_ray(
                as_of=as_of, dry_run=dry_run, full=full, budget=budget, at_once=at_once, progress=progress
            )
        drawing = await self.prepare()
        shared, moment = self.budget_of(budget), as_of or self._now()
        before = shared.spent

        async def draw(user_ids: Sequence[str]) -> AsyncGenerator[tuple[str, Profile | None]]:
            async def one(user_id: str) -> tuple[str, Profile | None]:
                try:
                    shared.check()
                    return user_id, await drawing.profile(user_id, as_of=moment, budget=shared)
                except LimnerError:
                    return user_id, None

            async with aclosing(bounded(user_ids, one, at_once or self._at_once())) as drawn:
                async for entry in drawn:
                    yield entry

        work = Refresh(drawing.deps, as_of=moment, draw=draw, step=progress)
        if dry_run:
            return await work.estimate(await asyncio.to_thread(self._price), full=full)
        report = await work.run(full=full)
        return report.model_copy(update={"usage": _minus(shared.spent, before)})

    async def _refresh_by_ray(
        self,
        *,
        as_of: datetime | None,
        dry_run: bool,
        full: bool,
        budget: "Budget | int | None",
        at_once: int | None,
        progress: RefreshProgress | None,
    ) -> RefreshReport:
        """Do `refresh` with portraits drawn on a cluster."""
        from .agents.groups.refresh import Refresh
        from .engines.ray_draws import RayDraws

        if not self.settings.groups.portraits:
            raise InputError(
                "a refresh without portraits is one pass over everybody, which the engine `ray` cannot share out; "
                "leave the engine out, or ask for portraits"
            )
        moment, shared = as_of or self._now(), self.budget_of(budget)
        draws = RayDraws(self, as_of=moment, budget=shared, at_once=at_once)
        with draws.joined():
            drawing = await self.prepare()
            work = Refresh(drawing.deps, as_of=moment, draw=draws.draw, step=progress)
            if dry_run:
                return await work.estimate(await asyncio.to_thread(self._price), full=full)
            report = await work.run(full=full)
        return report.model_copy(update={"usage": draws.usage})


def _minus(after: Usage, before: Usage) -> Usage:
    """Subtract field by field."""
    return Usage(**{name: getattr(after, name) - getattr(before, name) for name in Usage.model_fields})
