"""Command `work`: do what waits in the queue, without a server."""

import asyncio
import signal
from typing import Annotated

import typer

from .common import ModelOption, StoreOption, note, run, settings_for
from .serve import need_server


def work(
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due.")] = False,
    model: ModelOption = None,
    store: StoreOption = None,
) -> None:
    """Do queued jobs until Ctrl-C; several processes may, with PostgreSQL and a Chroma server.

    Examples:  limner work  ·  limner work --once
    """
    settings = settings_for(store, model=model)

    async def go() -> None:
        need_server()
        from ..serve.http.rooms import Rooms
        from ..serve.http.workshop import Workshop
        from ..tools.jobs import JobBook

        async with Rooms(settings) as rooms:
            workshop = Workshop(JobBook(rooms.shared.store.engine, rooms.clock), rooms)
            async with workshop.open():
                if once:
                    return await workshop.idle()
                note("Limner does what is queued; Ctrl-C ends it.")
                await _until_stopped()

    run(go, as_json=False)


async def _until_stopped() -> None:
    """Return on SIGINT or SIGTERM, so that what is open is closed in order."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
