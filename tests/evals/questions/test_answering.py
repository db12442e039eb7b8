"""Asking a chat model: grading by probability, letters, budgets, and answers that are kept."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from limner.errors import ModelUnavailableError
from limner.evals.bench.loopback_server import LoopbackServer
from limner.evals.questions.answering import Questioner, open_questioner
from limner.evals.questions.choices import Choice, arrange
from limner.evals.questions.grading import Answered, by_group
from limner.evals.questions.rating_questions import guess_ratings, scale_of
from limner.evals.workspace import Workspace
from limner.records import Usage
from limner.sections import BudgetSettings, ChatSettings
from limner.settings import Settings
from limner.tools.answer_shares import shares_of
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.prompt import load_prompt
from limner.tools.rating_levels import ShownScale
from limner.tools.scripted import Script, Scripted, ScriptedChat

NEXT = load_prompt("answer_next")
PREFERENCE = load_prompt("answer_preference")
QUESTION = Choice(
    id="q", text="What shall I do?", options=("swim", "run", "row", "ski"), right=1, group="sport"
)


def said(text: str = "", **log_probabilities: float) -> ChatResult:
    """Return an answer with the probabilities of its first token."""
    logs = {token: math.log(share) for token, share in log_probabilities.items()}
    return ChatResult(text=text, finish_reason="stop", model="m", usage=Usage(), first_token=logs)


async def choose(
    script: Script | Sequence[Scripted],
    questions: list[Choice],
    *,
    rotations: int = 1,
    calls: int | None = None,
) -> Answered:
    questioner = Questioner(ScriptedChat(script), Budget(BudgetSettings(calls=calls)), at_once=1)
    contexts = [""] * len(questions)
    return await questioner.choose(NEXT, questions, contexts, label="nothing", rotations=rotations)


def letter_of(request: ChatRequest, text: str) -> str:
    """Return the letter that stands before an option."""
    [line] = [line for line in request.messages[-1].content.splitlines() if line.endswith(f". {text}")]
    return line[0]


async def test_probabilities_of_letters_grade_the_answer() -> None:
    # Of the mass on letters, .6 + .1 (with a blank) of .8 is on B; .1 on A, and C and D are unseen: what is left
    # of 1 is .1, which the least reported one (.1) does not undercut. B = .7 / (.1 + .7 + .1 + .1) = .7.
    answer = said("B", **{"A": 0.1, "B": 0.6, " B": 0.1, "the": 0.1})

    answered = await choose([answer], [QUESTION])

    assert answered.values["accuracy"].tolist() == [1.0]
    assert answered.values["probability"] == pytest.approx([0.7])
    assert answered.values["log_probability"] == pytest.approx([math.log(0.7)])


async def test_without_probabilities_the_letter_said_counts() -> None:
    answered = await choose(["B.", "(A) swim", "I do not know"], [QUESTION] * 3)

    assert answered.values["accuracy"].tolist() == [1.0, 0.0, 0.0]
    assert answered.values["probability"].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(answered.values["log_probability"]).all()
    assert answered.values["readable"].tolist() == [1.0, 1.0, 0.0]
    assert answered.complete
    assert answered.notes == ("letters answered: A 33%, B 33%, none 33%",)


async def test_a_tie_for_the_best_counts_its_share() -> None:
    answered = await choose([said("A", A=0.4, B=0.4, C=0.1, D=0.1)], [QUESTION])

    assert answered.values["accuracy"].tolist() == [0.5]


@pytest.mark.parametrize("letter", "ABCD")
async def test_a_constant_letter_scores_chance(letter: str) -> None:
    questions = list(
        arrange([Choice(id=f"q{ix}", options=("r", "x", "y", "z"), right=0) for ix in range(8)], 1)
    )

    answered = await choose(lambda request: letter, questions)

    assert answered.values["accuracy"].mean() == 0.25
    assert answered.chance["accuracy"] == 0.25


async def test_turning_the_options_cancels_a_liking_for_a_letter() -> None:
    # It says A at .5 wherever A stands, and puts .3 of the rest on whatever says "run".
    def liking_a(request: ChatRequest) -> ChatResult:
        shares = dict.fromkeys("ABCD", 0.05) | {"A": 0.5}
        right = letter_of(request, "run")
        shares[right] += 0.35
        return said("A", **shares)

    once = await choose(liking_a, [QUESTION])
    turned = await choose(liking_a, [QUESTION], rotations=4)

    assert once.values["accuracy"].tolist() == [0.0]
    assert turned.values["accuracy"].tolist() == [1.0]
    # B is right: .4 at three letters and .85 at A.
    assert turned.values["probability"] == pytest.approx([(3 * 0.4 + 0.85) / 4])
    assert turned.usage[0].calls == 4


async def test_what_the_budget_refuses_is_missing_and_not_wrong() -> None:
    answered = await choose(lambda request: "B", [QUESTION] * 3, calls=2)

    assert answered.values["accuracy"][:2].tolist() == [1.0, 1.0]
    assert np.isnan(answered.values["accuracy"][2]) and np.isnan(answered.values["readable"][2])
    assert not answered.complete
    assert answered.notes[0].startswith("1 of 3 requests had no answer: budget of 2 calls")
    assert [usage.calls for usage in answered.usage] == [1, 1, 0]


async def test_a_model_that_never_answers_is_an_error_and_one_that_sometimes_does_is_not() -> None:
    gone = ModelUnavailableError("m", 1, "gone", Usage(calls=1))

    answered = await choose([gone, "B"], [QUESTION] * 2)

    assert np.isnan(answered.values["accuracy"][0])
    assert answered.values["accuracy"][1] == 1.0
    with pytest.raises(ModelUnavailableError):
        await choose([gone, gone], [QUESTION] * 2)


async def test_the_context_comes_before_the_question_and_nothing_leaves_no_trace() -> None:
    chat = ScriptedChat(["B", "B"])
    questioner = Questioner(chat, at_once=1)

    await questioner.choose(PREFERENCE, [QUESTION] * 2, ["Likes lakes.", ""], label="profile")

    told, untold = (request.messages[-1].content for request in chat.requests)
    assert told.index("Likes lakes.") < told.index("What shall I do?") < told.index("A. swim")
    assert "known" not in untold
    assert chat.requests[0].max_tokens <= 2


@pytest.mark.parametrize(("contexts", "rotations"), [([], 1), ([""], 0)])
async def test_wrong_arguments_are_refused_before_anything_is_paid(
    contexts: list[str], rotations: int
) -> None:
    chat = ScriptedChat()

    with pytest.raises(ValueError, match=r"contexts|rotations"):
        await Questioner(chat).choose(NEXT, [QUESTION], contexts, label="nothing", rotations=rotations)

    assert chat.requests == []


async def test_a_second_run_asks_nothing_again(tmp_path: Path) -> None:
    async with LoopbackServer("B") as server:
        settings = Settings(model="openai/loopback", chat=ChatSettings(api_base=server.url))
        workspace = Workspace(folder=tmp_path, seed=0, settings=settings)
        answers = []
        for _ in range(2):
            async with open_questioner(workspace) as questioner:
                answers.append(await questioner.choose(NEXT, [QUESTION], ["x"], label="history"))

    assert server.count == 1
    assert answers[0].usage[0].calls == 1 and answers[0].usage[0].tokens > 0
    assert answers[1].usage[0].calls == 0 and answers[1].usage[0].cached_calls == 1
    assert answers[0].values["probability"] == answers[1].values["probability"]


async def test_one_budget_holds_for_everything_that_is_asked_in_a_workspace(tmp_path: Path) -> None:
    async with LoopbackServer("B") as server:
        settings = Settings(
            model="openai/loopback",
            chat=ChatSettings(api_base=server.url),
            budget=BudgetSettings(calls=3),
        )
        workspace = Workspace(folder=tmp_path, seed=0, settings=settings)
        found: list[Answered] = []
        for told in ("x", "y"):
            async with open_questioner(workspace) as questioner:
                found.append(await questioner.choose(NEXT, [QUESTION] * 2, [told, told * 2]))

    assert server.count == 3
    assert [answered.complete for answered in found] == [True, False]


def test_an_unseen_letter_is_not_thought_likelier_than_what_is_left() -> None:
    read = shares_of(said("B", B=0.97, A=0.02), "ABCD")

    assert read is not None
    shares, graded = read
    # .01 is left for C and D each at most: .97 / (.02 + .97 + .01 + .01).
    assert shares == pytest.approx(np.array([0.02, 0.97, 0.01, 0.01]) / 1.01)
    assert graded


def test_groups_are_columns_with_gaps() -> None:
    columns = by_group({"f1": np.array([0.5, 1.0, 0.0])}, ["a", "b", "a"])

    assert np.nanmean(columns["f1 | a"]) == 0.25
    assert np.count_nonzero(~np.isnan(columns["f1 | b"])) == 1


async def test_a_rating_is_the_mean_under_the_probabilities_of_its_levels() -> None:
    # Levels 1 to 5 stand for 2 to 10: .5 at 5 (10) and .5 at 3 (6) make 8. The unseen levels get nothing.
    answer = said("5", **{"5": 0.5, "3": 0.5})
    scale = ShownScale(2.0, 10.0, 5)

    guesses = await guess_ratings(
        Questioner(ScriptedChat([answer, "4", "no idea"]), at_once=1),
        scale,
        "abc",
        ["x", "y", ""],
        ["", "", ""],
    )

    assert guesses.ratings[:2] == pytest.approx([8.0, 8.0], abs=1e-4)
    assert guesses.ratings[2] == 6.0  # the middle between 2 and 10
    assert guesses.readable.tolist() == [1.0, 1.0, 0.0]
    assert guesses.complete
    assert guesses.notes == ("1 of 3 answers named no level: the middle of the scale stands in",)


@pytest.mark.parametrize(
    ("ratings", "levels"),
    [
        ([1, 2, 3, 4, 5], 5),
        ([2, 4, 6, 8, 10], 5),
        ([0.5, 1, 2, 3.5, 5], 5),  # ten half stars are shown as 1 to 5
        ([1, 5], 2),
        ([3, 3], 1),
    ],
)
def test_a_scale_is_shown_as_whole_numbers_of_one_digit(ratings: list[float], levels: int) -> None:
    scale = scale_of(np.array(ratings, dtype=np.float32))

    assert scale is not None
    assert scale.levels == levels
    assert scale.shown(max(ratings)) == levels
    assert scale.shown(min(ratings)) == 1
    assert len(scale.values()) == len(scale.labels()) == levels


def test_a_set_without_ratings_has_no_scale() -> None:
    assert scale_of(np.array([np.nan], dtype=np.float32)) is None
