"""Ctrl-C saves the step in hand; the same again ends at once."""

import os
import signal
from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from limner.distill.training.config import TrainingSettings  # needs the extra
from limner.distill.training.interruption import Interruption
from limner.distill.training.train import train

Set = Callable[..., TrainingSettings]


def test_ctrl_c_saves_the_step_in_hand_and_the_run_goes_on_later(settings: Set) -> None:
    told: list[str] = []

    def press(done: int, steps: int, words: str) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(settings(steps=6, eval_every=0), advance=press, notice=told.append)
    assert signal.getsignal(signal.SIGINT) is before
    assert told[-2:] == [
        "finishing and saving the step in hand; Ctrl-C again ends at once",
        f"step 3 is saved in {settings().out / 'checkpoints'}",
    ]
    assert not (settings().out / "run.json").exists()

    result = train(settings(steps=6, eval_every=0), resume=True)

    assert (result.record.resumed_from, result.record.steps) == (3, 6)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.wanted
        os.kill(os.getpid(), signal.SIGINT)
