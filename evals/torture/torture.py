"""Torture a store: do everything to it, kill whoever does it, spoil what they stand on, and see what is true in the end."""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ...settings import Settings
from .acts import Outside
from .check import Findings, examine
from .invented import Invented, number_of
from .journal import Journal
from .places import Postgres
from .plan import Step, make_plan
from .stage import Stage

Notice = Callable[[str], None]

TENANT = "torture"
_TRIES = 8
_BATCHES = 8


@dataclass(frozen=True, kw_only=True)
class Trials:
    """How much is done."""

    seed: int
    events: int
    kills: int
    database_url: str | None = None
    """PostgreSQL that is there; absent for SQLite."""

    postgres: bool = False
    """Whether a PostgreSQL server is started for it, which can be stopped then."""

    log: Path | None = None
    """File that takes what the processes print; absent to drop it."""

    @property
    def users(self) -> int:
        """How many users there are."""
        return min(120, max(8, self.events // 40))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of it."""

    trials: Trials
    steps: int
    seconds: float
    killed: dict[str, int]
    """Processes killed, by what they were doing."""

    faults: dict[str, int]
    findings: Findings

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not any(self.findings.counts.values())

    def as_json(self) -> dict[str, Any]:
        """Return it as one JSON document."""
        return {
            "seed": self.trials.seed,
            "events": self.trials.events,
            "kills": sum(self.killed.values()),
            "trials": self.steps,
            "seconds": round(self.seconds, 1),
            "killed": self.killed,
            "faults": self.faults,
            **self.findings.counts,
            "findings": self.findings.words,
            "seen": self.findings.seen,
        }


def run_torture(trials: Trials, outside: Mapping[str, Outside], notice: Notice) -> Verdict:
    """Torture a store of its own and return what came of it; nothing stays.

    It forks: call it from a process that has no other thread.

    Args:
        trials: How much.
        outside: `prepare` makes a training set, `work` does what is queued.
        notice: Told how far it is.
    """
    _load()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="limner-torture-"))
    postgres = Postgres(folder / "postgres") if trials.postgres else None
    try:
        if postgres:
            folder.chmod(0o755)  # its server runs as somebody else
            postgres.begin()
        with (trials.log or folder / "log").open("wb") as log:
            return _run(trials, outside, notice, folder, postgres, log.fileno(), began)
    finally:
        if postgres:
            postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    trials: Trials,
    outside: Mapping[str, Outside],
    notice: Notice,
    folder: Path,
    postgres: Postgres | None,
    log: int,
    began: float,
) -> Verdict:
    journal, files, stops = Journal(), folder / "files", postgres is not None
    files.mkdir()
    url = postgres.url if postgres else trials.database_url
    settings = partial(settings_of, database_url=url)
    plan = make_plan(trials.seed, events=trials.events, kills=trials.kills, users=trials.users, stops=stops)
    stage = Stage(folder, settings, outside, journal=journal, postgres=postgres, log=log, seed=trials.seed)
    try:
        findings = _Torture(trials, stage, journal, files).run(plan, notice)
    finally:
        stage.stop()
    return Verdict(
        trials=trials,
        steps=len(plan),
        seconds=time.monotonic() - began,
        killed=dict(sorted(journal.kills.items())),
        faults=dict(sorted((journal.faults + Counter(stage.server.faults)).items())),
        findings=findings,
    )


def settings_of(store: Path, model_url: str, *, database_url: str | None) -> Settings:
    """Return the settings of the store that is tortured, whatever the environment says."""
    chat = {"api_base": model_url, "timeout": 0.3, "attempts": 2, "max_wait": 0.05, "concurrency": 8}
    told = {
        "store": store,
        "database_url": database_url,
        "chroma_url": None,
        "tenant": TENANT,
        "model": "openai/loop",
        "embedder": "hashing",
        "chat": chat,
        "budget": {"calls": 12},
        "drafting": {"drafts": 2, "rounds": 1, "revisions": 1, "style": "free"},
        "groups": {"minimum": 2, "size": 6},
    }
    return Settings.model_validate(told)


def _load() -> None:
    """Import what children need, once for all of them."""
    import chromadb  # noqa: F401  # pyright: ignore[reportUnusedImport] - for the children
    import pyarrow.parquet  # noqa: F401  # pyright: ignore[reportUnusedImport] - for the children

    from ... import doors, easel  # noqa: F401  # pyright: ignore[reportUnusedImport] - for the children
    from ...agents import drawing  # noqa: F401  # pyright: ignore[reportUnusedImport] - for the children
    from ...tools.backends import load_litellm
    from ...tools.chroma import chroma_catalogue  # noqa: F401  # pyright: ignore[reportUnusedImport] - for the children

    load_litellm()


