"""A Limner whose model is asked through a Batch API."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..errors import InputError
from ..face import Limner
from ..settings import EMBEDDED, NO_MODEL, Settings

if TYPE_CHECKING:
    from ..agents.estimate import Estimate

FOLDER = "batches"
"""In the store's folder: what was handed over and not yet cleared away."""


@asynccontextmanager
async def batching(settings: Settings) -> AsyncGenerator[Limner]:
    """Open a Limner that asks in batches; if the block ends well, clear away what the service keeps of them.

    Raises:
        InputError: The model runs in this process, or there is none.
        SettingsError: The model is not behind a Batch API.
    """
    from ..tools.batching.batch_chat import BatchChat

    if settings.model == NO_MODEL or settings.model.startswith(EMBEDDED):
        raise InputError(f"--batch asks a server, and {settings.model!r} is none; name one with --model")
    chat = BatchChat(
        settings.model,
        settings.chat,
        settings.batch,
        folder=settings.store / FOLDER / settings.tenant,
        models_dir=settings.models_dir,
    )
    try:
        async with Limner(settings, chat=chat) as limner:
            yield limner
            await (await limner.prepare()).flush()
            await chat.settle()
    finally:
        await chat.aclose()


def at_batch_price(estimate: "Estimate", settings: Settings) -> "Estimate":
    """Return an estimate at the price of batches."""
    if estimate.cost is None:
        return estimate
    return estimate.model_copy(update={"cost": settings.batch.price_share * estimate.cost})
