"""Each named reward by numbers worked out on paper."""

import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from limner.agents.case import Case
from limner.agents.state import Deps
from limner.distill.log.training_rows import PromptOnly
from limner.distill.rewards.by_name import REWARDS, Shared, make_rewards
from limner.distill.rewards.exercise import Exercise
from limner.distill.rewards.reading import Reader, Reading
from limner.distill.rewards.reward import Reward
from limner.distill.rewards.whole_catalogue import WholeCatalogue
from limner.errors import ModelUnavailableError, SettingsError
from limner.records import Usage
from limner.tools.chat import ChatRequest, ChatResult
from limner.tools.rating_levels import shown_scale
from limner.tools.scripted import Scripted, ScriptedChat
from limner.tools.store import RatingScale

PromptFor = Callable[..., Awaitable[PromptOnly]]
MakeReading = Callable[..., Reading]


def reward(deps: Deps, name: str, **options: Any) -> Reward:
    """Build one reward."""
    shared = Shared(reader=Reader(deps), catalogue=WholeCatalogue(deps))
    return make_rewards(shared, {name: 1.0}, {name: options})[name]


async def material(deps: Deps, prompt_for: PromptFor, user: str = "ada") -> tuple[PromptOnly, Case]:
    """Return a row and its case."""
    row = await prompt_for(deps, user)
    return row, (await Reader(deps).open(Exercise.of(row))).case


def said(text: str, **shares: float) -> ChatResult:
    logs = {token: math.log(share) for token, share in shares.items()}
    return ChatResult(text=text, finish_reason="stop", model="m", usage=Usage(), first_token=logs)


def guesses(title: str, share: float) -> Callable[[ChatRequest], ChatResult]:
    """Answer that the option with a title is chosen with a probability; the others share the rest."""

    def answer(request: ChatRequest) -> ChatResult:
        options = dict(re.findall(r"^([A-D])\. (.*)$", request.messages[-1].content, re.MULTILINE))
        right = next(letter for letter, text in options.items() if title in text)
        rest = (1.0 - share) / 3.0
        return said(right, **{letter: share if letter == right else rest for letter in "ABCD"})

    return answer


