"""The watch that `distill train` may be given: it judges fresh portraits through the store while a model is trained."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal

from ..face import Limner
from ..settings import Settings
from .common import settings_for

if TYPE_CHECKING:
    from ..distill.judging.alarm import AlarmRule
    from ..distill.judging.watch import HackingWatch
    from ..distill.training.config import TrainingSettings
    from ..distill.training.watching import Watch
    from ..tools.embedder import Embedder
    from ..tools.store import Store


@contextmanager
def hacking_watch(
    settings: Settings,
    data: Path,
    folder: Path,
    *,
    held_out: str | None,
    users: int = 64,
    seed: int = 0,
    rule: "AlarmRule | None" = None,
) -> "Generator[HackingWatch]":
    """Open the store that a training set comes from and watch a sample of its validation users.

    The store is used in a thread of its own, so a trainer may hold this one.

    Args:
        settings: Those that the log was graded with.
        data: Folder that `limner distill prepare` wrote.
        folder: Where looks are kept: `looks` in the folder of the run.
        held_out: Encoder of another family than the critic's; absent to listen to BM25 alone.
        users: How many users.
        seed: Decides who.
        rule: When training ends.

    Raises:
        InputError: There are too few validation users, or the held-out encoder is the critic's own.
        UnknownFormatError: There is no training set.
    """
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            _open(settings, data, folder, held_out=held_out, users=users, seed=seed, rule=rule)
        ) as watch,
    ):
        yield watch


@contextmanager
def watches(
    settings: "TrainingSettings", store: Path | None, *, held_out: str | None, users: int
) -> "Generator[list[Watch]]":
    """Return who watches a run: a `HackingWatch` over so many users of the store, or nobody for none.

    Raises:
        See `hacking_watch`.
    """
    if users == 0:
        yield []
        return
    from ..distill.training.run_folder import LOOKS

    folder = settings.out / LOOKS
    with hacking_watch(
        settings_for(store), settings.data, folder, held_out=held_out, users=users, seed=settings.seed
    ) as watch:
        yield [watch]


@asynccontextmanager
async def _open(
    settings: Settings,
    data: Path,
    folder: Path,
    *,
    held_out: str | None,
    users: int,
    seed: int,
    rule: "AlarmRule | None",
) -> "AsyncGenerator[HackingWatch]":
    from ..distill.judging.open_panel import open_watch
    from ..distill.log.training_set import TrainingSet
    from ..distill.rewards.bench import settings_for_rewards
    from ..distill.rewards.reading import Reader
    from ..tools.waiting import waiting_on

    training = TrainingSet.open(data)
    grading = settings_for_rewards(settings, {"limner": 1.0})
    async with Limner(grading) as limner, open_held_out(settings, held_out, limner.doors.store) as encoder:
        reader = Reader((await limner.prepare()).deps)
        wait = waiting_on(asyncio.get_running_loop())
        yield await open_watch(
            reader, training, encoder, folder=folder, users=users, seed=seed, rule=rule, wait=wait
        )


@asynccontextmanager
async def open_held_out(
    settings: Settings, name: str | None, store: "Store"
) -> "AsyncGenerator[Embedder | None]":
    """Open the encoder that judges beside the critic, its vectors cached in the store; nothing without a name."""
    from ..tools.encoders import open_embedder

    if name is None:
        yield None
        return
    models_dir, chat = settings.models_dir, settings.chat
    embedder = open_embedder(name, models_dir=models_dir, chat=chat, store=store, chat_model=settings.model)
    try:
        yield embedder
    finally:
        await embedder.aclose()
