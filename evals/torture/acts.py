"""What a child does when it is told to, through the public face."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ...errors import (
    EmptyHistoryError,
    EncoderChangedError,
    LimnerError,
    ModelOutputError,
    ModelUnavailableError,
    NoTextError,
    TooFewUsersError,
    UnknownUserError,
)
from ...face import Limner
from ...settings import Settings
from ...tools.budget import Budget
from ...tools.clock import Clock
from ...tools.store import Store
from ...tools.whole_files import write_whole

Outside = Callable[[Limner, Clock, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""What is done by parts of Limner that the harness may not know, given what was told."""

_PACE = 0.01


class ToldClock:
    """A clock that is set before each act, and goes on slowly from there."""

    def __init__(self) -> None:
        self._since, self._moment = 0.0, datetime.min

    def set(self, moment: datetime) -> None:
        """Set it."""
        self._moment, self._since = moment, asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """Return the moment it was set to, and a hundredth of what has passed since."""
        return self._moment + timedelta(seconds=_PACE * (asyncio.get_running_loop().time() - self._since))

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Acts:
    """What can be done with an open Limner.

    Args:
        limner: Open.
        clock: Its clock.
        acknowledge: Called with a batch's number as soon as it is recorded.
    """

    def __init__(self, limner: Limner, clock: ToldClock, acknowledge: Callable[[int], None]) -> None:
        self._limner, self._clock, self._acknowledge = limner, clock, acknowledge

    async def items(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Fill the catalogue."""
        return {"changed": await self._limner.add_items(told["items"])}

    async def record(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Record batches at once; each is acknowledged by itself."""

        async def one(number: int, events: list[dict[str, Any]]) -> None:
            await self._limner.record_many(events, draw=told["draw"])
            self._acknowledge(number)

        await asyncio.gather(*(one(number, batch) for number, batch in enumerate(told["batches"])))
        return {}

    async def read_file(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Import a file."""
        report = await self._limner.import_file(Path(told["path"]))
        return {"rejected": report.rejected}

    async def profile(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Draw a portrait and read the context."""
        budget = Budget(self._limner.settings.budget.model_copy(update=told["limits"]))
        try:
            drawn = await self._limner.profile(told["user_id"], budget=budget)
        except (UnknownUserError, EmptyHistoryError, NoTextError) as error:
            return {"nothing": error.code}
        context = await self._limner.context(told["user_id"])
        return {
            "version": drawn.version,
            "fingerprint": drawn.fingerprint,
            "known": context.known,
            "spent": budget.spent.model_dump(),
        }

    async def refresh(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Find groups."""
        try:
            return {"groups": (await self._limner.refresh()).groups}
        except TooFewUsersError as error:
            return {"nothing": error.code}

    async def export(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Write the log of drafts, and everything about a user."""
        drafts = await self._limner.export_rollouts(Path(told["path"]))
        try:
            held = await self._limner.export_user(told["user_id"])
        except UnknownUserError:
            held = {}
        write_whole(Path(told["path"]).with_suffix(".json"), json.dumps(held))
        return {"drafts": drafts, "events": len(held.get("interactions", ()))}

    async def forget(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Forget a user."""
        receipt = await self._limner.forget(told["user_id"])
        return {"finished": receipt.finished}

    async def reindex(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Build the index anew."""
        return {"items": await self._limner.reindex()}

    async def encoder(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Index through an encoder whose vectors change their length, then through one whose do not."""
        settings = Settings.model_validate({**dict(self._limner.settings), **told["settings"]})
        try:
            return {"indexed": await self._index(settings, told)}
        except (ModelOutputError, ModelUnavailableError) as error:
            return {"refused": error.code}
        except EncoderChangedError:
            pass
        try:
            return {"indexed": await self._index(settings, told, rebuild=True)}
        except (ModelOutputError, ModelUnavailableError, EncoderChangedError) as error:
            return {"refused": error.code}

    async def _index(self, settings: Settings, told: Mapping[str, Any], *, rebuild: bool = False) -> int:
        async with Limner(settings, clock=self._clock, rebuild_index=rebuild) as other:
            if rebuild:
                await other.reindex()
            await other.add_items(told["items"])
            return len(await other.doors.catalogue.item_ids())

    async def outside(self, work: Outside, told: Mapping[str, Any]) -> dict[str, Any]:
        """Have another part of Limner do something."""
        return await work(self._limner, self._clock, told)

    async def draw_all(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Draw everybody, as far as anything has changed."""
        failed: list[str] = []
        async with aclosing(self._limner.profiles(budget=Budget())) as outcomes:
            async for outcome in outcomes:
                if outcome.error and not isinstance(outcome.error, NoTextError):
                    failed.append(f"{outcome.user_id}: {outcome.error.code}")
        return {"failed": failed}


async def record_beside(
    store: Store, told: Mapping[str, Any], acknowledge: Callable[[int], None]
) -> dict[str, Any]:
    """Record batches through the store alone, as an import in another process does."""
    from ...rows import read_event

    for number, batch in enumerate(told["batches"]):
        await store.record([read_event(None, row, place) for place, row in enumerate(batch, start=1)])
        acknowledge(number)
    return {}


def failure(error: BaseException) -> dict[str, Any]:
    """Return an error as it is told."""
    typed = isinstance(error, LimnerError)
    return {
        "error": error.code if isinstance(error, LimnerError) else type(error).__name__,
        "words": str(error)[:500],
        "typed": typed,
    }
