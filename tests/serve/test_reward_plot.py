"""The geometry of the report's plots, in the units of their view box: heights run from 184 up to 16."""

from datetime import UTC, datetime

import pytest

from limner.models import Rollout
from limner.records import Usage
from limner.serve.reward_plot import Plot, Stages, plot_drafts, plot_stages


def draft(number: int, draft_ix: int, total: float | None, *, selected: bool = False) -> Rollout:
    return Rollout(
        rollout_id=f"{number}-{draft_ix}",
        run_id="run",
        user_id="ada",
        round=number,
        draft_ix=draft_ix,
        group_key="g",
        messages=(),
        completion="",
        profile_text="",
        finish_reason="stop",
        backend="scripted",
        model_rev="1",
        temperature=0.8,
        top_p=1.0,
        selected=selected,
        selection_propensity=float(selected),
        rewards={} if total is None else {"total": total},
        critic_version="c",
        as_of=datetime(2025, 1, 1, tzinfo=UTC),
        held=(),
        neg_seed=1,
        prompt_id="p",
        prompt_version=1,
        usage=Usage(),
        at=datetime(2025, 1, 1, tzinfo=UTC),
    )


def plot(*drafts: Rollout) -> Plot:
    drawn = plot_drafts(drafts)
    assert drawn is not None
    return drawn


def test_heights_follow_rewards_on_round_ticks() -> None:
    drawn = plot(draft(-1, 0, 0.4), draft(0, 0, 0.2), draft(1, 0, 0.6, selected=True))

    # A span of .4 takes steps of .1; a quarter of a step of air at both ends makes it .1 to .7, so a unit of
    # reward is 168 / .6 = 280 high.
    assert [tick.text for tick in drawn.ticks] == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]
    assert [dot.y for dot in drawn.dots] == [100.0, 156.0, 44.0]
    assert drawn.floor_y == 100.0
    assert [column.text for column in drawn.columns] == ["floor", "first drafts", "revision 1"]
    # three columns of (348 - 40) / 3 from 40 on: centres 91.3, 194, 296.7
    assert [dot.x for dot in drawn.dots] == [91.3, 194.0, 296.7]
    assert drawn.line == "91.3,100.0 194.0,156.0 296.7,44.0"
    assert [dot.mark for dot in drawn.dots] == ["floor", "draft", "published"]


def test_drafts_of_one_round_stand_side_by_side_and_the_line_meets_the_best() -> None:
    drawn = plot(draft(0, 2, 0.3), draft(0, 0, 0.1), draft(0, 1, 0.5), draft(1, 0, 0.4))

    # two columns of 154: centres 117 and 271; neighbours 21 apart
    assert [dot.x for dot in drawn.dots] == [96.0, 117.0, 138.0, 271.0]
    assert drawn.line.startswith("117.0,")


def test_many_drafts_stay_inside_their_column() -> None:
    drawn = plot(*(draft(0, index, index / 100) for index in range(40)), draft(1, 0, 0.2))

    # 72 % of a column of 154 around its centre at 117
    assert (drawn.dots[0].x, drawn.dots[39].x) == (61.6, 172.4)


def test_a_leaking_draft_lies_on_the_bottom_and_leaves_the_scale_alone() -> None:
    drawn = plot(draft(-1, 0, 0.4), draft(0, 0, -1.0), draft(0, 1, 0.5))

    assert [dot.spoiled for dot in drawn.dots] == [False, True, False]
    assert drawn.dots[1].y == drawn.bottom
    assert drawn.ticks[0].text == "0.35"


@pytest.mark.parametrize("total", [0.0, 0.5, -1.0, 1e-9, 12345.678])
def test_a_single_draft_of_any_total_is_drawn_inside_the_box(total: float) -> None:
    drawn = plot(draft(0, 0, total, selected=True))

    assert 16 <= drawn.dots[0].y <= 184
    assert drawn.line == ""
    assert len(drawn.ticks) >= 2


def test_what_was_not_scored_is_not_drawn() -> None:
    assert plot_drafts([draft(0, 0, None), draft(0, 1, float("nan"))]) is None
    assert plot_drafts([]) is None
    assert plot_stages([]) is None


def test_the_stages_show_the_mean_of_all_and_a_line_for_each() -> None:
    drawn = plot_stages([Stages(0.2, 0.1, 0.4), Stages(0.4, 0.2, 0.6)])

    assert drawn is not None
    assert [dot.caption for dot in drawn.dots] == ["0.300", "0.150", "0.500"]
    assert [len(points.split()) for points in drawn.faint] == [3, 3]
    assert len(drawn.line.split()) == 3
