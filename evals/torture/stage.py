"""The stage: the processes that work on the store, the server and the disk they stand on, and what is done to each."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...settings import Settings
from .acts import Outside
from .child import live, live_beside, read_slowly
from .herd import Child
from .journal import Journal
from .places import ROOM, Disk, Postgres, damage
from .plan import Kill, Step
from .weather import ModelServer

_PATIENCE = 120.0
"""Seconds after which an act hangs."""

_READING = 1.0
_FIRST = (20, 0.05)
"""Points and seconds of an act that nobody has seen to its end yet."""

_OPENING = "opening"
_BESIDE = "record beside"


class Stage:
    """Where a torture takes place; close it by `end`.

    Args:
        folder: Empty; takes everything.
        settings: Of the store, as far as they are known before the model server and the disk are there.
        outside: See `run_torture`.
        journal: Takes note.
        postgres: A server of one's own; absent for the database of the settings.
        log: File descriptor that takes what processes print.
        seed: Of what is damaged and spoilt.
    """

    def __init__(
        self,
        folder: Path,
        settings: Callable[[Path, str], Settings],
        outside: Mapping[str, Outside],
        *,
        journal: Journal,
        postgres: Postgres | None,
        log: int,
        seed: int,
    ) -> None:
        self._outside, self._journal, self._postgres = outside, journal, postgres
        self._log, self._seed = log, seed
        (folder / "disk").mkdir()
        self._disk = Disk(folder / "disk")
        self.other = self._disk.folder / "other"
        """Folder of another store."""
        self.server = ModelServer()
        self._served = self.server.start()
        self.settings = settings(self._disk.folder / "store", self.server.url)
        self._ends: set[int] = set()
        self._main: Child | None = None
        self._clerk: Child | None = None
        self._readers: list[Child] = []
        self._usual: dict[str, tuple[int, float]] = {}
        self._rebuild = False

    def prepare(self, step: Step) -> None:
        """Do what a step wants done beforehand."""
        if step.index != "kept":
            self.end_main()
            self._spoil(step)
        self._readers = [reader for reader in self._readers if not _is_over(reader)]
        if step.reader and self.settings.database_url is None:
            self._journal.faults["slow reader"] += 1
            read = partial(read_slowly, database=self.settings.store / "limner.db", seconds=_READING)
            self._readers.append(self._child(read))

    def attempt(self, told: dict[str, Any], trouble: Step | None) -> dict[str, Any] | None:
        """Have it done once; returns the answer, or nothing if somebody died of it."""
        kill = trouble.kill if trouble else None
        if kill and kill.way == "opening":
            self.end_main()
            self._journal.kills[f"opening before {told['act']}"] += 1
        main = self._open_main(told, kill if kill and kill.way == "opening" else None)
        if main is None:
            return None
        seed = self._seed * 1_000_003 + (trouble.number if trouble else 0)
        self.server.turn(trouble.weather if trouble else "fair", seed)
        requests, tokens = self.server.requests, self.server.tokens
        answer = self._together(main, told, trouble)
        if told["act"] == "profile":
            self._judge_budget(told, requests, tokens)
        return answer

    def _together(self, main: Child, told: dict[str, Any], trouble: Step | None) -> dict[str, Any] | None:
        """Have the main process and perhaps the clerk do their parts at the same time."""
        kill = trouble.kill if trouble and trouble.kill and trouble.kill.way != "opening" else None
        clerk = self._open_clerk(told["now"]) if told.get("beside") else None
        victim = clerk if kill and kill.clerk and clerk else main
        act = told["act"] if victim is main else _BESIDE
        points, seconds = self._usual.get(act, _FIRST)
        die_at = 1 + int(kill.where * points) if kill and kill.way == "point" else None
        full = trouble is not None and trouble.full
        if full:
            self._journal.faults["disk full"] += 1
            self._disk.fill()
        if clerk:
            same = {"number": told["number"], "now": told["now"], "act": "record", "batches": told["beside"]}
            clerk.say({**same, "die_at": die_at if victim is clerk else None})
        unsaid = {"beside", "answer", *(["batches"] if told["act"] == "import" else [])}
        sent = {key: value for key, value in told.items() if key not in unsaid}
        room = ROOM if full and not self._disk.small else None
        main.say({**sent, "die_at": die_at if victim is main else None, "room": room})
        if trouble and trouble.stop:
            self._stop_database(trouble)
        if kill and kill.way == "moment":
            time.sleep(kill.where * seconds)
            victim.kill()
        answer = self._hear_out(main, told, told["act"])
        if clerk and self._hear_out(clerk, told, _BESIDE) is None:
            answer = None
        if kill:
            self._journal.kills[act] += 1
            victim.kill()
            victim.hear(_PATIENCE)
        if full:
            self._disk.free()
        return answer

    def _stop_database(self, step: Step) -> None:
        """Stop it while somebody works with it, and start it again."""
        assert self._postgres is not None, "only a plan for one has it stopped"
        self._journal.faults["database stopped"] += 1
        time.sleep(step.number % 7 * 0.02)
        self._postgres.stop()
        self._postgres.start()

    def _hear_out(self, child: Child, told: dict[str, Any], act: str) -> dict[str, Any] | None:
        """Listen until the act is over or the process has died; note what is acknowledged on the way."""
        until = time.monotonic() + _PATIENCE
        batches = told["beside"] if act == _BESIDE else told.get("batches", [])
        while (answer := child.hear(until - time.monotonic())) is not None:
            if answer["number"] != told["number"]:
                continue
            if "part" in answer:
                self._journal.keep(batches[answer["part"]])
                continue
            if "points" in answer and "result" in answer:
                self._usual[act] = (answer["points"], answer["seconds"])
            return answer
        if child.alive:
            self._journal.wrong.append(f"{act} of step {told.get('step')} hangs")
            child.kill()
            child.hear(_PATIENCE)
        return None

    def end(self) -> None:
        """Let everybody end by themselves."""
        for child in (self._main, self._clerk, *self._readers):
            if child:
                child.end()

    def end_main(self) -> None:
        """Let the process that has the store open close it."""
        if self._main:
            self._main.end()
            self._main = None

    def rebuild(self) -> None:
        """Have the index rebuilt when the store is opened next."""
        self._rebuild = True
        self.end_main()

    def stop(self) -> None:
        """Kill whoever is left, and the model server."""
        for child in (self._main, self._clerk, *self._readers):
            if child:
                child.kill()
        os.kill(self._served, signal.SIGKILL)
        os.waitpid(self._served, 0)
        self._disk.close()

    def _spoil(self, step: Step) -> None:
        """Do something to the index while nobody has it open."""
        index = self.settings.store / "chroma"
        self._journal.faults[f"index {step.index}"] += 1
        if step.index == "deleted":
            shutil.rmtree(index, ignore_errors=True)
        else:
            damage(index, random.Random(f"damage {self._seed} {step.number}").random())

    def _judge_budget(self, told: dict[str, Any], requests: int, tokens: int) -> None:
        calls, most = told["limits"].get("calls"), told["limits"].get("tokens")
        asked, read = self.server.requests - requests, self.server.tokens - tokens
        if calls is not None and asked > calls:
            self._journal.breaches.append(f"step {told.get('step')}: {asked} calls of {calls}")
        if most is not None and read > most:
            self._journal.breaches.append(f"step {told.get('step')}: {read} tokens of {most}")

    def _open_main(self, told: dict[str, Any], kill: Kill | None) -> Child | None:
        """Return the process that has the store open; nothing if it died or failed on opening it."""
        if self._main and self._main.alive:
            return self._main
        self._main = child = self._child(partial(live, settings=self.settings, outside=self._outside))
        points, _ = self._usual.get(_OPENING, _FIRST)
        die_at = 1 + int(kill.where * points) if kill else None
        child.say({"number": 0, "now": told["now"], "rebuild": self._rebuild, "die_at": die_at})
        answer = child.hear(_PATIENCE)
        if kill:
            child.kill()
            child.hear(_PATIENCE)
            return None
        if answer is None or "error" in answer:
            child.end()
            if answer is None or not answer["typed"]:
                self._journal.wrong.append(f"opening before step {told.get('step')}: {answer}")
            elif "reindex" in answer["words"] and not self._rebuild:
                self._rebuild = True
                return self._open_main(told, kill)
            return None
        self._usual[_OPENING] = (answer["points"], 0.0)
        if self._rebuild:
            self._rebuild = False
            child.say({"number": 0, "now": told["now"], "act": "reindex"})
            if (done := child.hear(_PATIENCE)) is None or "result" not in done:
                self._journal.wrong.append(f"rebuilding the index before step {told.get('step')}: {done}")
        return child

    def _open_clerk(self, now: str) -> Child | None:
        if not (self._clerk and self._clerk.alive):
            self._clerk = self._child(partial(live_beside, settings=self.settings))
            self._clerk.say({"number": 0, "now": now})
            answer = self._clerk.hear(_PATIENCE)
            if answer is None or "error" in answer:
                self._journal.wrong.append(f"the second process does not open: {answer}")
        return self._clerk

    def _child(self, what: Callable[[Any], None]) -> Child:
        return Child(what, log=self._log, open_ends=self._ends)


def _is_over(reader: Child) -> bool:
    reader.hear(0.0)
    return not reader.alive
