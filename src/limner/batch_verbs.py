"""Verbs of batches: everybody's portraits or recommendations into a folder of Parquet parts, by one engine or another."""

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from .errors import InputError
from .opened import Opened
from .recommendations import Filters
from .records import Record, Usage

if TYPE_CHECKING:
    from .engines.jobs import Job
    from .engines.parts_folder import Bounds, Facts, Part
    from .face import Limner
    from .tools.budget import Budget

Engine = Literal["asyncio", "ray"]
"""Who does a batch: this process, or a Ray cluster."""

_PARTS_AT_ONCE = 2
"""So that the last users of a part do not keep the places of others empty."""


class BatchReport(Record):
    """What a batch did."""

    folder: Path
    """Where the parts lie."""

    parts: int
    """Parts of the whole batch."""

    skipped: int
    """Parts that were there already."""

    left: int
    """Parts that the budget refused in part; the same call with a larger one does them."""

    rows: int
    """Users whose rows were written now."""

    failed: int
    """Of these, rows that are errors or lack the model's words; `retry_failed` does their parts again."""

    usage: Usage
    """What it cost, refused parts included."""

    seconds: float
    """How long it took."""


PartProgress = Callable[[int, int, Usage], None]
"""Called with the parts that are there, how many there are to be, and what the newest cost."""


class BatchVerbs(Opened):
    """`profiles_to` and `recommend_to`."""

    async def profiles_to(
        self,
        folder: Path,
        user_ids: Iterable[str] | None = None,
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
        engine: Engine = "asyncio",
        retry_failed: bool = False,
        progress: PartProgress | None = None,
    ) -> BatchReport:
        """Draw portraits into a folder of Parquet parts; each user is in one row of one of them, errors as rows.

        A part is there whole or not at all. Called again for the same folder it goes on where it stopped, with the users
        and the moment that were fixed when the folder was begun.

        Args:
            folder: New, or begun by the same call.
            user_ids: Users; everybody in the store if absent. Not used when the folder was begun.
            as_of: One bound for all; the present moment if absent.
            budget: Limits of this call; `settings.budget` if absent.
            at_once: Users in flight in each process; chosen by the model if absent.
            engine: `asyncio`: this process; `ray`: a cluster, see `settings.engine`.
            retry_failed: Do parts again that hold errors, or portraits without the model's words.
            progress: Told after each part.

        Raises:
            InputError: The folder holds something else.
            SettingsError: `ray` with a store or index that belongs to one process.
            MissingExtraError: Ray is not installed.
            StoreError: A database is out of reach; parts that are there stay.
        """
        from .engines.jobs import DrawJob

        job = DrawJob(as_of=as_of or self._now())
        batch = _Batch(
            self, folder, job, fixed=as_of is not None, engine=engine, at_once=at_once, progress=progress
        )
        return await batch.run(user_ids, self.budget_of(budget), retry_failed=retry_failed)

    async def recommend_to(
        self,
        folder: Path,
        user_ids: Iterable[str] | None = None,
        *,
        k: int = 10,
        as_of: datetime | None = None,
        filters: Filters | None = None,
        diversity: float = 0.0,
        explain: bool = False,
        rerank: int | None = None,
        generate: bool = False,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
        engine: Engine = "asyncio",
        retry_failed: bool = False,
        progress: PartProgress | None = None,
    ) -> BatchReport:
        """Recommend into a folder of Parquet parts; arguments as of `recommend` and `profiles_to`.

        Raises:
            InputError: The folder holds something else, a number is out of range, or `filters.available` is given, a
                function that other processes do not have.
            SettingsError: `ray` with a store or index that belongs to one process.
        """
        from .agents.recommend.recommending import wanted_of
        from .engines.jobs import RecommendJob

        chosen = filters or Filters()
        if chosen.available is not None:
            raise InputError("`filters.available` cannot be kept with a folder; name items in `unavailable`")
        job = RecommendJob(
            as_of=as_of or self._now(),
            k=k,
            had=chosen.had,
            unavailable=tuple(sorted(chosen.unavailable)),
            categories=tuple(sorted(chosen.categories)),
            without=tuple(sorted(chosen.without)),
            diversity=diversity,
            explain=explain,
            rerank=rerank,
            generate=generate,
        )
        wanted_of(
            "anybody", **job.asked(), outcome=None
        )  # what nobody can be asked is refused before anybody is
        batch = _Batch(
            self, folder, job, fixed=as_of is not None, engine=engine, at_once=at_once, progress=progress
        )
        return await batch.run(user_ids, self.budget_of(budget), retry_failed=retry_failed)


