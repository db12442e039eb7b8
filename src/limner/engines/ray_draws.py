"""Draw portraits on a Ray cluster for somebody who waits for them, without a folder."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from ..errors import InputError
from ..models import Profile
from ..opened import Opened
from ..records import Usage
from .jobs import DrawJob
from .parts_folder import Bounds, documents_of
from .ray_parts import parts_by_ray, require_shared_state
from .ray_stream import cluster

if TYPE_CHECKING:
    from ..tools.budget import Budget


def require_shareable(limner: Opened, budget: "Budget") -> None:
    """Refuse what processes of their own cannot share.

    Raises:
        SettingsError: A database that only one process may have open.
        InputError: A model or clock that was given, or a budget that is partly spent.
    """
    require_shared_state(limner.settings)
    if budget.spent != Usage():
        raise InputError("the engine `ray` takes a budget of which nothing is spent: its workers count anew")
    if limner.has_given_doors:
        raise InputError(
            "the engine `ray` opens its own model and clock in each worker; leave `chat` and `clock` out"
        )


class RayDraws:
    """Draws portraits as of one moment.

    Args:
        limner: Whose settings each worker opens.
        as_of: Nothing at or after this moment is used.
        budget: Limits of all calls together.
        at_once: Users in flight in each worker; chosen by the model if absent.
    """

    def __init__(self, limner: Opened, *, as_of: datetime, budget: "Budget", at_once: int | None) -> None:
        require_shareable(limner, budget)
        self._settings, self._limits = limner.settings, budget.limits
        self._job, self._at_once = DrawJob(as_of=as_of), at_once
        self.usage = Usage()

    @contextmanager
    def joined(self) -> Generator[None]:
        """Be part of the cluster."""
        with cluster(self._settings.engine):
            yield

    async def draw(self, user_ids: Sequence[str]) -> AsyncGenerator[tuple[str, Profile | None]]:
        """Yield users with their portraits as parts of them are done; `None` for one that cannot be drawn."""
        named, size = sorted(user_ids), self._settings.engine.part
        chunks = [tuple(named[start : start + size]) for start in range(0, len(named), size)]
        bounds = [Bounds(number, ids[0], ids[-1], ids) for number, ids in enumerate(chunks)]
        source = parts_by_ray(self._settings, self._job, bounds, limits=self._limits, at_once=self._at_once)
        async with aclosing(source) as parts:
            async for part in parts:
                self.usage += part.usage
                drawn = documents_of(part)
                for user_id in chunks[part.part]:
                    document = drawn.get(user_id)
                    yield user_id, Profile.model_validate_json(document) if document else None
