"""The incremental pass over users and groups: only what changed is recomputed, and only that may cost a model call.

Histories are read, and users whose history, items or settings changed get a new vector (and a portrait, where
portraits are wanted); the others keep theirs. Groups then move from where they were, or are found anew once enough
has changed. Everything that involves no model is cheap and exact, and is done over all users.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ...communities import RefreshEstimate, RefreshReport, RefreshRound
from ...errors import TooFewUsersError
from ...models import Profile
from ...records import Usage, content_hash
from ...sections import GroupSettings
from ...tools.behalf import on_behalf
from ...tools.embedder import FloatArray
from ...tools.grouping.group_fitting import Fitted, GroupPlan, groups_along_graph
from ...tools.grouping.group_gain import EXAMINED, HeldBack, fit_with_gain
from ...tools.grouping.grouping import Groups
from ...tools.grouping.stored_groups import Grouping, MarkedUser
from ...tools.prices import Price
from ..colophon import INCOMPLETE
from ..estimate import estimate_profiles
from ..state import Deps
from .group_store import groups_in, placed_of
from .past_choices import (
    ItemSide,
    PastChoices,
    basis_of,
    marks_of,
    read_choices,
    read_items,
    user_vectors,
    with_portrait,
)

Step = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

Draw = Callable[[Sequence[str]], AsyncGenerator[tuple[str, Profile | None]]]
"""Yields users with their portraits as they are drawn; `None` for one that cannot be."""

_EVERYBODY = "item:"
"""On whose behalf groups are kept: anybody's, so that a forget of whomever tells."""

_FEWEST_GROUPS = 3
"""Groups to look for, where there are users enough for as many of the least size."""

