"""What is true in the end, against the oracle's journal."""

import asyncio
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ...doors import open_only_store
from ...face import Limner
from ...models import Profile, Rollout
from ...records import Interaction
from ...settings import Settings
from ...tools.jobs import JobBook
from .acts import ToldClock
from .invented import BETWEEN, START, Invented, number_of
from .journal import Journal

_MARK = re.compile(rb"zq(\d{6})v")
_SHOWN = 20
_OVERLAP = 16
_CHUNK = 1 << 22


@dataclass
class Findings:
    """What is wrong, and how often."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("lost", "doubled", "invalid", "breaches"), 0)
    )
    words: list[str] = field(default_factory=list[str])
    """The first of each kind, in words."""

    seen: dict[str, int] = field(default_factory=dict[str, int])
    """How much there was to look at."""

    def find(self, kind: str, words: str) -> None:
        """Note something that is wrong."""
        self.counts[kind] += 1
        if self.counts[kind] <= _SHOWN:
            self.words.append(f"{kind}: {words}")


def examine(journal: Journal, world: Invented, settings: Settings) -> Findings:
    """Look at everything that a store holds, while nobody else has it open."""
    findings = Findings()
    for words in journal.breaches:
        findings.find("breaches", words)
    for words in journal.wrong:
        findings.find("invalid", words)
    asyncio.run(_Examiner(journal, world, settings, findings).go())
    if settings.database_url is None:
        _examine_files(settings.store, journal, findings)
    return findings


class _Examiner:
    """Looks through the store."""

    def __init__(self, journal: Journal, world: Invented, settings: Settings, findings: Findings) -> None:
        self._journal, self._world, self._settings = journal, world, settings
        self._find, self._seen = findings.find, findings.seen

    async def go(self) -> None:
        """Look at everything."""
        clock = ToldClock()
        clock.set(self._world.now(len(self._journal.sent)))
        async with Limner(self._settings, clock=clock) as limner:
            events = await self._look_at_events(limner)
            await self._look_at_portraits(limner, events)
            await self._look_at_log(limner)
            await self._look_at_rest(limner, clock)
        self._look_at_files()

    async def _look_at_events(self, limner: Limner) -> dict[str, dict[str, Interaction]]:
        """Compare what is recorded with what was acknowledged; return it by user and id."""
        found: Counter[int] = Counter()
        held: dict[str, dict[str, Interaction]] = {}
        far = START + timedelta(days=36_500)
        async for user_id in limner.users():
            events = await limner.doors.store.history(user_id, as_of=far)
            held[user_id] = {event.event_id: event for event in events}
            for event in events:
                number = number_of(event.text)
                found[number] += 1
                if self._journal.sent.get(number) != user_id:
                    self._find("invalid", f"event {number} is of {user_id}")
        self._seen["events"] = found.total()
        for number in self._journal.sent:
            gone, kept = self._journal.is_forgotten(number), number in self._journal.kept
            if found[number] > 1:
                self._find("doubled", f"event {number} is there {found[number]} times")
            if gone and found[number]:
                self._find("invalid", f"event {number} was forgotten and is there")
            if kept and not gone and not found[number]:
                self._find("lost", f"event {number} of {self._journal.sent[number]}")
            if not kept and not gone:
                self._find("invalid", f"event {number} was never acknowledged")
        return held

    async def _look_at_portraits(self, limner: Limner, events: dict[str, dict[str, Interaction]]) -> None:
        count = 0
        for user_id, mine in events.items():
            versions = await limner.doors.store.profile_versions(user_id)
            count += len(versions)
            numbers = {profile.version for profile in versions}
            for version, fingerprint in self._journal.drawn.get(user_id, []):
                held = [profile.fingerprint for profile in versions if profile.version == version]
                if held != [fingerprint]:
                    self._find("lost", f"version {version} of {user_id}")
            for profile in versions:
                self._look_at_portrait(profile, mine, numbers)
            self._look_for_doubles(user_id, versions)
            wish = self._journal.wished.get(user_id)
            if wish is not None and not any(profile.as_of > START + wish * BETWEEN for profile in versions):
                self._find("lost", f"the drawing of {user_id} queued with event {wish}")
        self._seen["portraits"] = count

    def _look_at_portrait(self, profile: Profile, mine: dict[str, Interaction], numbers: set[int]) -> None:
        name = f"version {profile.version} of {profile.user_id}"
        Profile.model_validate_json(profile.model_dump_json())
        if not profile.text.strip() or not profile.facets:
            self._find("invalid", f"{name} says nothing")
        if (profile.source == "model") is not (profile.model is not None):
            self._find("invalid", f"{name} is by {profile.source} and names model {profile.model!r}")
        for claim in profile.claims:
            for event_id in claim.evidence:
                if event_id not in mine:
                    self._find("invalid", f"{name} rests on {event_id!r}, which is not there")
                elif mine[event_id].at >= profile.as_of:
                    self._find("invalid", f"{name} rests on what came later")
        if not profile.claims:
            self._find("invalid", f"{name} rests on nothing")
        if profile.parent_version is not None and profile.parent_version not in numbers:
            self._find("invalid", f"{name} has no parent {profile.parent_version}")

    def _look_for_doubles(self, user_id: str, versions: list[Profile]) -> None:
        by_number = {profile.version: profile for profile in versions}
        for profile in versions:
            parent = by_number.get(profile.parent_version or 0)
            if parent and parent.fingerprint == profile.fingerprint:
                self._find("doubled", f"version {profile.version} of {user_id} is version {parent.version}")

    async def _look_at_log(self, limner: Limner) -> None:
        places: Counter[tuple[str, int, int]] = Counter()
        chosen: Counter[str] = Counter()
        rollouts: list[Rollout] = [rollout async for rollout in limner.rollouts()]
        for rollout in rollouts:
            places[rollout.run_id, rollout.round, rollout.draft_ix] += 1
            chosen[rollout.run_id] += rollout.selected
        self._seen["drafts"] = len(rollouts)
        for place, times in places.items():
            if times > 1:
                self._find("doubled", f"draft {place} is logged {times} times")
        for run_id, times in chosen.items():
            if times != 1:
                self._find("invalid", f"{times} drafts of run {run_id} were chosen")

    async def _look_at_rest(self, limner: Limner, clock: ToldClock) -> None:
        store, world = limner.doors.store, self._world
        indexed = set(await limner.doors.catalogue.item_ids())
        held = await limner.items([item.item_id for item in world.items])
        for item in world.items:
            if item.item_id not in held:
                self._find("lost", f"item {item.item_id}")
            elif item.item_id not in indexed:
                self._find("lost", f"the vector of item {item.item_id}")
        for forget in await store.unfinished_forgets():
            self._find("invalid", f"forget {forget.seq} is not finished")
        threads = {
            saved.config["configurable"]["thread_id"] async for saved in limner.doors.saver.alist(None)
        }
        self._seen["runs never gone on with"] = len(threads)
        async with open_only_store(self._settings) as own:
            jobs = await JobBook(own.engine, clock).page(self._settings.tenant, before=None, limit=10_000)
        self._seen["jobs set aside"] = len(jobs)
        for job in jobs:
            if job.state != "failed":
                self._find("lost", f"job {job.job_id} is {job.state}")
            elif job.error is None:
                self._find("invalid", f"job {job.job_id} failed without a reason")

    def _look_at_files(self) -> None:
        import pyarrow.parquet as pq

        for path, said in self._journal.written.items():
            if path.suffix == ".parquet":
                rows = int(pq.read_metadata(path).num_rows)
                told = json.loads(path.with_suffix(".json").read_text("utf-8"))
                if rows != said["drafts"] or len(told.get("interactions", ())) != said["events"]:
                    self._find("invalid", f"{path.name} is not what was said of it")
            elif "files" in said:
                for name, count in said["files"].items():
                    if int(pq.read_metadata(path / name).num_rows) != count:
                        self._find("invalid", f"{path.name}/{name} is not what its manifest says")
        self._seen["files"] = len(self._journal.written)
        left = [path for path in next(iter(self._journal.written)).parent.iterdir() if path.suffix == ".part"]
        self._seen["parts left by killed writers"] = len(left)


def _examine_files(store: Path, journal: Journal, findings: Findings) -> None:
    """Look at the bytes of a store in a folder: whether databases are whole, and what was forgotten is gone."""
    for name in ("limner.db", "checkpoints.db"):
        with closing(sqlite3.connect(store / name)) as connection:
            told = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        if told != ["ok"]:
            findings.find("invalid", f"{name} is damaged: {told[:3]}")
    forgotten = {number for number in journal.sent if journal.is_forgotten(number)}
    findings.seen["forgotten events"] = len(forgotten)
    for file in sorted(path for path in store.rglob("*") if path.is_file()):
        still = _marks_in(file) & forgotten
        if still:
            words = f"holds words of {len(still)} forgotten events, as {min(still)}"
            findings.find("invalid", f"{file.relative_to(store)} {words}")


def _marks_in(path: Path) -> set[int]:
    found: set[int] = set()
    tail = b""
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            found |= {int(mark) for mark in _MARK.findall(tail + part)}
            tail = part[-_OVERLAP:]
    return found
