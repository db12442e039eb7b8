"""Tasks through a pipeline of Ray Data: each goes to one actor, and its result comes back as soon as it is there.

Tasks and results pass through Ray's blocks as bytes, one row each, so that what belongs together is never split. A task
whose actor dies is given to another one.
"""

import asyncio
import importlib
import logging
import pickle
import queue
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, Protocol

from ..errors import LimnerError, MissingExtraError, SettingsError
from ..sections import EngineSettings

_SPARE_CPUS = 2
"""Logical CPUs beside the actors', for what Ray Data itself runs."""

_BLOCKS = 4096
"""Blocks at most; Ray's scheduler slows down with many thousands. A task lies in a block with its neighbours, then."""

_AHEAD = 2
"""Results that may wait to be fetched."""

_LOOK = 0.5
"""Seconds between looks whether anybody still wants results."""


class Worker(Protocol):
    """Does tasks in an actor."""

    async def work(self, number: int, task: Any) -> object:
        """Do one; others may be under way."""
        ...


MakeWorker = Callable[[], Worker]


class RayWorker:
    """An actor's end of the pipeline.

    Args:
        make: Makes what does the tasks.
    """

    def __init__(self, make: MakeWorker) -> None:
        self._worker = make()

    async def __call__(self, batch: Any) -> AsyncIterator[Any]:
        """Do the tasks of a batch, a table, and yield each result as another."""
        pa: Any = importlib.import_module("pyarrow")
        for number, task in zip(batch["number"].to_pylist(), batch["task"].to_pylist(), strict=True):
            try:
                done: object = await self._worker.work(number, pickle.loads(task))
            except LimnerError as error:  # as a result: Ray would wrap it in text
                done = _Raised(error)
            yield pa.table({"number": [number], "done": [pickle.dumps(done)]})


class _Raised:
    """An error on its way."""

    def __init__(self, error: LimnerError) -> None:
        self.error = error


@contextmanager
def cluster(settings: EngineSettings) -> Generator[None]:
    """Join the cluster that the settings name, or start one on this machine, and leave it at the end.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: Nobody answers there, or there are too few CPUs for the actors: they would wait for ever.
    """
    ray: Any = _import_ray()
    joined = ray.is_initialized()
    # Ray prints what befalls its workers on standard output, which is for results.
    with redirect_stdout(sys.stderr):
        if not joined:
            _start(ray, settings)
        yield from _within(ray, settings, joined=joined)


def _within(ray: Any, settings: EngineSettings, *, joined: bool) -> Generator[None]:
    try:
        there, needed = ray.cluster_resources().get("CPU", 0.0), settings.workers * settings.cpus
        if there < needed:
            reason = f"{settings.workers} of {settings.cpus:g} CPUs do not fit into a cluster of {there:g}"
            raise SettingsError("engine.workers", reason)
        yield
    finally:
        if not joined:
            ray.shutdown()


def _start(ray: Any, settings: EngineSettings) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if settings.address is not None:
            ray.init(address=settings.address, **quiet)
        else:
            cpus = int(settings.workers * settings.cpus) + _SPARE_CPUS
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = f"{settings.address!r} is no cluster that can be joined: {error}"
        raise SettingsError("engine.address", reason) from error


async def through_ray(
    settings: EngineSettings, make: MakeWorker, tasks: Sequence[object]
) -> AsyncGenerator[tuple[int, Any]]:
    """Do tasks on the cluster that was joined, and yield each one's number with its result, in any order.

    Args:
        settings: How many actors, and how much of the cluster each takes.
        make: Makes what does the tasks, in each actor; it is pickled, as tasks and results are.
        tasks: What is to be done.

    Raises:
        LimnerError: A worker raised it; nothing more is begun.
    """
    inbox: queue.Queue[Any] = queue.Queue(_AHEAD)
    stopped = threading.Event()

    def pull() -> None:
        try:
            for found in results_of(settings, make, tasks):
                if not _put(inbox, found, stopped):
                    return
            _put(inbox, None, stopped)
        except BaseException as error:  # noqa: BLE001 - raised where the results are awaited
            _put(inbox, error, stopped)

    # A daemon: Ray has no way to end a wait for a result, and a cancelled program must not wait for it.
    threading.Thread(target=pull, name="limner-ray", daemon=True).start()
    try:
        while (found := await asyncio.to_thread(inbox.get)) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        stopped.set()
        with suppress(queue.Full):  # for a `get` that was cancelled and still waits
            inbox.put_nowait(None)


def _put(inbox: "queue.Queue[Any]", found: object, stopped: threading.Event) -> bool:
    """Wait for room; return whether anybody still wants results."""
    while not stopped.is_set():
        with suppress(queue.Full):
            inbox.put(found, timeout=_LOOK)
            return True
    return False


def results_of(
    settings: EngineSettings, make: MakeWorker, tasks: Sequence[object]
) -> Generator[tuple[int, Any]]:
    """Do what `through_ray` does, for code without an event loop; arguments and errors are the same."""
    if not tasks:
        return
    data: Any = importlib.import_module("ray.data")  # pyarrow, which it yields, ships no types
    data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"number": number, "task": pickle.dumps(task)} for number, task in enumerate(tasks)]
    pipeline = data.from_items(rows, override_num_blocks=min(len(rows), _BLOCKS)).map_batches(
        RayWorker,
        fn_constructor_args=(make,),
        batch_size=1,
        batch_format="pyarrow",
        compute=data.ActorPoolStrategy(size=min(settings.workers, len(rows))),
        num_cpus=settings.cpus,
    )
    for table in pipeline.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for number, done in zip(table["number"].to_pylist(), table["done"].to_pylist(), strict=True):
            result = pickle.loads(done)
            if isinstance(result, _Raised):
                raise result.error
            yield number, result


def _import_ray() -> Any:
    import os

    # Read by Ray when it is imported. It would send statistics of use otherwise, and what still runs when a cluster was left
    # would start another one.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("the engine `ray`", "ray") from error
    return ray