_FEWEST_HELD = 3
"""Items of a user before the last may be held back."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """What a refresh has to do."""

    past: PastChoices
    side: ItemSide
    basis: str
    marks: Sequence[str]
    kept: dict[str, MarkedUser]
    """Users who are as they were."""

    before: Grouping | None
    """The groups before, if their vectors can be compared; they lend their ids."""

    move: bool
    """Whether groups are moved from there instead of found anew."""

    moved: int
    """Users changed since groups were last found anew, these included."""

    @property
    def changed(self) -> list[str]:
        """Users who are recomputed."""
        return [user_id for user_id in self.past.user_ids if user_id not in self.kept]


class Refresh:
    """One refresh.

    Args:
        deps: What may be touched.
        as_of: Nothing at or after this moment is used.
        draw: Draws portraits as of that moment.
        step: Told how far the pass is.
    """

    def __init__(self, deps: Deps, *, as_of: datetime, draw: Draw, step: Step | None = None) -> None:
        self._deps, self._draw, self._as_of = deps, draw, as_of
        self._settings: GroupSettings = deps.settings.groups
        self._step: Step = step or _say_nothing
        self._failed, self._drawn = 0, 0
        self._began = time.perf_counter()

    async def estimate(self, price: Price | None, *, full: bool = False) -> RefreshReport:
        """Say what `run` would do and cost; nothing is written and no model is asked."""
        work = await self._look(full=full)
        estimate = None
        if self._settings.portraits:
            found = await estimate_profiles(self._deps, work.changed, as_of=self._as_of, price=price)
            estimate = RefreshEstimate(
                calls=found.calls,
                prompt_tokens=found.prompt_tokens,
                completion_tokens=found.completion_tokens,
                cost=found.cost,
            )
        held = await self._deps.store.grouping(as_of=self._as_of)
        return self._report(work, dry_run=True, groups=len(held.groups) if held else 0, estimate=estimate)

    async def run(self, *, full: bool = False) -> RefreshReport:
        """Recompute what changed, find or move the groups, and keep all of it.

        Args:
            full: Recompute everybody and find the groups anew.

        Raises:
            TooFewUsersError: Fewer users than a group must have can be compared.
            ForgottenMeanwhileError: Somebody was forgotten since it began; nothing was kept.
        """
        since = await self._deps.store.forgets()
        work = await self._look(full=full)
        users = await self._recompute(work)
        vectors = _stack(work, users, self._deps.space.users(work.side.vectors[:1]).shape[1])
        told = int(np.any(vectors != 0, axis=1).sum())
        if told < self._settings.minimum:
            raise TooFewUsersError(told, self._settings.minimum)
        self._step("Finding groups", 0, 1)
        start = groups_in(work.before) if work.before and work.move else None
        fitted = await asyncio.to_thread(self._fit, work, vectors, start)
        placed = await asyncio.to_thread(
            placed_of,
            work.past,
            work.side,
            fitted,
            vectors=vectors,
            users=users,
            recomputed=work.changed,
            before=work.before,
            facts={
                "basis": work.basis,
                "plan": self._plan_hash(len(work.past.user_ids)),
                "portraits": self._settings.portraits,
                "as_of": self._as_of,
                "moved": work.moved,
            },
            minimum=self._settings.minimum,
            allowed=self._deps.screen.allows,
        )
        with on_behalf(_EVERYBODY, since=since):
            await self._deps.store.put_groups(placed)
        self._step("Finding groups", 1, 1)
        old = {group.community.group_id for group in work.before.groups} if work.before else set[str]()
        ids = {group.community.group_id for group in placed.grouping.groups}
        return self._report(
            work,
            dry_run=False,
            groups=len(ids),
            kept=len(ids & old),
            left_out=len(vectors) - told,
            fitted=fitted,
        )

    async def _look(self, *, full: bool) -> Work:
        """Read histories, and tell who changed."""
        self._step("Reading histories", 0, 1)
        past = await read_choices(self._deps.store, as_of=self._as_of)
        side = await read_items(self._deps, past.item_ids, as_of=self._as_of)
        basis = basis_of(self._deps, portraits=self._settings.portraits)
        marks = await asyncio.to_thread(marks_of, self._deps, past, side)
        known = {} if full else await self._deps.store.marked_users(past.user_ids)
        kept = {
            user_id: known[user_id]
            for user_id, mark in zip(past.user_ids, marks, strict=True)
            if user_id in known and known[user_id].mark == mark
        }
        before = await self._deps.store.grouping(as_of=self._as_of)
        if before and before.facts.basis != basis:
            before = None
        moved = len(past.user_ids) - len(kept) + (before.facts.moved if before else 0)
        move = before is not None and not full and before.facts.plan == self._plan_hash(len(past.user_ids))
        move = move and moved <= self._settings.regroup * len(past.user_ids)
        self._step("Reading histories", 1, 1)
        return Work(
            past=past,
            side=side,
            basis=basis,
            marks=marks,
            kept=kept,
            before=before,
            move=move,
            moved=moved if move else 0,
        )

    def _plan_hash(self, users: int) -> str:
        return content_hash(self._plan(users), self._settings.layers)

    def _plan(self, users: int) -> GroupPlan:
        """Return how groups are found; among few users the usual neighbourhood would be one group of them all."""
        given = self._settings
        most = max(given.minimum, users // _FEWEST_GROUPS)
        return GroupPlan(
            size=min(given.size, most),
            minimum=given.minimum,
            neighbours=given.neighbours if given.size <= most else min(given.neighbours, most),
            mutual=given.mutual,
            blend=given.blend,
            rounds=given.rounds,
            seed=self._deps.settings.drafting.seed,
        )

    async def _recompute(self, work: Work) -> dict[str, MarkedUser]:
        """Return everybody's vector: as it was, or made anew."""
        own = user_vectors(self._deps, work.past, work.side)
        users = dict(work.kept)
        place = {user_id: row for row, user_id in enumerate(work.past.user_ids)}
        changed = work.changed
        portraits = await self._portraits(changed) if self._settings.portraits else {}
        for user_id in changed:
            row = place[user_id]
            profile = portraits.get(user_id)
            vector, themes = own[row], tuple[str, ...]()
            if profile:
                vector = await with_portrait(self._deps, vector, profile)
                themes = tuple(facet.name for facet in profile.facets if facet.polarity != "dislike")
            # An empty mark equals no mark, so a user without the wanted portrait is tried again.
            done = not self._settings.portraits or (
                profile and not profile.fingerprint.startswith(INCOMPLETE)
            )
            mark = work.marks[row] if done else ""
            users[user_id] = MarkedUser(mark, vector.astype("<f4").tobytes(), themes)
        return users

    async def _portraits(self, user_ids: Sequence[str]) -> dict[str, Profile]:
        """Draw what is wanted; users whose portrait cannot be drawn are left out."""
        found: dict[str, Profile] = {}
        done = 0
        async with aclosing(self._draw(user_ids)) as portraits:
            async for user_id, profile in portraits:
                if profile:
                    found[user_id] = profile
                done += 1
                self._step("Drawing portraits", done, len(user_ids))
        whole = sum(not profile.fingerprint.startswith(INCOMPLETE) for profile in found.values())
        self._drawn, self._failed = whole, len(user_ids) - whole
        return found

    def _fit(self, work: Work, vectors: FloatArray, start: Groups | None) -> Fitted:
        """Find or move the groups; rounds are chosen on held-back choices."""
        plan = self._plan(len(work.past.user_ids))
        settled = False
        if start is None and self._settings.layers:
            items = self._deps.space.items(work.side.vectors)
            layers = self._settings.layers
            start = groups_along_graph(vectors, work.past.edges, items, plan, layers=layers)
            settled = True
        return fit_with_gain(vectors, plan, held=self._hold(work, vectors), start=start, settled=settled)

    def _hold(self, work: Work, vectors: FloatArray) -> HeldBack | None:
        """Hold back the last choice of some users; `None` if nobody has enough."""
        past, seed = work.past, self._deps.settings.drafting.seed
        able = [
            row
            for row in np.flatnonzero(np.diff(past.starts) >= _FEWEST_HELD).tolist()
            if past.items[past.starts[row + 1] - 1]
            not in past.items[past.starts[row] : past.starts[row + 1] - 1]
        ]
        if not able:
            return None
        drawn = np.random.default_rng(seed).permutation(np.array(able))[:EXAMINED]
        users = np.sort(drawn)
        rest, items = past.without_last(users)
        shortened = user_vectors(self._deps, rest, work.side)
        held = vectors.copy()
        held[users] = shortened[users]
        return HeldBack(vectors=held, edges=rest.edges, users=users, items=items, seed=seed)

    def _report(
        self,
        work: Work,
        *,
        dry_run: bool,
        groups: int,
        kept: int = 0,
        left_out: int = 0,
        fitted: Fitted | None = None,
        estimate: RefreshEstimate | None = None,
    ) -> RefreshReport:
        users, items = len(work.past.user_ids), len(work.past.item_ids)
        rounds = fitted.log if fitted else ()
        return RefreshReport(
            as_of=self._as_of,
            dry_run=dry_run,
            users=users,
            recomputed=len(work.changed),
            left_out=left_out,
            items=items,
            groups=groups,
            kept=kept,
            refitted=not work.move,
            portraits=self._drawn,
            failed=self._failed,
            usage=Usage(),
            calls_from_scratch=3 * (users + items),
            rounds=tuple(
                RefreshRound(round=each.round, gain=each.gain, groups=each.groups, seconds=each.seconds)
                for each in rounds
            ),
            estimate=estimate,
            seconds=time.perf_counter() - self._began,
        )


def _stack(work: Work, users: dict[str, MarkedUser], width: int) -> FloatArray:
    """Return everybody's vectors in the order of the past, shape `(U, D)`."""
    vectors = np.zeros((len(work.past.user_ids), width), dtype=np.float32)
    for row, user_id in enumerate(work.past.user_ids):
        vectors[row] = np.frombuffer(users[user_id].vector, dtype="<f4")
    return vectors


def _say_nothing(what: str, done: int, total: int) -> None:
    del what, done, total
