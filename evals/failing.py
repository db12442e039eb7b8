"""Whatever a system under test raises becomes one typed error that says in which step and where."""

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from ..errors import LimnerError, SystemFailedError

Step = Literal[
    "import", "__init__", "fit", "move", "tune", "score", "rate", "profiles", "texts_seen", "usage", "caveats"
]
"""What a system is asked to do."""


@contextmanager
def failing_in(system: str, step: Step) -> Generator[None]:
    """Turn an error of a system into a typed one, so that a run goes on with others; Limner's own pass through.

    Args:
        system: Its name, or its spec where it has no name yet.
        step: What it was asked to do.

    Raises:
        SystemFailedError: The system raised anything else.
    """
    try:
        yield
    except LimnerError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename}:{last.lineno}"
        raise SystemFailedError(system, step, type(error).__name__, str(error), where) from error