async def test_blue_is_the_mean_of_both_directions(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as deps:
        ada, case = await material(deps, prompt_for)
        bo, other = await material(deps, prompt_for, "bo")
        readings = [
            reading(ada, case, negatives=[(0, 1), (0, 1), (0, -1)]),
            reading(ada, case, liked=[(0, 1)], negatives=[(0, 1), (0, 1), (0, -1)]),
            reading(bo, other, liked=[(0, 1)]),
        ]

        graded = await reward(deps, "blue", text=0.0, temperature=0.5).grade(readings)

    # 1/τ = 2. First: its item scores 1, the negatives 0; the only other user's portrait scores 0 with the item.
    to_item, to_user = 2 - math.log(math.exp(2) + 3), 2 - math.log(math.exp(2) + 1)
    assert graded[0] == pytest.approx(
        {
            "to_item": to_item,
            "to_user": to_user,
            "emb": (to_item + to_user) / 2,
            "length": 0.0,
            "total": (to_item + to_user) / 2,
            "malformed": 0.0,
        }
    )
    # Second: the item scores 0 against 1, 1, -1, and the other user scores 0 as well.
    assert graded[1]["to_item"] == pytest.approx(-math.log(1 + 2 * math.exp(2) + math.exp(-2)))
    assert graded[1]["to_user"] == pytest.approx(-math.log(2))
    # Third: bo's rivals are both of ada's portraits, with scores 1 and 0 for bo's item, and his own is 0.
    assert graded[2]["to_user"] == pytest.approx(-math.log(math.exp(2) + 1 + 1))


async def test_blue_falls_back_to_histories_and_adds_weighted_terms(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as plain:
        row, case = await material(plain, prompt_for)
        deps = replace(plain, chat=ScriptedChat(guesses(case.positives[0], 0.4)))
        one = reading(row, case, "Likes a b c.", others=[[(1, 0)]])  # a history exactly like the portrait

        blue = reward(
            deps,
            "blue",
            text=2.0,
            length=3.0,
            temperature=1.0,
            control={"words": 2, "price": 0.1},
        )
        [graded, floor] = await blue.grade([one, reading(row, case, None)])

    assert graded["to_user"] == pytest.approx(-math.log(2))
    assert graded["text"] == pytest.approx(0.4)
    assert graded["length"] == pytest.approx(-0.2)  # four words, two too many
    assert graded["total"] == pytest.approx(graded["emb"] + 2 * 0.4 - 3 * 0.2)
    assert floor == {"malformed": 1.0, "total": -10.0}


async def test_for_blue_the_worst_portrait_is_worth_no_less_than_none(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as deps:
        row, case = await material(deps, prompt_for)
        away = reading(row, case, liked=[(-1, 0)], negatives=[(-1, 0)], others=[[(1, 0)]])

        [worst, unread] = await reward(deps, "blue", text=0.0).grade([away, reading(row, case, None)])

    # Cosine -1 with the item against 1 of the negative and of the other user, at tau = .05: -2 / .05 both ways.
    assert worst["emb"] == pytest.approx(-40.0)
    assert worst["total"] == unread["total"] == -10.0


async def test_blue_has_the_source_s_128_negatives_by_default(open_world: Any) -> None:
    async with open_world()() as deps:
        assert deps.settings.critic.negatives == 128


async def test_rlpf_pays_for_the_next_item_and_for_brevity(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as plain:
        row, case = await material(plain, prompt_for)
        chat = ScriptedChat(guesses(case.positives[0], 0.7))
        rlpf = reward(
            replace(plain, chat=chat),
            "rlpf",
            length=2.0,
            control={"bonus": 0.1, "price": 0.05, "words": 4},
        )

        short, long = "Likes it.", "Likes a b c d e."
        graded = await rlpf.grade([reading(row, case, short), reading(row, case, long)] * 2)

    assert graded[0] == pytest.approx({"length": 0.1, "predict": 0.7, "total": 0.9, "malformed": 0.0})
    assert graded[1] == pytest.approx({"length": -0.1, "predict": 0.7, "total": 0.5, "malformed": 0.0})
    assert len(chat.requests) == 2  # equal portraits share an answer


async def test_langptune_is_the_gain_in_the_whole_catalogue_without_the_history(
    open_world: Any, prompt_for: PromptFor
) -> None:
    async with open_world()() as deps:
        row, case = await material(deps, prompt_for)
        title = f"The {case.positives[0]} set"
        texts = [f'{{"likes": ["{title}."]}}', '{"likes": ["Zzz qqq."]}']
        readings = await Reader(deps).read([Exercise.of(row)] * 2, texts)

        graded = await reward(deps, "langptune").grade(readings)
        [shallow] = await reward(deps, "langptune", k=1).grade(readings[1:])

        everything = await deps.catalogue.item_ids()
        matrix = await deps.catalogue.vectors(everything)
    for reading_, terms in zip(readings, graded, strict=True):
        assert reading_.vectors is not None
        cosines: list[float] = (matrix @ reading_.vectors.liked[-1]).tolist()
        scores = dict(zip(everything, cosines, strict=True))
        gains: list[float] = []
        for item in case.positives:
            rivals = [score for other, score in scores.items() if other not in case.items]
            above = sum(score > scores[item] for score in rivals)
            ties = sum(score == scores[item] for score in rivals)
            gains.append(1 / math.log2(2 + above + ties / 2))
        assert terms["total"] == terms["ndcg"] == pytest.approx(np.mean(gains), abs=1e-6)
    assert len(everything) - len(case.items) == 9  # 15 items, 6 in the history
    assert graded[0]["total"] > graded[1]["total"]
    assert shallow["total"] == 0.0


async def test_r2ec_adds_a_little_similarity(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as deps:
        row, _ = await material(deps, prompt_for)
        [one] = await Reader(deps).read([Exercise.of(row)], ['{"likes": ["Likes roses."]}'])
        assert one.vectors is not None
        cosine = float((one.case.exam.positives @ one.vectors.liked[-1]).mean())

        [langptune] = await reward(deps, "langptune").grade([one])
        [r2ec] = await reward(deps, "r2ec").grade([one])

    assert r2ec["similarity"] == pytest.approx(cosine)
    assert r2ec["total"] == pytest.approx(langptune["ndcg"] + 0.05 * cosine)


@pytest.mark.parametrize(
    ("graded_by", "answer", "guess"),
    [
        ("expected", said("3", **{"3": 0.5, "4": 0.5}), 4.5),  # levels 1 to 4 stand for 2 to 5
        ("said", said("4", **{"3": 0.4, "4": 0.6}), 5.0),
        ("expected", said("2"), 3.0),
        ("expected", said("No idea"), 3.5),  # the middle of the scale
    ],
)
async def test_duet_is_the_judge_s_closeness_to_the_held_back_rating(
    open_world: Any,
    prompt_for: PromptFor,
    reading: MakeReading,
    graded_by: str,
    answer: ChatResult,
    guess: float,
) -> None:
    async with open_world()() as plain:
        row, case = await material(plain, prompt_for)
        chat = ScriptedChat([answer])

        [graded, floor] = await reward(replace(plain, chat=chat), "duet", graded=graded_by).grade(
            [reading(row, case), reading(row, case, None)]
        )

    newest = case.held[-1].rating
    assert newest == 5.0
    error = abs(guess - 5.0) / 3.0
    assert graded == pytest.approx({"rating": guess, "error": error, "total": 1 - error, "malformed": 0.0})
    assert floor == {"malformed": 1.0, "total": -1.0}
    [request] = chat.requests
    assert "Likes roses." in request.messages[-1].content
    assert "from 1 to 4" in request.messages[-1].content


async def test_duet_does_not_apply_without_a_held_back_rating(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as plain:
        row, case = await material(plain, prompt_for)
        unrated = replace(case, held=tuple(event.model_copy(update={"rating": None}) for event in case.held))

        [graded] = await reward(replace(plain, chat=ScriptedChat()), "duet").grade([reading(row, unrated)])

    assert graded == {"malformed": 0.0}


@pytest.mark.parametrize(
    ("low", "high", "levels"), [(1.0, 5.0, 5), (0.0, 10.0, 5), (0.5, 5.0, 5), (1.0, 2.0, 2), (3.0, 3.0, None)]
)
def test_scales_are_shown_in_levels_of_one_digit(low: float, high: float, levels: int | None) -> None:
    shown = shown_scale(RatingScale(low, high, low, 9))

    assert (shown.levels if shown else None) == levels


async def test_rlaif_is_the_weighted_mean_of_the_judge_s_scores(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as plain:
        row, case = await material(plain, prompt_for)
        chat = ScriptedChat([{"coherence": 5, "accuracy": 3, "coverage": 1, "overall": 4}])

        rlaif = reward(replace(plain, chat=chat), "rlaif", overall=2.0, coverage=0.0)
        [graded] = await rlaif.grade([reading(row, case)])

    expected = {"coherence": 1.0, "accuracy": 0.5, "coverage": 0.0, "overall": 0.75, "malformed": 0.0}
    assert graded == pytest.approx({**expected, "total": (1.0 + 0.5 + 2 * 0.75) / 4})
    asked = chat.requests[0].messages[-1].content
    assert all(item not in asked for item in case.positives)
    assert "roses" in asked


async def test_length_control_stands_alone(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading
) -> None:
    async with open_world()() as deps:
        row, case = await material(deps, prompt_for)

        graded = await reward(deps, "length", words=2, price=0.25).grade(
            [reading(row, case, "One two."), reading(row, case, "a b c d e f g h i j")]
        )

    assert [terms["total"] for terms in graded] == [0.0, -1.0]  # eight too many would be -2


@pytest.mark.parametrize("name", ["blue", "rlpf", "duet", "rlaif"])
async def test_a_reward_that_asks_a_model_needs_one(open_world: Any, name: str) -> None:
    async with open_world()() as deps:
        with pytest.raises(SettingsError, match=f"`model`: is `none`, and the reward `{name}` is graded by"):
            reward(deps, name)


@pytest.mark.parametrize("name", ["blue", "rlpf", "duet", "rlaif"])
async def test_a_model_that_fails_for_all_ends_the_batch_and_for_one_leaves_it_out(
    open_world: Any, prompt_for: PromptFor, reading: MakeReading, name: str
) -> None:
    scores = {"coherence": 5, "accuracy": 3, "coverage": 1, "overall": 4}
    fine: Scripted = scores if name == "rlaif" else "A"

    def half_broken(request: ChatRequest) -> Scripted:
        broken = "Likes ferns." in request.messages[-1].content
        return ModelUnavailableError("m", 1, "gone") if broken else fine

    async with open_world()() as plain:
        row, case = await material(plain, prompt_for)
        readings = [reading(row, case, "Likes roses."), reading(row, case, "Likes ferns.")]

        half = await reward(replace(plain, chat=ScriptedChat(half_broken)), name).grade(readings)
        with pytest.raises(ModelUnavailableError, match="gone"):
            await reward(replace(plain, chat=ScriptedChat(half_broken)), name).grade(readings[1:])

    assert ["total" in terms for terms in half] == [True, False]


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["bleu"], {}, "`rewards`: knows no 'bleu'; choose of limner, blue"),
        (["length"], {"length": {"word": 3}}, "`reward_options.length.word`: Extra"),
        (["length"], {"rlpf": {}}, "`reward_options.rlpf`: is set for a reward that is not used"),
    ],
)
async def test_a_wrong_name_is_refused(
    open_world: Any, names: list[str], options: dict[str, Any], message: str
) -> None:
    async with open_world()() as deps:
        shared = Shared(reader=Reader(deps), catalogue=WholeCatalogue(deps))
        with pytest.raises(SettingsError, match=message):
            make_rewards(shared, dict.fromkeys(names, 1.0), options)


async def test_every_reward_is_named_as_it_is_chosen(open_world: Any) -> None:
    async with open_world(ScriptedChat())() as deps:
        assert {name: reward(deps, name).name for name in REWARDS} == {name: name for name in REWARDS}