class _Torture:
    """One torture, step by step."""

    def __init__(self, trials: Trials, stage: Stage, journal: Journal, files: Path) -> None:
        self._trials, self._stage, self._journal, self._files = trials, stage, journal, files
        self._world = Invented(trials.seed, trials.users)

    def run(self, plan: list[Step], notice: Notice) -> Findings:
        """Do it, and look at what is left."""
        items = [item.model_dump() for item in self._world.items]
        self._until_done(self._told("items", items=items), None)
        for step in plan:
            self._take(step)
            notice(f"{step.number + 1} of {len(plan)}, {self._journal.kills.total()} killed")
        self._finish()
        return examine(self._journal, self._world, self._stage.settings)

    def _take(self, step: Step) -> None:
        """Take one step until it is done, whatever happens."""
        told = self._tell(step)
        self._stage.prepare(step)
        self._until_done(told, step)
        self._note(step, told)

    def _tell(self, step: Step) -> dict[str, Any]:
        """Say what a step asks for; events of it are new."""
        world, user_id = self._world, self._world.user_id(step.user)
        told = self._told(step.act, step=step.number, user_id=user_id)
        events = self._new_events(step.events)
        path = self._files / f"{step.number:05d}"
        match step.act:
            case "record":
                told |= {"batches": _dealt(events), "draw": step.draw}
            case "import":
                path = path.with_suffix(".jsonl")
                path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
                told |= {"path": str(path), "batches": [events]}
            case "profile":
                tokens = {"calls": None, "tokens": 900 * step.calls}
                told |= {"limits": {"calls": step.calls} if step.number % 2 else tokens}
            case "prepare":
                told |= {"path": str(path)}
            case "export":
                told |= {"path": str(path.with_suffix(".parquet"))}
            case "encoder":
                told |= {"items": [item.model_dump() for item in world.items[: 3 + step.user]]}
                told |= {"settings": {"store": str(self._stage.other), "embedder": "openai/loop"}}
            case _:
                pass
        told["beside"] = _dealt(self._new_events(step.beside))
        told["now"] = self._now(step.jump)
        return told

    def _told(self, act: str, **given: Any) -> dict[str, Any]:
        return {"number": time.monotonic_ns(), "act": act, "now": self._now(0.0), **given}

    def _now(self, jump: float) -> str:
        return (self._world.now(len(self._journal.sent)) + timedelta(seconds=jump)).isoformat()

    def _new_events(self, count: int) -> list[dict[str, Any]]:
        first = len(self._journal.sent)
        events = [self._world.event(number) for number in range(first, first + count)]
        self._journal.sent |= {first + place: event["user_id"] for place, event in enumerate(events)}
        return events

    def _until_done(self, told: dict[str, Any], step: Step | None) -> None:
        """Try until it is done: with all that goes wrong the first time, then in peace."""
        trouble = step
        for _ in range(_TRIES):
            answer = self._stage.attempt(told, trouble)
            if answer is not None and "result" in answer:
                told["answer"] = answer["result"]
                return
            if answer is not None:
                self._judge_failure(told, answer, trouble)
            trouble = None
        self._journal.wrong.append(f"{told['act']} of step {told.get('step')} does not come to an end")

    def _judge_failure(self, told: dict[str, Any], answer: dict[str, Any], trouble: Step | None) -> None:
        """Note a failure that should not have been; one that a fault explains, by its type, should."""
        words = f"{told['act']} of step {told.get('step')}: {answer['error']}: {answer.get('words', '')}"
        if "reindex" in answer.get("words", ""):
            self._stage.rebuild()
            return
        if not answer.get("typed"):
            self._journal.wrong.append(f"untyped {words}")
        elif not (trouble and (trouble.full or trouble.stop)):
            self._journal.wrong.append(f"unexplained {words}")
        self._stage.end_main()

    def _note(self, step: Step, told: dict[str, Any]) -> None:
        """Write down what was acknowledged with a step."""
        if step.jump:
            self._journal.faults["clock jump"] += 1
        if "answer" in told:
            note = getattr(self, f"_note_{step.act}", None)
            if note is not None:
                note(told, told["answer"])

    def _note_record(self, told: dict[str, Any], answer: dict[str, Any]) -> None:
        del answer
        if told["draw"]:
            events = [event for batch in told["batches"] for event in batch]
            self._journal.wished |= {
                event["user_id"]: _number(event) for event in sorted(events, key=_number)
            }

    def _note_import(self, told: dict[str, Any], answer: dict[str, Any]) -> None:
        self._journal.keep(told["batches"][0])
        if answer["rejected"]:
            self._journal.wrong.append(f"step {told['step']}: {answer['rejected']} rows rejected")

    def _note_profile(self, told: dict[str, Any], answer: dict[str, Any]) -> None:
        if "version" in answer:
            drawn = self._journal.drawn.setdefault(told["user_id"], [])
            drawn.append((answer["version"], answer["fingerprint"]))

    def _note_forget(self, told: dict[str, Any], answer: dict[str, Any]) -> None:
        self._journal.forget(told["user_id"])
        if not answer["finished"]:
            self._journal.wrong.append(f"step {told['step']}: forgetting is not finished")

    def _note_export(self, told: dict[str, Any], answer: dict[str, Any]) -> None:
        self._journal.written[Path(told["path"])] = answer

    _note_prepare = _note_export

    def _note_encoder(self, told: dict[str, Any], answer: dict[str, Any]) -> None:
        if answer.get("indexed", len(told["items"])) < len(told["items"]):
            self._journal.wrong.append(f"step {told['step']}: {answer['indexed']} items are indexed")

    def _finish(self) -> None:
        """Do in peace what is still to be done, and everything that was sent a second time."""
        self._stage.end_main()
        for path in sorted(self._files.glob("*.jsonl")):
            self._until_done(self._told("import", path=str(path), step="again"), None)
        events = [self._world.event(number) for number in self._journal.sent]
        self._until_done(self._told("record", batches=_dealt(events), draw=False, step="again"), None)
        for act in ("work", "draw_all", "refresh"):
            last = self._told(act, step="last")
            self._until_done(last, None)
            if failed := last.get("answer", {}).get("failed"):
                self._journal.wrong.append(f"{act} at last: {failed[:5]}")
        for act, name in (("prepare", "last"), ("export", "last.parquet")):
            path = self._files / name
            last = self._told(act, path=str(path), user_id=self._world.user_id(0), step="last")
            self._until_done(last, None)
            if "answer" in last:
                self._journal.written[path] = last["answer"]
        self._stage.end()


def _dealt(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Deal events out to a few batches."""
    return [batch for place in range(_BATCHES) if (batch := events[place::_BATCHES])]


def _number(event: Mapping[str, Any]) -> int:
    return number_of(event["text"])
