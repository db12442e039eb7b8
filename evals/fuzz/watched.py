"""Feed a target in a process of its own, so that whoever crashes or hangs takes nothing else along."""

import asyncio
import faulthandler
import json
import mmap
import os
import resource
import signal
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...errors import LimnerError
from ..bench.serve_load import cpu_of
from .odd import Odd

Feed = Callable[[Odd], Awaitable[bool]]
"""Draws an input and gives it to the code; returns whether it was refused, as it should be if it is no good."""

Kind = Literal["crash", "server error", "hang"]

_AT, _SINCE, _REFUSED, _SLOWEST, _SLOWEST_AT, _OPENED = range(6)
_SLOTS = 6
_LOOK = 0.2
_IDLE = 12
"""Times as long as a hang, after which an input hangs without having worked."""

_KEPT = 20
"""Failures of a target that are described."""

_MOST_DEATHS = 20
"""Processes of one target that may die before the rest of it is given up."""

_MEMORY = 8 << 30
"""Address space of a process; who wants more gets a `MemoryError`."""

_SHOWN = 600


class ServerFaultError(Exception):
    """An answer of status 500 or above."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is fed."""

    name: str
    share: float
    """Part of all inputs, in shares."""

    open: Callable[[Path], AbstractAsyncContextManager[Feed]]
    """Makes it ready, in a folder of its own."""

    refusals: tuple[type[Exception], ...] = (LimnerError,)
    """Errors by which an input is refused; any other is a crash."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What should not have been."""

    target: str
    number: int
    """Of the input: seed, target and number make it again."""

    kind: Kind
    words: str
    """Error and where it was raised."""


@dataclass(kw_only=True)
class Tally:
    """What came of feeding one target."""

    target: str
    inputs: int = 0
    refused: int = 0
    """Inputs that were refused with the error, or the status, that says so."""

    counts: dict[Kind, int] = field(default_factory=dict[Kind, int])
    failures: list[Failure] = field(default_factory=list[Failure])
    """The first ones."""

    slowest: float = 0.0
    """Seconds of the input that took longest."""

    slowest_at: int = 0
    """Which one that was."""

    seconds: float = 0.0


class Watched:
    """Feeds one target and watches.

    It forks: use it in a process that has no other thread.

    Args:
        target: Who is fed.
        folder: Where it may write; new.
        seed: Of the inputs.
        hang: Seconds of work after which an input hangs.
        log: File that takes what the process prints.
    """

    def __init__(self, target: Target, folder: Path, *, seed: int, hang: float, log: Path) -> None:
        self._target, self._folder, self._seed, self._hang, self._log = target, folder, seed, hang, log
        self._shared = memoryview(mmap.mmap(-1, 8 * _SLOTS)).cast("q")
        self._said = folder / "failures.jsonl"

    def run(self, first: int, count: int, notice: Callable[[int], None]) -> Tally:
        """Feed inputs `first` to `first + count`."""
        tally, began = Tally(target=self._target.name), time.monotonic()
        at, last, deaths = first, first + count, 0
        self._folder.mkdir(parents=True)
        while at < last and deaths < _MOST_DEATHS:
            ended = self._watch(at, last, lambda done: notice(done - first))
            at = self._shared[_AT]
            if ended is None:
                break
            deaths += 1
            self._say(
                ended, "the process hangs" if ended == "hang" else "the process died; the log may say why"
            )
            at += 1
            if not self._shared[_OPENED]:  # another process could not open it either
                break
        tally.inputs, tally.refused = min(at, last) - first, self._shared[_REFUSED]
        tally.slowest, tally.slowest_at = self._shared[_SLOWEST] / 1e9, self._shared[_SLOWEST_AT]
        tally.seconds = time.monotonic() - began
        self._read(tally)
        return tally

    def _watch(self, first: int, last: int, notice: Callable[[int], None]) -> Kind | None:
        """Run one process to its end; return how it failed, if it did."""
        self._shared[_AT], self._shared[_SINCE] = first, 0
        process = os.fork()
        if process == 0:
            self._be_child(first, last)
        began = (0, 0.0)
        while True:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return "crash" if status else None
            since = self._shared[_SINCE]
            if since != began[0]:
                began = (since, cpu_of(process) or 0.0)
            if since and self._hangs(since, (cpu_of(process) or 0.0) - began[1]):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                return "hang"
            notice(self._shared[_AT])
            time.sleep(_LOOK)

    def _hangs(self, since: int, worked: float) -> bool:
        """Whether an input takes too long: it works all the time, or does nothing for much longer.

        Other processes may leave this one little time, which is not its fault.
        """
        passed = (time.monotonic_ns() - since) / 1e9
        return passed > self._hang and (worked > self._hang or passed > _IDLE * self._hang)

    def _be_child(self, first: int, last: int) -> None:
        """Feed, in the child, and end."""
        status = 1
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            faulthandler.enable(file=log)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            asyncio.run(self._feed(first, last))
            status = 0
        except BaseException:  # noqa: BLE001 - nothing of the parent's may run in the child
            traceback.print_exc()
        finally:
            os._exit(status)

    async def _feed(self, first: int, last: int) -> None:
        shared, target, watcher = self._shared, self._target, os.getppid()
        async with target.open(self._folder / f"from{first}") as feed:
            shared[_OPENED] = 1
            for number in range(first, last):
                if os.getppid() != watcher:  # whoever was killed cannot stop this one
                    return
                began = time.monotonic_ns()
                shared[_AT], shared[_SINCE] = number, began
                try:
                    shared[_REFUSED] += await feed(Odd(self._seed, target.name, number))
                except target.refusals:
                    shared[_REFUSED] += 1
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                    self._note(error, number)
                took = time.monotonic_ns() - began
                if took > shared[_SLOWEST]:
                    shared[_SLOWEST], shared[_SLOWEST_AT] = took, number
            shared[_AT], shared[_SINCE] = last, 0

    def _note(self, error: BaseException, number: int) -> None:
        kind: Kind = "server error" if isinstance(error, ServerFaultError) else "crash"
        frames = [
            f"{Path(one.filename).name}:{one.lineno}"
            for one in traceback.extract_tb(error.__traceback__)[-3:]
        ]
        self._say(kind, f"{type(error).__name__}: {error!s:.{_SHOWN}} ({' > '.join(frames)})", number)

    def _say(self, kind: Kind, words: str, number: int | None = None) -> None:
        at = self._shared[_AT] if number is None else number
        line = json.dumps({"number": at, "kind": kind, "words": words.encode("utf-8", "replace").decode()})
        with self._said.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _read(self, tally: Tally) -> None:
        if not self._said.exists():
            return
        for line in self._said.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            kind: Kind = told["kind"]
            tally.counts[kind] = tally.counts.get(kind, 0) + 1
            if len(tally.failures) < _KEPT:
                tally.failures.append(Failure(target=tally.target, **told))
