"""Keeps the libraries' own bars, and what they warn each other of, off the terminal."""

import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_BETWEEN_LIBRARIES = (
    "`is_gradient_checkpointing` is deprecated",  # PEFT asks transformers by the old name
)
"""Beginnings of warnings that nobody outside these libraries can do anything about."""


@contextmanager
def quiet() -> Generator[None]:
    """Hide progress bars of transformers and datasets while something runs, then put them back."""
    switches: list[Any] = []
    bars: Any = import_module("transformers.utils.logging")
    if bars.is_progress_bar_enabled():
        bars.disable_progress_bar()
        switches.append(bars.enable_progress_bar)
    tables: Any = sys.modules.get("datasets")
    if tables is not None and not tables.are_progress_bars_disabled():
        tables.disable_progress_bars()
        switches.append(tables.enable_progress_bars)
    try:
        with warnings.catch_warnings():
            for beginning in _BETWEEN_LIBRARIES:
                warnings.filterwarnings("ignore", message=beginning, category=FutureWarning)
            yield
    finally:
        for switch in switches:
            switch()
