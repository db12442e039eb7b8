"""What a plan would take, counted and timed without asking anybody."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limner.commands.evaluation_output import print_plan
from limner.evals.bills import Bill, bill_of, seconds_a_token
from limner.evals.foresight import foresee
from limner.evals.result_files import save_result
from limner.evals.results import Cost, Result, SystemCost
from limner.evals.runner import Planned, Run, plan
from limner.evals.suite import Task
from limner.evals.workspace import Workspace
from limner.records import Message, Usage
from limner.settings import Settings


def words(text: str) -> int:
    """Count words."""
    return len(text.split())


def result(
    folder: Path, name: str, *, hour: int, seconds: float, usage: Usage, model: str = "a/model"
) -> None:
    """Save a result that took so long and so many tokens."""
    cost = SystemCost(system=name, dataset="d", cost=Cost(score_seconds=seconds, queries=1, usage=usage))
    document = Result(
        suite="qa",
        command="",
        key=name,
        settings={"chat_model": model},
        rows=(),
        probes=(),
        valid=True,
        data=(),
        cost=(cost,),
        versions={},
        machine={},
        started=datetime(2026, 1, 1, hour, tzinfo=UTC),
        seconds=seconds,
    )
    save_result(document, [], folder / f"{name}.json")


def test_a_bill_counts_messages_contexts_to_come_and_answers() -> None:
    prompts = [
        (Message(role="system", content="be brief"), Message(role="user", content="what now friend"))
    ] * 3

    bill = bill_of(prompts, words, beside=100, answer=2, times=2)

    # Six calls of 2 + 3 words, 8 tokens of a template for each of two messages, and 100 of a context.
    assert bill == Bill(calls=6, prompt_tokens=6 * (2 + 3 + 16 + 100), completion_tokens=12)
    assert (bill + bill).tokens == 2 * bill.tokens


def test_the_newest_result_of_the_same_model_tells_how_fast_it_is(tmp_path: Path) -> None:
    spent = Usage(calls=1, prompt_tokens=90, completion_tokens=10)
    result(tmp_path, "older", hour=1, seconds=500.0, usage=spent)
    result(tmp_path, "newer", hour=2, seconds=20.0, usage=spent)
    result(tmp_path, "kept", hour=3, seconds=1.0, usage=spent + Usage(cached_calls=1))
    result(tmp_path, "other", hour=4, seconds=1.0, usage=spent, model="b/model")

    assert seconds_a_token(tmp_path, "a/model") == 0.2  # 20 s / 100 tokens
    assert seconds_a_token(tmp_path, "c/model") is None
    assert seconds_a_token(tmp_path / "nowhere", "a/model") is None


@pytest.fixture
def planned(tmp_path: Path) -> Callable[[str], tuple[Planned, ...]]:
    """Plan a suite on an empty folder that looks like PrefEval."""
    (tmp_path / "data").mkdir()
    settings = Settings(store=tmp_path / "store", model="a/model", embedder="hashing")
    workspace = Workspace(folder=tmp_path / "work", seed=0, settings=settings)
    task = Task(system="", data=(), workspace=workspace)

    def make(suite: str) -> tuple[Planned, ...]:
        run = Run(
            suite=suite, data=(tmp_path / "data",), systems=(), out=tmp_path / "out", task=task, command=""
        )
        return plan(run)

    return make


def test_suites_that_cannot_tell_have_no_bill(planned: Callable[[str], tuple[Planned, ...]]) -> None:
    found = list(foresee(planned("cost")[:1]))

    assert [(each.bill, each.seconds) for each in found] == [(None, None)]


def test_a_plan_is_told_in_calls_tokens_and_time(
    planned: Callable[[str], tuple[Planned, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    [one] = planned("junk")
    (one.path.parent).mkdir()
    result(one.path.parent, "earlier", hour=1, seconds=10.0, usage=Usage(calls=1, prompt_tokens=100))
    judged = one._replace(task=replace(one.task, options={"judge": "model"}))

    [timed] = foresee([judged])
    print_plan([timed, timed], as_json=False, fresh=False)

    # (200 + 100) cues in two turns of 250 and 2 tokens, at 0.1 s a token.
    assert timed.bill == Bill(600, 150_000, 1200)
    assert timed.seconds == pytest.approx(15_120.0)
    lines = capsys.readouterr().out.replace("\n", " ")
    assert "600 calls, at most 151,200 tokens, about 4.2 h" in lines
    assert "all together about 8.4 h" in lines