class _Batch:
    """One call."""

    def __init__(
        self,
        limner: BatchVerbs,
        folder: Path,
        job: "Job",
        *,
        fixed: bool,
        engine: Engine,
        at_once: int | None,
        progress: PartProgress | None,
    ) -> None:
        from .engines.parts_folder import PartsFolder

        self._limner, self._job, self._fixed = limner, job, fixed
        self._folder = PartsFolder(folder)
        self._engine, self._at_once, self._progress = engine, at_once, progress
        self._began = time.perf_counter()

    async def run(
        self, user_ids: Iterable[str] | None, budget: "Budget", *, retry_failed: bool
    ) -> BatchReport:
        async with AsyncExitStack() as stack:
            if self._engine == "ray":
                self._join(stack, budget)
            facts = await self._plan(user_ids)
            waiting = self._folder.waiting(retry_failed=retry_failed)
            done = left = rows = failed = 0
            usage, skipped = Usage(), facts.parts - len(waiting)
            async with aclosing(self._parts(facts.job, waiting, budget)) as parts:
                async for part in parts:
                    self._folder.write(part)
                    usage += part.usage
                    if part.data is None:
                        left += 1
                        continue
                    done, rows, failed = done + 1, rows + part.rows, failed + part.failed
                    if self._progress:
                        self._progress(skipped + done, facts.parts, part.usage)
        return BatchReport(
            folder=self._folder.path,
            parts=facts.parts,
            skipped=skipped,
            left=left,
            rows=rows,
            failed=failed,
            usage=usage,
            seconds=time.perf_counter() - self._began,
        )

    def _join(self, stack: AsyncExitStack, budget: "Budget") -> None:
        """Be part of the cluster."""
        from .engines.ray_draws import require_shareable
        from .engines.ray_stream import cluster

        require_shareable(self._limner, budget)
        stack.enter_context(cluster(self._limner.settings.engine))

    async def _plan(self, user_ids: Iterable[str] | None) -> "Facts":
        """Return what the folder was begun for, or begin it.

        Raises:
            InputError: It was begun for something else.
        """
        from .engines.parts_folder import Facts

        settings = self._limner.settings
        wanted = Facts(tenant=settings.tenant, job=self._job, made_with=_made_with(self._limner), parts=0)
        begun = self._folder.facts()
        if begun is None:
            limner = cast("Limner", self._limner)
            return await self._folder.plan(wanted, limner.users(), user_ids, settings.engine.part)
        job = self._job if self._fixed else self._job.model_copy(update={"as_of": begun.job.as_of})
        asked = wanted.model_copy(update={"job": job, "parts": begun.parts})
        for name in Facts.model_fields:
            if getattr(begun, name) != getattr(asked, name):
                there, now = getattr(begun, name), getattr(asked, name)
                raise InputError(
                    f"{self._folder.path} was begun with {name} {there}, not {now}; name another folder with --out"
                )
        return begun

    async def _parts(
        self, job: "Job", waiting: "Sequence[Bounds]", budget: "Budget"
    ) -> "AsyncGenerator[Part]":
        """Do what waits, and yield each part; nothing is begun once the budget has refused a call."""
        from .engines.part_worker import PartWorker
        from .engines.ray_parts import parts_by_ray
        from .streaming import bounded

        limner = cast("Limner", self._limner)
        await limner.prepare()  # once here, so that workers find everything indexed
        if self._engine == "ray":
            source = parts_by_ray(limner.settings, job, waiting, limits=budget.limits, at_once=self._at_once)
        else:

            async def opened(_: AsyncExitStack) -> "Limner":
                return limner

            worker = PartWorker(job, opened, at_once=self._at_once)
            source = bounded(waiting, lambda bounds: worker.work(bounds, budget), _PARTS_AT_ONCE)
        async with aclosing(source) as parts:
            async for part in parts:
                yield part


def _made_with(limner: Opened) -> dict[str, str]:
    """Return the settings that decide what rows hold."""
    from .records import content_hash

    settings = limner.settings
    shaping = (settings.drafting, settings.critic, settings.reward, settings.recommend, settings.privacy)
    return {"model": settings.model, "embedder": settings.embedder, "settings": content_hash(*shaping)}
