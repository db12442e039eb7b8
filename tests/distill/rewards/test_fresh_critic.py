"""Fresh completions are graded as the graph grades drafts, or refused."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from limner.agents.build_case import build_case
from limner.agents.build_form import form_of
from limner.agents.critic import criticise
from limner.agents.plain_form import completion_of
from limner.agents.state import Deps, State, Style
from limner.distill.log.training_rows import PromptOnly
from limner.distill.rewards.exercise import Exercise
from limner.distill.rewards.fresh_critic import FreshCritic
from limner.distill.rewards.reading import Reader, styles_of
from limner.errors import ExamChangedError, InputError
from limner.models import Facet
from limner.records import Interaction, Message
from limner.tools.embedder import FloatArray, HashingEmbedder

PromptFor = Callable[..., Awaitable[PromptOnly]]
GARDEN = '{"likes": ["Likes roses and ferns of the garden."]}'
SPACE = '{"likes": ["Likes comets.", "Likes planets."], "dislikes": ["Avoids knots."]}'


class Counting(HashingEmbedder):
    """Counts its calls."""

    calls = 0

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Encode and count."""
        self.calls += 1
        return await super().embed(texts)


async def test_a_completion_gets_the_rewards_of_the_same_draft_in_the_graph(
    open_world: Any, prompt_for: PromptFor
) -> None:
    async with open_world()() as deps:
        row = await prompt_for(deps)
        state = State(user_id="ada", item_id=None, as_of=row.as_of, run_id="", cues=[])
        case = await build_case(deps, state)
        form = form_of(case, state, deps)
        said = {"likes": ["Likes comets.", "Likes planets."], "dislikes": ["Avoids knots."]}
        draft = form.fill(form.floor(row.as_of).model_copy(update={"facets": (), "claims": ()}), said)
        expected = (await criticise(deps, case, [draft])).drafts[0].critique

        [garden, space] = await FreshCritic(Reader(deps))([Exercise.of(row)] * 2, [GARDEN, SPACE])

    assert expected is not None
    assert space == pytest.approx({**expected.rewards, "malformed": 0.0})
    assert {"rank", "emb", "ground", "boiler", "length", "leak", "total"} <= set(space)
    assert garden["total"] != space["total"]


@pytest.mark.parametrize("text", ["", "I cannot say.", '{"likes": []}', '{"likes": "roses"}', "{}"])
async def test_what_holds_no_sentence_gets_the_floor(
    open_world: Any, prompt_for: PromptFor, text: str
) -> None:
    async with open_world()() as deps:
        row = await prompt_for(deps)

        [bad, good] = await FreshCritic(Reader(deps))([Exercise.of(row)] * 2, [text, GARDEN])

    assert bad == {"malformed": 1.0, "total": -1.0}
    assert good["malformed"] == 0.0
    assert good["total"] > -1.0


async def test_a_completion_that_names_a_held_back_title_leaks(
    open_world: Any, prompt_for: PromptFor
) -> None:
    async with open_world()() as deps:
        row = await prompt_for(deps)
        held = (await deps.store.history("ada", as_of=row.as_of))[-1].item_id
        text = f'{{"likes": ["Will love the {held} set."]}}'

        [graded] = await FreshCritic(Reader(deps))([Exercise.of(row)], [text])

    assert (graded["leak"], graded["total"]) == (1.0, -1.0)


async def test_many_rows_share_calls_of_the_encoder(open_world: Any, prompt_for: PromptFor) -> None:
    async with open_world()() as opened:
        encoder = Counting()
        deps = replace(opened, embedder=encoder)
        rows = [await prompt_for(deps, user) for user in ("ada", "bo", "cleo")]
        critic = FreshCritic(Reader(deps))
        exercises = [Exercise.of(row) for row in rows for _ in range(2)]

        together = await critic(exercises, [GARDEN, SPACE] * 3)
        calls = encoder.calls
        alone = [
            (await FreshCritic(Reader(deps))([exercise], [text]))[0]
            for exercise, text in zip(exercises, [GARDEN, SPACE] * 3, strict=True)
        ]

    assert calls == 1  # nobody wrote a word of his own, so there is nothing but the completions to encode
    for graded, again in zip(together, alone, strict=True):
        assert graded == pytest.approx(again)


