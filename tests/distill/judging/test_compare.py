"""Two profilers are compared on the same users, and an interrupted comparison goes on."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.distill.judging.compare import Comparison, compare_sheets
from limner.distill.judging.evaluation import Plan, read_evaluation
from limner.distill.judging.evaluation_table import as_markdown
from limner.distill.judging.judges import EncoderJudge, HistoryLikeness, LexicalJudge, Measure
from limner.distill.judging.panel import Panel, Sheet
from limner.distill.judging.profilers import ChatProfiler
from limner.distill.judging.sitters import Sitter
from limner.distill.log.training_rows import Messages
from limner.errors import InputError, ModelUnavailableError, UnknownFormatError
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.embedder import HashingEmbedder
from limner.tools.scripted import ScriptedChat
from limner.tools.statistics import Values, paired_test

Sitters = Callable[[int], list[Sitter]]
Critics = Callable[[Callable[[int, str], float]], Any]
ThemeOf = Callable[[int], str]
Made = Callable[..., Comparison]

USERS = 24
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def number_of(request: ChatRequest) -> int:
    return int(request.messages[0].content.partition(":")[0])


@pytest.fixture
def hits(theme_of: ThemeOf) -> Callable[[float], ScriptedChat]:
    """A model that names the right theme with this probability."""

    def make(share: float) -> ScriptedChat:
        def say(request: ChatRequest) -> str:
            number = number_of(request)
            right = random.Random(f"{number} {request.seed}").random() < share
            return f"Likes {theme_of(number if right else number + 1)}."

        return ScriptedChat(say, name=f"hits-{share}")

    return make


@pytest.fixture
def made(
    sitters: Sitters,
    critic: Critics,
    theme_of: ThemeOf,
    hits: Callable[[float], ScriptedChat],
    declared: Plan,
    tmp_path: Path,
) -> Made:
    """Make a comparison of two models; changes to it come by name."""

    def make(new: ScriptedChat | None = None, old: ScriptedChat | None = None, **changes: Any) -> Comparison:
        people = [replace(each, schema={"type": "object"}, max_tokens=9) for each in sitters(USERS)]
        texts = [text for each in people for text in (*each.positives, *each.negatives)]
        embedder = HashingEmbedder(256)
        measures: list[Measure] = [
            EncoderJudge(embedder, temperature=0.05),
            LexicalJudge(texts),
            HistoryLikeness(embedder, temperature=0.05),
        ]
        grader = critic(lambda number, text: 0.25 + 0.5 * (theme_of(number) in text))
        whole: dict[str, Any] = {
            "plan": declared,
            "sitters": people,
            "changed": 0,
            "candidate": ChatProfiler(new or hits(0.9), Budget(), temperature=0.8, top_p=0.95),
            "baseline": ChatProfiler(old or hits(0.3), Budget(), temperature=0.8, top_p=0.95),
            "panel": Panel(grader, measures),
            "folder": tmp_path / "out",
        }
        return Comparison(**(whole | changes))

    return make


async def test_the_better_profiler_wins_and_everything_is_written(made: Made, tmp_path: Path) -> None:
    found = await made().run(at=NOW)

    primary = found.figures[0]
    assert primary.metric == "judge/held_out"
    assert primary.low > 0 and primary.p_value < 0.001 and primary.users == USERS
    total = found.figure("critic/total")
    assert total is not None
    assert total.candidate - total.baseline == pytest.approx(total.difference)
    assert found == read_evaluation(tmp_path / "out")
    values = json.loads((tmp_path / "out" / "users.json").read_text())
    ours, theirs = (np.array(values[side]["critic/total"]) for side in ("candidate", "baseline"))
    # Totals are .25 or .75; two portraits a user.
    assert set(ours) <= {0.25, 0.5, 0.75}
    test = paired_test(ours, theirs, seed=3)
    assert (total.difference, total.low, total.high, total.p_value) == pytest.approx(test[:4])


async def test_both_get_the_same_prompts_seeds_and_schema(
    made: Made, hits: Callable[[float], ScriptedChat]
) -> None:
    new, old = hits(0.9), hits(0.3)

    await made(new, old).run(at=NOW)

    assert len(new.requests) == 2 * USERS
    assert new.requests == old.requests
    assert len({(number_of(each), each.seed) for each in new.requests}) == 2 * USERS
    assert {each.max_tokens for each in new.requests} == {9}
    assert all(each.json_schema == {"type": "object"} for each in new.requests)
    assert {(each.temperature, each.top_p) for each in new.requests} == {(0.8, 0.95)}


async def test_without_guidance_neither_is_held_to_a_schema(
    made: Made, hits: Callable[[float], ScriptedChat], declared: Plan
) -> None:
    new, old = hits(0.9), hits(0.3)

    await made(new, old, plan=declared.model_copy(update={"guided": False})).run(at=NOW)

    assert {each.json_schema is None for each in (*new.requests, *old.requests)} == {True}


async def test_an_interrupted_comparison_draws_only_what_is_missing(
    made: Made, hits: Callable[[float], ScriptedChat]
) -> None:
    good = hits(0.9)
    trouble = ModelUnavailableError("hits-0.9", 1, "down")
    # The second batch of sixteen fails.
    broken = ScriptedChat(
        [*[lambda request: good._answers(request)] * 16, *[trouble] * 16],  # type: ignore[operator]  # pyright: ignore[reportPrivateUsage, reportCallIssue, reportOptionalCall, reportUnknownLambdaType]  # a function here
        name="hits-0.9",
    )
    with pytest.raises(ModelUnavailableError):
        await made(broken).run(at=NOW)

    left = made(good).estimate()
    resumed = await made(good).run(at=NOW)

    assert (left.calls, left.kept) == ({"hits-0.9": 2 * USERS - 16, "hits-0.3": 2 * USERS}, 16)
    assert len(good.requests) == 2 * USERS - 16
    whole = await made(folder=Path("elsewhere").absolute()).run(at=NOW)
    assert resumed.figures == whole.figures


async def test_a_finished_comparison_draws_nothing_again(
    made: Made, hits: Callable[[float], ScriptedChat]
) -> None:
    first = await made().run(at=NOW)
    new, old = hits(0.9), hits(0.3)

    again = await made(new, old).run(at=NOW)

    assert again == first
    assert new.requests == old.requests == []


async def test_a_line_that_a_crash_cut_off_is_drawn_again(made: Made, tmp_path: Path) -> None:
    first = await made().run(at=NOW)
    kept = tmp_path / "out" / "completions.jsonl"
    kept.write_bytes(kept.read_bytes()[:-20])

    assert sum(made().estimate().calls.values()) == 1
    assert await made().run(at=NOW) == first
    assert len(kept.read_text().splitlines()) == 4 * USERS


async def test_a_damaged_file_is_refused(made: Made, tmp_path: Path) -> None:
    await made().run(at=NOW)
    kept = tmp_path / "out" / "completions.jsonl"
    kept.write_text("[]\n" + kept.read_text())

    with pytest.raises(UnknownFormatError, match="line 1 is no kept completion"):
        made().estimate()


def test_an_estimate_draws_and_writes_nothing(
    made: Made, hits: Callable[[float], ScriptedChat], tmp_path: Path
) -> None:
    new = hits(0.9)

    estimate = made(new, changed=3).estimate()

    assert estimate.calls == {"hits-0.9": 2 * USERS, "hits-0.3": 2 * USERS}
    assert (estimate.users, estimate.changed, estimate.kept) == (USERS, 3, 0)
    assert estimate.most_tokens > 4 * USERS * 9
    assert new.requests == []
    assert list(tmp_path.iterdir()) == []


async def test_the_endpoint_cannot_be_changed_after_drawing(made: Made, declared: Plan) -> None:
    await made().run(at=NOW)

    with pytest.raises(InputError, match="holds another comparison"):
        await made(plan=declared.model_copy(update={"primary": "critic/total"})).run(at=NOW)


async def test_a_folder_with_something_else_is_left_alone(made: Made, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="is no folder of a comparison"):
        await made(folder=tmp_path).run(at=NOW)


@pytest.mark.parametrize("primary", ["ndcg", "meaning/log_loss", "critic/joy"])
async def test_an_endpoint_that_nobody_measures_is_refused_before_anything_is_drawn(
    made: Made, hits: Callable[[float], ScriptedChat], declared: Plan, primary: str
) -> None:
    new = hits(0.9)

    with pytest.raises(
        InputError, match=f"the primary endpoint '{primary}' is not measured; there are critic/"
    ):
        await made(new, plan=declared.model_copy(update={"primary": primary})).run(at=NOW)
    assert new.requests == []


async def test_nobody_to_sit_is_refused(made: Made) -> None:
    with pytest.raises(InputError, match=r"no user of the split 'test' can sit \(4 have changed"):
        await made(sitters=[], changed=4).run(at=NOW)


async def test_values_that_were_changed_by_hand_are_noticed(made: Made, tmp_path: Path) -> None:
    await made().run(at=NOW)
    values = tmp_path / "out" / "users.json"
    values.write_text(values.read_text().replace("0.75", "0.95"))

    with pytest.raises(UnknownFormatError, match="is not the file that was written"):
        read_evaluation(tmp_path / "out")


async def test_surprise_is_measured_for_every_portrait(made: Made) -> None:
    def log_loss(prompts: Sequence[Messages], texts: Sequence[str]) -> list[float]:
        assert len(prompts) == len(texts) == 2 * USERS
        return [1.0, 2.0] * USERS

    found = (await made(log_loss=log_loss).run(at=NOW)).figure("meaning/log_loss")

    assert found is not None
    assert (found.candidate, found.difference, found.better) == (1.5, 0.0, "lower")


async def test_the_table_shows_the_declared_endpoint_first_and_says_what_was_left_out(made: Made) -> None:
    table = as_markdown(await made(changed=2).run(at=NOW))

    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert rows[1].startswith("| **judge/held_out** ↑ | ")
    assert "Declared before anything was drawn: `judge/held_out` decides." in table
    assert "2 users were left out" in table
    assert "| meaning/words  |" in table


def sheet(**columns: list[float]) -> Sheet:
    values: dict[str, Values] = {name: np.array(each) for name, each in columns.items()}
    return Sheet(users=("a", "b", "c"), columns=values, together={}, readings=())


def test_the_primary_number_is_tested_alone_and_the_others_are_corrected() -> None:
    one, other = (
        sheet(x=[1.0, 2.0, 3.0], y=[1.0, 1.0, 1.0], z=[0.0, 0.0, 1.0]),
        sheet(x=[0.0] * 3, y=[0.0] * 3, z=[0.0] * 3),
    )

    x, *rest = compare_sheets(one, other, primary="x", seed=0)

    assert (x.metric, x.difference, x.p_holm) == ("x", 2.0, x.p_value)
    assert x.p_value == pytest.approx(0.25, abs=0.02)  # 2 of 8 signings are as far from 0
    assert [each.metric for each in rest] == ["y", "z"]
    assert rest[0].p_holm == pytest.approx(min(1.0, 2 * rest[0].p_value))


def test_users_without_both_values_count_for_neither_mean() -> None:
    [x] = compare_sheets(sheet(x=[1.0, np.nan, 3.0]), sheet(x=[0.0, 9.0, np.nan]), primary="x", seed=0)

    assert (x.candidate, x.baseline, x.difference, x.users) == (1.0, 0.0, 1.0, 1)
