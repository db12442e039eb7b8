"""Parts of a batch on a Ray cluster: each actor opens a Limner of its own on the databases that all share."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..records import Usage
from ..sections import BudgetSettings
from ..settings import Settings
from ..tools.budget import Budget
from .jobs import Job
from .part_worker import PartWorker
from .parts_folder import Bounds, Part
from .ray_stream import Worker, through_ray
from .shared_budget import BudgetKeeper, KeeperLine, RemoteBudget, Ticket

if TYPE_CHECKING:
    from ..face import Limner


def require_shared_state(settings: Settings) -> None:
    """Refuse databases that only one process may have open.

    Raises:
        SettingsError: One is embedded.
    """
    reason = "the engine `ray` needs {}: its workers are processes of their own, and the embedded {} belongs to one"
    if settings.database_url is None:
        raise SettingsError("database_url", reason.format("PostgreSQL", "store"))
    if settings.chroma_url is None:
        raise SettingsError("chroma_url", reason.format("a Chroma server", "index"))


@dataclass(frozen=True, kw_only=True)
class MakePartWorker:
    """Makes the worker of an actor."""

    settings: Settings
    job: Job
    at_once: int | None
    keeper: Any
    """Handle of the actor that holds the budget; absent without limits."""

    def __call__(self) -> Worker:
        """Make it."""
        return _RayPartWorker(self)


class _RayPartWorker:
    def __init__(self, made: MakePartWorker) -> None:
        self._limits = made.settings.budget
        self._line = None if made.keeper is None else _line_to(made.keeper)
        self._worker = PartWorker(made.job, self._open, at_once=made.at_once)
        self._settings = made.settings

    async def work(self, number: int, task: Any) -> Part:
        """Do a part."""
        bounds: Bounds = task
        if self._line is None:
            return await self._worker.work(bounds, Budget())
        await self._line.begin(bounds.part)
        return await self._worker.work(bounds, RemoteBudget(self._limits, bounds.part, self._line))

    async def _open(self, stack: AsyncExitStack) -> "Limner":
        from ..face import Limner

        return await stack.enter_async_context(Limner(self._settings))


async def parts_by_ray(
    settings: Settings, job: Job, waiting: Sequence[Bounds], *, limits: BudgetSettings, at_once: int | None
) -> AsyncGenerator[Part]:
    """Do parts on the cluster that was joined, and yield each as it is there.

    Args:
        settings: What each actor opens.
        job: What is done for each user.
        waiting: The parts.
        limits: Of all calls together.
        at_once: Users in flight in each actor; chosen by the model if absent.

    Raises:
        LimnerError: Something that concerns every user, such as a database that is out of reach.
    """
    keeper = _start_keeper(limits) if limits != BudgetSettings() else None
    # A worker runs in a folder of its own.
    folders = {"store": settings.store.resolve(), "models_dir": settings.models_dir.resolve()}
    own = settings.model_copy(update={"budget": limits, **folders})
    make = MakePartWorker(settings=own, job=job, at_once=at_once, keeper=keeper)
    async for _, part in through_ray(settings.engine, make, waiting):
        yield part


def _start_keeper(limits: BudgetSettings) -> Any:
    import ray

    untyped: Any = ray
    # Not restarted: one that forgot what was spent would let it be spent again.
    return (
        untyped.remote(BudgetKeeper).options(num_cpus=0, max_restarts=0, max_concurrency=1000).remote(limits)
    )


def _line_to(keeper: Any) -> KeeperLine:
    def settle(ticket: Ticket, usage: Usage) -> None:
        keeper.settle.remote(ticket, usage)

    return KeeperLine(begin=keeper.begin.remote, admit=keeper.admit.remote, settle=settle)
