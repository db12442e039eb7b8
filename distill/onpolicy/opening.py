"""Open the rewards of a run while it lasts."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...settings import Settings
from ..training.config import TrainingSettings

if TYPE_CHECKING:
    from ..rewards.bench import RewardBench


@contextmanager
def rewards_of(settings: TrainingSettings, limner: Settings) -> Generator["RewardBench | None"]:
    """Open the rewards of a run; `None` for a method that grades nothing.

    Args:
        settings: Those of the run.
        limner: Those that the log was graded with: store, encoder, critic, and the model that grades.

    Raises:
        SettingsError: A reward is unknown, or needs a chat model and none is there.
        StoreError: The store cannot be opened.
    """
    if settings.method != "grpo":
        yield None
        return
    from ..rewards.bench import open_bench

    with open_bench(limner, settings.grpo.rewards, settings.grpo.reward_options) as bench:
        yield bench
