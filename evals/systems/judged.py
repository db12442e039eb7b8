"""Portraits chosen by a model's verdict: the baseline of reinforcement from AI feedback."""

from collections.abc import Mapping

from pydantic import PositiveInt

from ..options import read_options
from ..portraits.judging import Judged
from ..system import System
from ..workspace import Workspace
from .portrait import PortraitSystem, ZeroShotOptions


class JudgedOptions(ZeroShotOptions):
    """Who drafts, who judges, and how the draft that is liked best scores items."""

    judge: str = ""
    """LiteLLM model string; absent for the writer itself."""

    drafts: PositiveInt = 4
    """Drafts a user."""


def make_judged(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `judged`."""
    chosen = read_options(JudgedOptions, "judged", options)
    chosen = chosen.model_copy(update={"writer": chosen.writer or workspace.settings.model})
    painter = Judged(chosen.writer, chosen.judge, chosen.drafts)
    return PortraitSystem("judged", chosen, workspace, painter)
