"""The suite `qa` on interactions, from files to rows, against a model on loopback."""

import asyncio
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.bench.loopback_server import Json, LoopbackServer, Reply
from limner.evals.results import Measured
from limner.evals.suite import Task
from limner.evals.suites.qa import Qa

MakeTask = Callable[..., Task]


def prompt_of(request: Json) -> str:
    """Return the user's message."""
    text: Any = request["messages"][-1]["content"]
    return str(text)


async def measure(task: Task) -> Measured:
    """Run the suite beside the loop that the server lives in."""
    [measured] = await asyncio.to_thread(Qa().measure, task)
    return measured


def knowing(right: dict[str, str], asked: list[str]) -> Callable[[Json], str]:
    """Answer with the letter of whatever option is right for somebody, and 4 to every rating."""

    def answer(request: Json) -> str:
        text = prompt_of(request)
        asked.append(text)
        if "How does the person rate" in text:
            return "4"
        found = {
            letter for letter, title in re.findall(r"^([A-D])\. (.*)$", text, re.MULTILINE) if title in right
        }
        return min(found, default="A")

    return answer


async def test_conditions_are_asked_the_same_questions_and_told_different_things(
    shop: Path, make_task: MakeTask
) -> None:
    seen: dict[str, list[str]] = {}
    for condition in ("nothing", "history:last=2", "profile"):
        asked: list[str] = []
        async with LoopbackServer(knowing({}, asked)) as server:
            await measure(make_task(shop, condition, server.url, seed=3))
        seen[condition] = sorted(asked)

    questions = {
        name: sorted(text[text.index("Which of these") :] for text in texts if "Which of these" in text)
        for name, texts in seen.items()
    }
    assert questions["nothing"] == questions["history:last=2"] == questions["profile"]
    assert len(questions["nothing"]) == 8
    assert not any("What is known" in text for text in seen["nothing"])
    assert all(text.count("\n- ") == 2 for text in seen["history:last=2"])
    assert all("rated" in text and "a fine light" in text for text in seen["history:last=2"])
    assert all("What is known of the person:\n" in text and "\n- " not in text for text in seen["profile"])


async def test_nothing_of_the_target_event_is_told_and_no_id(shop: Path, make_task: MakeTask) -> None:
    for condition in ("history", "profile"):
        asked: list[str] = []
        async with LoopbackServer(knowing({}, asked)) as server:
            await measure(make_task(shop, condition, server.url))
        assert len(asked) == 16
        for text in asked:
            assert "step 5" not in text  # the words of every last event
            assert not re.search(r"B0\d|\bu\d\b", text)


async def test_a_constant_letter_scores_chance_and_a_constant_rating_its_error(
    shop: Path, make_task: MakeTask
) -> None:
    asked: list[str] = []
    async with LoopbackServer(knowing({}, asked)) as server:
        measured = await measure(make_task(shop, "nothing", server.url))

    assert measured.per_query["accuracy"].mean() == 0.25
    assert measured.whole["chance accuracy"] == 0.25
    # The last ratings are 1 + (user + 5) % 5 = 1, 2, 3, 4, 5, 1, 2, 3. One alternative is reported, 4 at e^-.25 =
    # .7788, and the other levels share what is left at most: 4 gets .7788 / (.7788 + 4 * .2212) = .4681 and each
    # other level .1330, so every guess is .4681 * 4 + .1330 * 11 = 3.3350.
    last = np.array([1, 2, 3, 4, 5, 1, 2, 3])
    assert measured.per_query["rating_mae"].mean() == pytest.approx(np.abs(last - 3.3350).mean(), abs=1e-3)
    assert measured.cost.usage.calls == 16
    assert measured.cost.queries == 8


async def test_unreadable_answers_are_wrong_and_the_middle_of_the_scale_and_told(
    shop: Path, make_task: MakeTask
) -> None:
    async with LoopbackServer("well") as server:
        measured = await measure(make_task(shop, "nothing", server.url))

    assert measured.per_query["accuracy"].tolist() == [0.0] * 8
    assert (
        measured.per_query["readable"].tolist() == measured.per_query["rating_readable"].tolist() == [0.0] * 8
    )
    # The last ratings are 1, 2, 3, 4, 5, 1, 2, 3 and the middle is 3: 2 + 1 + 0 + 1 + 2 + 2 + 1 + 0 = 9.
    assert measured.per_query["rating_mae"].sum() == 9.0
    assert measured.complete