def _event(deps: Deps, row: PromptOnly, days: int) -> Interaction:
    return Interaction(
        event_id="new",
        user_id=row.user_id,
        item_id="knots",
        kind="click",
        at=row.as_of - timedelta(days=days),
    )


@pytest.mark.parametrize("days", [1, 99.5])  # behind what is held back; among what the prompt shows
async def test_a_row_whose_history_changed_is_refused(
    open_world: Any, prompt_for: PromptFor, days: float
) -> None:
    async with open_world()() as deps:
        row = await prompt_for(deps)
        await FreshCritic(Reader(deps))([Exercise.of(row)], [GARDEN])
        late = _event(deps, row, 1).model_copy(update={"at": row.as_of - timedelta(days=days)})
        await deps.store.record([late])

        with pytest.raises(ExamChangedError, match=r"^user_id='ada' at 2026-04-11"):
            await FreshCritic(Reader(deps))([Exercise.of(row)], [GARDEN])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"neg_seed": 1}, "seed 1"),
        ({"held": ("ada-5",)}, "held back 1 events"),
        ({"user_id": "nobody"}, "not in the store"),
        ({"prompt": (Message(role="user", content="Describe."),)}, "shows another history"),
    ],
)
async def test_a_row_that_is_not_of_this_store_is_refused(
    open_world: Any, prompt_for: PromptFor, change: dict[str, Any], reason: str
) -> None:
    async with open_world()() as deps:
        row = (await prompt_for(deps)).model_copy(update=change)

        with pytest.raises(ExamChangedError, match=reason):
            await FreshCritic(Reader(deps))([Exercise.of(row)], [GARDEN])


async def test_an_unknown_prompt_is_refused_with_those_that_are_known(
    open_world: Any, prompt_for: PromptFor
) -> None:
    async with open_world()() as deps:
        row = (await prompt_for(deps)).model_copy(update={"prompt_id": "draft_pair"})

        with pytest.raises(InputError, match="'draft_pair' is not graded; prepare drafts of draft_plain"):
            await FreshCritic(Reader(deps))([Exercise.of(row)], [GARDEN])


@pytest.mark.parametrize("style", ["free", "lexicon", "plain"])
async def test_prompts_of_every_style_are_read_with_their_own_form(
    open_world: Any, prompt_for: PromptFor, style: Any
) -> None:
    async with open_world()() as opened:
        deps = replace(opened, style=style)
        row = await prompt_for(deps)
        reader = Reader(replace(opened, style="plain"))
        case = (await reader.open(Exercise.of(row))).case
        floor = form_of(
            case, State(user_id="ada", item_id=None, as_of=row.as_of, run_id="", cues=[]), deps
        ).floor(row.as_of)
        written = {
            "plain": completion_of(floor.facets or (Facet(name="x", text="Likes roses."),)),
            "free": '{"likes": [{"evidence": ["e1"], "theme": "garden", "sentence": "Likes roses a lot."}]}',
            "lexicon": '{"like_1": "Likes roses and ferns."}',
        }

        [found] = await reader.read([Exercise.of(row)], [written[style]])

    assert found.draft is not None
    assert found.draft.facets


async def test_a_prompt_fits_the_styles_whose_lines_it_holds(open_world: Any, prompt_for: PromptFor) -> None:
    # Of five visible events the lexicon style shows four, in lines that are as short in both styles here.
    fitting = {"free": ["free", "lexicon"], "lexicon": ["lexicon"], "plain": ["plain"]}
    async with open_world(drafting={"holdout": 1})() as opened:
        for style, expected in fitting.items():
            row = await prompt_for(replace(opened, style=cast(Style, style)))
            case = (await Reader(opened).open(Exercise.of(row))).case

            assert styles_of(Exercise.of(row), case, preferred="free") == expected
