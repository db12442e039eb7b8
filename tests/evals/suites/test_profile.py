"""The suite `profile`, from files to values."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limner.errors import SettingsError, SystemFailedError
from limner.evals.bench.loopback_server import LoopbackServer, Reply
from limner.evals.suite import Task
from limner.evals.suites.profile import Profiles

MakeTask = Callable[..., Task]

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")


def test_own_portraits_are_grounded_and_those_of_others_less(shop: Path, make_task: MakeTask) -> None:
    own, other = (
        Profiles().measure(make_task(shop, system, seed=3))[0] for system in ("profile", "random-profile")
    )

    assert own.users == other.users and len(own.users) == 8
    assert np.nanmean(own.per_query["grounding"]) == 1.0
    assert np.nanmean(other.per_query["citations"]) == 0.0  # what is cited is not in this user's history
    assert own.per_query["by model"].tolist() == [0.0] * 8
    assert np.isfinite(own.per_query["encoder agreement"]).all()
    assert own.cost.queries == 8 and own.cost.usage.calls == 0
    assert any("words" in note for note in own.notes)


def test_portraits_of_an_earlier_run_are_told(shop: Path, make_task: MakeTask) -> None:
    [first], [again] = (Profiles().measure(make_task(shop, "profile", users=2)) for _ in range(2))

    kept = "profile:encoder=hashing: 2 of 2 portraits were drawn before; calls and seconds are those of then"
    assert (kept in first.notes, kept in again.notes) == (False, True)
    assert first.complete and again.complete


async def test_portraits_without_their_model_leave_the_result_incomplete(
    shop: Path, make_task: MakeTask
) -> None:
    async with LoopbackServer(Reply(text="down", status=400)) as server:
        task = make_task(shop, "profile:writer=openai/loopback", server.url, users=2)
        [measured] = await asyncio.to_thread(Profiles().measure, task)

    assert not measured.complete
    assert any("2 of 2 portraits are the extractive one, not the model's" in note for note in measured.notes)


def test_another_encoder_may_be_the_second(shop: Path, make_task: MakeTask) -> None:
    task = make_task(shop, "profile", users=2, options={"second": "hashing", "answers": "first"})

    [measured] = Profiles().measure(task)

    assert measured.per_query["encoder agreement"].tolist() == pytest.approx([1.0, 1.0])
    assert len(measured.users) == 2


def test_data_is_probed_and_options_are_checked(shop: Path, make_task: MakeTask) -> None:
    cards, probes = Profiles().guard(make_task(shop, "profile", options={"second": "words"}))

    assert [card.card.name for card in cards] == ["shop"]
    assert probes
    with pytest.raises(SettingsError, match="encodr"):
        Profiles().guard(make_task(shop, "profile", options={"encodr": "minilm"}))


FAILING = """
from limner import Usage

class Failing:
    name, usage = "failing", Usage()

    def fit(self, past):
        self.past = past

    def score(self, queries):
        return None

    def profiles(self, queries):
        return queries.no_such_thing
"""


def test_a_system_that_fails_to_draw_is_told_by_step_and_line(
    shop: Path, tmp_path: Path, make_task: MakeTask
) -> None:
    (tmp_path / "mine.py").write_text(FAILING)

    with pytest.raises(SystemFailedError, match=r"'failing' failed in `profiles` at .*mine\.py:14: Attrib"):
        Profiles().measure(make_task(shop, f"{tmp_path}/mine.py::Failing"))


def test_a_system_without_portraits_is_refused(shop: Path, make_task: MakeTask) -> None:
    with pytest.raises(SettingsError, match="makes no portraits"):
        Profiles().measure(make_task(shop, "history"))
