"""What each file of a plan would take: counted, and timed by what was measured before."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .bills import Bill, seconds_a_token
from .runner import Planned, load_suite
from .suite import Billed


class Foreseen(NamedTuple):
    """One planned file and what making it takes."""

    planned: Planned

    bill: Bill | None
    """Absent if it is finished, or if its suite cannot tell."""

    seconds: float | None
    """About how long; absent where no earlier result beside it tells how fast the model is."""


def foresee(planned: Iterable[Planned], *, fresh: bool = False) -> Iterator[Foreseen]:
    """Yield what each file takes; nothing is asked, drawn or written.

    Args:
        planned: The files.
        fresh: Whether finished ones are made again.

    Raises:
        SettingsError: An option cannot be.
        UnknownFormatError: Nobody can read the data.
    """
    for each in planned:
        suite = load_suite(each.suite)
        if not isinstance(suite, Billed) or (each.finished and not fresh):
            yield Foreseen(each, None, None)
            continue
        bill = suite.bill(each.task)
        speed = seconds_a_token(each.path.parent, each.task.workspace.settings.model)
        yield Foreseen(each, bill, None if speed is None else speed * bill.tokens)
