"""The synchronous twins of the verbs of batches."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .batch_verbs import BatchReport, Engine, PartProgress
from .privacy_twins import PrivacyTwins
from .recommendations import Filters

if TYPE_CHECKING:
    from .tools.budget import Budget


class BatchTwins(PrivacyTwins):
    """See `BatchVerbs`."""

    def profiles_to(
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
        """See `Limner.profiles_to`."""
        return self._call(
            lambda: self._limner.profiles_to(
                folder,
                user_ids,
                as_of=as_of,
                budget=budget,
                at_once=at_once,
                engine=engine,
                retry_failed=retry_failed,
                progress=progress,
            )
        )

    def recommend_to(
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
        """See `Limner.recommend_to`."""
        return self._call(
            lambda: self._limner.recommend_to(
                folder,
                user_ids,
                k=k,
                as_of=as_of,
                filters=filters,
                diversity=diversity,
                explain=explain,
                rerank=rerank,
                generate=generate,
                budget=budget,
                at_once=at_once,
                engine=engine,
                retry_failed=retry_failed,
                progress=progress,
            )
        )