async def test_an_answer_that_the_model_failed_to_give_leaves_the_result_incomplete(
    shop: Path, make_task: MakeTask
) -> None:
    down = ["once"]

    def answer(request: Json) -> Reply | str:
        if "How does the person rate" in prompt_of(request) and down:
            return Reply(text=down.pop(), status=400)
        return "B"

    async with LoopbackServer(answer) as server:
        task = make_task(shop, "nothing", server.url, users=3)
        measured, again = await measure(task), await measure(task)

    assert np.isnan(measured.per_query["rating_mae"]).sum() == 1
    assert (measured.complete, again.complete) == (False, True)


async def test_portraits_that_the_model_failed_to_write_leave_the_result_incomplete(
    shop: Path, make_task: MakeTask
) -> None:
    def answer(request: Json) -> Reply | str:
        text = prompt_of(request)
        asked = "How does the person rate" in text or "Which of these" in text
        return "B" if asked else Reply(text="down", status=400)

    async with LoopbackServer(answer) as server:
        measured = await measure(make_task(shop, "profile:writer=model", server.url, users=2))

    assert not np.isnan(measured.per_query["accuracy"]).any()
    assert not measured.complete


async def test_a_repeated_run_pays_nothing_and_finds_the_same(shop: Path, make_task: MakeTask) -> None:
    async with LoopbackServer("B") as server:
        task = make_task(shop, "profile", server.url, options={"rotations": "2"})
        first, second = await measure(task), await measure(task)

    assert server.count == 8 * 2 + 8
    assert second.cost.usage.calls == 0
    assert second.per_query["probability"].tolist() == first.per_query["probability"].tolist()


async def test_fewer_users_are_a_part_of_all(shop: Path, make_task: MakeTask) -> None:
    async with LoopbackServer("B") as server:
        everybody = await measure(make_task(shop, "nothing", server.url))
        some = await measure(make_task(shop, "nothing", server.url, users=3))

    assert len(some.users) == 3
    assert set(some.users) < set(everybody.users)


@pytest.mark.parametrize(
    ("system", "options", "complaint"),
    [
        ("nothing:last=3", {}, "`last` is unknown|is unknown"),
        ("gossip", {}, "gossip"),
        ("history", {"rotations": "9"}, "rotations"),
        ("history", {"rotation": "2"}, "did you mean `rotations`"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    shop: Path, make_task: MakeTask, system: str, options: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        Qa().measure(make_task(shop, system, "http://127.0.0.1:9/v1", options=options))


def test_a_suite_of_questions_needs_a_model(shop: Path, make_task: MakeTask) -> None:
    with pytest.raises(SettingsError, match="needs a chat model"):
        Qa().measure(make_task(shop, "nothing"))


def test_the_data_is_guarded_as_everywhere(shop: Path, make_task: MakeTask) -> None:
    [card], probes = Qa().guard(make_task(shop, "nothing"))

    assert card.card.name == "shop"
    assert len(probes) > 0


async def test_a_context_with_the_answers_title_fails_the_probe(
    shop: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = ("amber", "birch", "copper", "dusk", "ember", "fjord", "garden", "harbor", "iris", "jewel")
    everything = " ".join(f"{word} big lamp." for word in (*titles, "kayak", "linen"))

    def tell_everything(*_: object) -> str:
        return everything

    items = [
        {"item_id": f"B0{ix}", "title": f"{word} big lamp"} for ix, word in enumerate(everything.split()[::3])
    ]
    with gzip.open(shop / "items.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(item) + "\n" for item in items)
    async with LoopbackServer("B") as server:
        honest = await measure(make_task(shop, "profile", server.url))
        monkeypatch.setattr("limner.evals.questions.conditions.describe_history", tell_everything)
        leaking = await measure(make_task(shop, "history", server.url))

    assert [(probe.name, probe.passed) for probe in honest.probes] == [("target-in-prompt", True)]
    assert [(probe.passed, probe.value) for probe in leaking.probes] == [(False, 1.0)]
