"""What a scorer learns from: logged passes and the store's past, each as it stood at its own moment."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from limner.agents.ranking.rank_factors import gather_factors
from limner.agents.state import Deps
from limner.distill.pairs.examples import Example, Table, logged_examples, past_examples, table_of
from limner.models import Rollout
from limner.pairings import Judgement, PairOutcome, PairSide
from limner.records import Interaction, Item

OpenWorld = Callable[..., Callable[[], AbstractAsyncContextManager[Deps]]]
MOMENT = datetime(2026, 1, 5, 9, tzinfo=UTC)
OUTCOME = PairOutcome(event_id="ada-5", item_id="planets", chosen=True, rating=5.0)
NAN = float("nan")


def side(profile: str) -> PairSide:
    return PairSide(cue="", instruction="", profile=profile)


def quiet(line: str) -> None:
    """Tell nobody."""


async def past(deps: Deps, as_of: datetime, per_user: int = 2, negatives: int = 3) -> list[Example]:
    drawn = past_examples(deps, ["ada", "bo"], as_of=as_of, per_user=per_user, negatives=negatives)
    return [one async for one in drawn]


async def test_only_published_drafts_with_a_known_outcome_are_read_from_the_log(
    open_world: OpenWorld, logged_draft: Callable[..., Rollout]
) -> None:
    told = {
        "item_id": "planets",
        "outcome": OUTCOME,
        "sides": (side("Likes space."), side("Shows space.")),
        "judgement": Judgement(fit=0.75, expected=4.0, said=4.0, interval=None, shares=(1.0,)),
    }
    async with open_world()() as deps:
        await deps.store.log(
            [
                logged_draft(rollout_id="a", run_id="1", selected=True, **told),
                logged_draft(rollout_id="b", run_id="1", selected=False, **told),
                logged_draft(rollout_id="c", run_id="2", selected=True, item_id="planets"),
                logged_draft(rollout_id="d", run_id="3", selected=True),
            ]
        )

        [found] = await logged_examples(deps)

    assert (found.user_id, found.item_id, found.judged) == ("ada", "planets", 0.75)
    assert found.sides == ("Likes space.", "Shows space.")


async def test_the_past_gives_what_was_chosen_and_what_was_not(open_world: OpenWorld) -> None:
    async with open_world()() as deps:
        found = await past(deps, MOMENT + timedelta(days=50))
        table = await table_of(deps, found, notice=quiet)

    assert len(found) == 2 * 2 * (1 + 3)
    assert {one.as_of for one in found if one.user_id == "ada"} == {
        datetime(2026, 1, day, 9, tzinfo=UTC) for day in (5, 6)
    }
    # Ratings run from 2 to 5: days 4 and 5 gave 4 and 5, so 2/3 and 1 of the scale known by then.
    assert sorted(table.worth.tolist())[-4:] == pytest.approx([2 / 3, 2 / 3, 1.0, 1.0])
    assert (table.worth == 0).sum() == 12
    assert (len(np.unique(table.users)), len(np.unique(table.lists))) == (2, 4)
    assert np.isnan(table.judged).all() and np.isnan(table.unjudged).all()


async def test_nothing_at_or_after_its_moment_describes_an_example(open_world: OpenWorld) -> None:
    async with open_world()() as deps:
        examples = [one for one in await past(deps, MOMENT + timedelta(days=50)) if one.as_of <= MOMENT]
        before = await table_of(deps, examples, notice=quiet)
        await deps.store.record(
            [
                Interaction(user_id=user, item_id=item, kind="rating", at=MOMENT, rating=1.0, text="canary")
                for user in ("ada", "bo", "cleo")
                for item in ("planets", "comets", "roses", "ferns")
            ]
        )
        after = await table_of(deps, examples, notice=quiet)

    assert len(before) > 0
    assert np.array_equal(before.features, after.features)
    assert np.array_equal(before.worth, after.worth)


async def test_features_are_those_that_a_ranking_of_that_moment_sees(open_world: OpenWorld) -> None:
    example = Example("ada", "planets", MOMENT, OUTCOME, None, NAN)
    async with open_world()() as deps:
        table = await table_of(deps, [example], notice=quiet)
        factors = await gather_factors(deps, "ada", ["planets"], as_of=MOMENT)

        assert np.array_equal(table.features, factors.features(deps))


async def test_a_pair_that_is_there_twice_counts_once_with_its_pass(open_world: OpenWorld) -> None:
    bare = Example("ada", "planets", MOMENT, OUTCOME, None, NAN)
    written = bare._replace(sides=("space things", "space things"), judged=0.5)
    tables: list[Table] = []
    async with open_world()() as deps:
        for order in ([bare, written], [written, bare]):
            tables.append(await table_of(deps, order, notice=quiet))

    for table in tables:
        assert (len(table), table.judged.tolist()) == (1, [0.5])
        assert table.unjudged.tolist() == pytest.approx([1.0])  # equal words: cosine 1


async def test_what_cannot_be_described_is_left_out(open_world: OpenWorld) -> None:
    gone = Example("ada", "no-such", MOMENT, OUTCOME, None, NAN)
    early = Example("ada", "planets", datetime(2025, 1, 1, tzinfo=UTC), OUTCOME, None, NAN)
    async with open_world()() as deps:
        table = await table_of(deps, [gone, early], notice=quiet)

    assert len(table) == 0


async def test_a_moment_with_passes_is_told_by_them_alone(open_world: OpenWorld) -> None:
    # The pass noted something about the item that was chosen; nobody noted anything about the other.
    chosen = Example("ada", "planets", MOMENT, OUTCOME, ("space things", "space things"), 0.5)
    other = Example("ada", "roses", MOMENT, OUTCOME.model_copy(update={"chosen": False}), None, NAN)
    elsewhere = other._replace(user_id="bo")
    async with open_world()() as deps:
        beside = await table_of(deps, [other, chosen], notice=quiet)
        apart = await table_of(deps, [elsewhere, chosen], notice=quiet)

    assert beside.worth.tolist() == [1.0]
    assert sorted(apart.worth.tolist()) == [0.0, 1.0]


async def test_an_item_without_text_does_not_take_its_moment_along(open_world: OpenWorld) -> None:
    chosen = Example("ada", "planets", MOMENT, OUTCOME, None, NAN)
    mute = chosen._replace(item_id="mute", outcome=OUTCOME.model_copy(update={"chosen": False}))
    async with open_world()() as deps:
        await deps.store.put_items([Item(item_id="mute")])
        table = await table_of(deps, [chosen, mute, mute._replace(item_id="no-such")], notice=quiet)

    assert table.worth.tolist() == [1.0]
