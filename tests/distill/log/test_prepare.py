"""From a log to a training set: every row, every count, and nothing after a failure."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from limner.distill.log.filters import Filters
from limner.distill.log.manifest import Recipe
from limner.distill.log.prepare import Source, prepare
from limner.distill.log.splits import Splitting, split_of
from limner.errors import CriticVersionError, EmptySplitError, InputError
from limner.models import Rollout
from limner.records import Message

Draft = Callable[..., Rollout]
Make = Callable[..., Any]
Log = Callable[[Iterable[Rollout]], Source]

ALL_TRAIN = Splitting(validation=0.0, test=0.0)


class Grader:
    """A critic of another version, whose total is told by the completion."""

    critic_version = "c2"

    def __init__(self, totals: dict[str, float | None]) -> None:
        self._totals = totals
        self.asked: list[list[str]] = []

    async def __call__(self, drafts: Sequence[Rollout]) -> list[dict[str, float] | None]:
        """Grade a group."""
        self.asked.append([draft.rollout_id for draft in drafts])
        found = [self._totals[draft.completion] for draft in drafts]
        return [None if total is None else {"total": total} for total in found]


async def test_every_table_holds_what_the_group_says(draft: Draft, make: Make) -> None:
    drafts = [draft(0.2), draft(0.8), draft(0.5), draft(0.5, completion="At the mean.")]

    found = await make(drafts)

    prompt = (Message(role="user", content="Draw."),)
    [best] = found.best("train")
    assert (best.rollout_id, best.prompt, best.reward, best.drafts) == ("r1", prompt, 0.8, 4)
    assert best.completion == (Message(role="assistant", content="Draft 1."),)
    [pair] = found.preferences("train")
    assert (pair.chosen_id, pair.rejected_id, pair.chosen_reward, pair.rejected_reward) == (
        "r1",
        "r0",
        0.8,
        0.2,
    )
    assert pair.margin == pytest.approx(0.6)
    assert pair.rejected == (Message(role="assistant", content="Draft 0."),)
    assert [(row.rollout_id, row.label) for row in found.labels("train")] == [("r0", False), ("r1", True)]
    # Mean .5; squared gaps .09 + .09 over 3: deviation sqrt(.06) = .244949; .3 / .245049 = 1.224245.
    rows = list(found.advantages("train"))
    assert [row.advantage for row in rows] == pytest.approx([-1.224245, 1.224245, 0.0, 0.0], abs=1e-5)
    # exp(-2.44849) = .086424; exp(2.44849) = 11.57, clipped to 8.
    assert [row.weight for row in rows] == pytest.approx([0.086424, 8.0, 1.0, 1.0], rel=1e-4)
    assert rows[1].rewards == {"rank": 0.8, "total": 0.8}
    assert {row.group_key for row in rows} == {best.group_key} == {pair.group_key}
    [asked] = found.prompts("train")
    assert (asked.drafts, asked.best_reward, asked.held, asked.neg_seed) == (4, 0.8, ("e1",), 3)


async def test_rollouts_carry_what_importance_ratios_need(draft: Draft, make: Make) -> None:
    drafts = [draft(0.1, token_ids=(5, 6), token_logprobs=(-0.5, -1.5)), draft(0.9, token_logprobs=(-1.0,))]

    first, second = (await make(drafts)).advantages("train")

    assert (first.token_ids, first.token_logprobs) == ((5, 6), (-0.5, -1.5))
    assert (second.token_ids, second.token_logprobs) == (None, (-1.0,))
    assert (first.backend, first.model_rev, first.temperature, first.top_p) == ("scripted", "1", 0.9, 0.95)


async def test_each_rollout_is_dropped_for_the_first_reason_that_applies(draft: Draft, make: Make) -> None:
    good = [draft(0.1), draft(0.9)]
    drafts = [
        *good,
        good[0],  # repeated
        draft(0.3, round=-1, item_id="i"),  # extractive, before it is a pair
        draft(0.3, item_id="i"),
        draft(0.3, finish_reason="length"),
        draft(0.3, completion="  "),
        draft(0.3, messages=()),
        draft(0.3, rewards={"rank": 0.3}),
        draft(0.3, held=()),
        draft(0.1, completion="Draft  0.\n"),  # a duplicate of the first
        draft(0.3, neg_seed=4),  # single
        draft(0.3, user_id="bo"),
        draft(0.34, user_id="bo"),  # .04 apart where .05 is asked for
        draft(0.3, user_id="cy"),  # excluded
        draft(0.3, user_id="di", consent=True),
        draft(0.3, user_id="di", consent=False),
        draft(0.3, user_id="eve", finish_reason="length"),  # forgotten, before it is cut off
    ]

    async def knows(user_id: str) -> bool:
        return user_id != "eve"

    found = await make(drafts, excluded={"cy"}, knows=knows)

    funnel = found.manifest.funnel
    assert {reason: count for reason, count in funnel.dropped.items() if count} == {
        "repeated": 1,
        "excluded": 1,
        "no_consent": 2,
        "forgotten": 1,
        "extractive": 1,
        "pair": 1,
        "finish_reason": 1,
        "incomplete": 3,
        "ungraded": 1,
        "duplicate": 1,
        "single": 1,
        "equal": 2,
    }
    assert (funnel.rollouts, funnel.kept, funnel.users) == (18, 2, 5)
    train = funnel.splits["train"]
    # Prompts: ada's two exams and bo's; only ada's first tells its drafts apart.
    assert (train.users, train.groups, train.drafts, train.prompts) == (1, 1, 2, 3)
    assert {row.user_id for row in found.advantages("train")} == {"ada"}


async def test_silence_is_no_consent_where_it_is_required(draft: Draft, make: Make) -> None:
    drafts = [
        *(draft(total, user_id="ada", consent=True) for total in (0.1, 0.9)),
        *(draft(total, user_id="bo", consent=said) for total, said in ((0.1, True), (0.9, None))),
    ]
    recipe = Recipe(splitting=ALL_TRAIN, filters=Filters(require_consent=True))

    found = await make(drafts, recipe)

    assert {row.user_id for row in found.prompts("train")} == {"ada"}
    assert found.manifest.funnel.dropped["no_consent"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message(role="user", content="Revise."),)},
        {"neg_seed": 4},
        {"held": ("e2",)},
        {"user_id": "bo"},
    ],
    ids=["prompt", "negatives", "held-back", "user"],
)
async def test_rewards_compare_only_within_one_exam(draft: Draft, make: Make, change: dict[str, Any]) -> None:
    drafts = [draft(0.1), draft(0.6, **change), draft(0.2), draft(0.9, **change)]

    found = await make(drafts)

    margins = sorted(pair.margin for pair in found.preferences("train"))
    assert margins == pytest.approx([0.1, 0.3])


async def test_drafts_of_one_user_may_lie_anywhere_in_the_log(draft: Draft, make: Make) -> None:
    drafts = [draft(number / 100, user_id=f"u{number % 40:02}") for number in range(200)]

    found = await make(drafts)

    # User 0 has the rewards 0, .4, .8, 1.2 and 1.6, and so have the others, each a little higher.
    assert found.manifest.funnel.splits["train"].groups == 40
    assert [row.user_id for row in found.best("train")] == [f"u{number:02}" for number in range(40)]
    assert [pair.margin for pair in found.preferences("train")] == pytest.approx([1.6] * 40)


async def test_by_default_the_boundary_lies_where_four_fifths_are_before(
    draft: Draft, log: Log, tmp_path: Path
) -> None:
    splitting = Splitting(validation=0.2, test=0.2)
    someone = {split_of(name, splitting): name for name in map(str, range(50))}
    first = draft(0.0).as_of
    moments = [first + timedelta(days=day) for day in range(10)]
    drafts = [
        draft(total, user_id=user, as_of=moment)
        for user in someone.values()
        for moment in moments
        for total in (0.1, 0.9)
    ]

    manifest = await prepare(log(drafts), tmp_path / "set", Recipe(splitting=splitting))

    # 60 drafts, 6 a day: place 48 is the first of day 8.
    assert manifest.boundary == moments[8]
    assert {split: counts.groups for split, counts in manifest.funnel.splits.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }
    dropped = manifest.funnel.dropped
    assert (dropped["after_boundary"], dropped["before_boundary"]) == (4, 32)


async def test_a_log_of_one_moment_is_split_by_user_alone_and_says_so(draft: Draft, make: Make) -> None:
    found = await make([draft(0.1), draft(0.9)])

    assert found.manifest.boundary is None
    assert "so they are split by user alone" in found.manifest.notes[0]


@pytest.mark.parametrize(
    ("sessions", "expected"),
    [
        # Nine tenths lie before day 20, a tenth before day 10: the first is nearer to four fifths.
        ({0: 1, 10: 8, 20: 1}, 20),
        ({0: 1, 10: 1, 20: 8}, None),  # at best a fifth is early
        ({0: 3, 10: 2}, 10),
        ({0: 5, 0.9: 5}, None),  # of one day
    ],
)
async def test_drafts_of_one_moment_stay_together_unless_time_tells_them_not_apart(
    draft: Draft, log: Log, tmp_path: Path, sessions: dict[float, int], expected: int | None
) -> None:
    first = draft(0.0).as_of
    drafts = [
        draft(total, user_id=f"u{day}-{number}", as_of=first + timedelta(days=day))
        for day, users in sessions.items()
        for number in range(users)
        for total in (0.1, 0.9)
    ]

    manifest = await prepare(log(drafts), tmp_path / "set", Recipe(splitting=ALL_TRAIN))

    assert manifest.boundary == (None if expected is None else first + timedelta(days=expected))
    assert bool(manifest.notes) == (expected is None)


async def test_a_boundary_that_costs_half_of_the_drafts_is_told(draft: Draft, make: Make) -> None:
    late = draft(0.0).as_of + timedelta(days=2)
    drafts = [draft(0.1), draft(0.9), *(draft(total, user_id="bo", as_of=late) for total in (0.1, 0.9))]

    found = await make(drafts, Recipe(splitting=ALL_TRAIN.model_copy(update={"boundary": late})))

    [note] = found.manifest.notes
    assert "leaves out 2 of 4 drafts that could teach" in note and "`--keep-early`" in note


async def test_rewards_of_two_critics_are_refused_before_anything_is_written(
    draft: Draft, log: Log, tmp_path: Path
) -> None:
    drafts = [draft(0.1), draft(0.9, critic_version="c2"), draft(0.5, critic_version="c2")]

    with pytest.raises(
        CriticVersionError, match=r"no critic was named.*'c1' \(1 drafts\), 'c2' \(2 drafts\)"
    ):
        await prepare(log(drafts), tmp_path / "set", Recipe(splitting=ALL_TRAIN))
    with pytest.raises(CriticVersionError, match=r"critic 'c2' was asked for"):
        await prepare(log(drafts), tmp_path / "set", Recipe(splitting=ALL_TRAIN, critic_version="c2"))

    assert list(tmp_path.iterdir()) == []


async def test_the_critic_of_a_draft_that_is_dropped_anyway_does_not_matter(draft: Draft, make: Make) -> None:
    drafts = [draft(0.1), draft(0.9), draft(0.5, critic_version="c0", finish_reason="length")]

    found = await make(drafts)

    assert found.manifest.critic_version == "c1"


async def test_users_who_are_left_out_settle_neither_critic_nor_boundary(draft: Draft, make: Make) -> None:
    late = {"user_id": "bo", "critic_version": "c0", "as_of": draft().as_of + timedelta(days=9)}

    found = await make([draft(0.1), draft(0.9), draft(0.5, **late)], excluded={"bo"})

    assert (found.manifest.critic_version, found.manifest.boundary) == ("c1", None)


async def test_a_group_is_kept_if_its_rewards_differ_by_exactly_epsilon(draft: Draft, make: Make) -> None:
    recipe = Recipe(splitting=ALL_TRAIN, filters=Filters(epsilon=0.25))

    found = await make([draft(0.5), draft(0.75)], recipe)

    assert found.manifest.funnel.kept == 2


async def test_a_group_with_an_old_reward_is_graded_again_as_a_whole(draft: Draft, make: Make) -> None:
    drafts = [
        draft(0.1, completion="a"),
        draft(0.9, completion="b", critic_version="c2"),
        draft(0.7, completion="c"),
        draft(0.2, completion="d", critic_version="c2", neg_seed=4),
        draft(0.6, completion="e", critic_version="c2", neg_seed=4),
    ]
    grader = Grader({"a": 1.0, "b": 0.0, "c": None})

    found = await make(drafts, rescore=grader)

    assert grader.asked == [["r0", "r1", "r2"]]
    assert found.manifest.critic_version == "c2"
    assert [(pair.chosen_id, pair.rejected_id) for pair in found.preferences("train")] == [
        ("r0", "r1"),
        ("r4", "r3"),
    ]
    funnel = found.manifest.funnel
    assert (funnel.rescored, funnel.dropped["not_rescored"], funnel.kept) == (2, 1, 4)


async def test_a_grader_that_gives_no_number_is_refused(draft: Draft, log: Log, tmp_path: Path) -> None:
    drafts = [draft(0.1, completion="a"), draft(0.9, completion="b")]

    with pytest.raises(InputError, match=r"critic 'c2' gave draft 'r1' the rewards {'total': nan}"):
        await prepare(log(drafts), tmp_path / "set", rescore=Grader({"a": 0.5, "b": float("nan")}))

    assert list(tmp_path.iterdir()) == []


async def test_the_grader_must_be_the_critic_that_was_asked_for(
    draft: Draft, log: Log, tmp_path: Path
) -> None:
    with pytest.raises(CriticVersionError, match="critic 'c9' was asked for"):
        await prepare(log([draft()]), tmp_path / "set", Recipe(critic_version="c9"), rescore=Grader({}))


async def test_a_log_that_teaches_nothing_is_an_error_that_says_why(
    draft: Draft, log: Log, tmp_path: Path
) -> None:
    with pytest.raises(EmptySplitError, match=r"left of 2 drafts \(dropped: finish_reason 1, single 1\)"):
        await prepare(
            log([draft(), draft(finish_reason="length")]), tmp_path / "set", Recipe(splitting=ALL_TRAIN)
        )

    assert list(tmp_path.iterdir()) == []


async def test_a_log_that_breaks_off_leaves_nothing(draft: Draft, tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[list[Rollout]]:
        yield [draft(0.1), draft(0.9)]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await prepare(Source("drafts", breaking()), tmp_path / "set", Recipe(splitting=ALL_TRAIN))

    assert list(tmp_path.iterdir()) == []


async def test_what_is_already_there_is_never_replaced(draft: Draft, log: Log, tmp_path: Path) -> None:
    out = tmp_path / "set"
    out.mkdir()
    (out / "mine.txt").write_text("keep")

    with pytest.raises(InputError, match="is already there"):
        await prepare(log([draft(0.1), draft(0.9)]), out, Recipe(splitting=ALL_TRAIN))

    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert (out / "mine.txt").read_text() == "keep"


async def test_a_dry_run_counts_the_same_and_writes_nothing(draft: Draft, log: Log, tmp_path: Path) -> None:
    drafts = [draft(0.1), draft(0.9), draft(0.5, item_id="i")]
    recipe = Recipe(splitting=ALL_TRAIN)

    dry = await prepare(log(drafts), None, recipe)
    assert list(tmp_path.iterdir()) == []
    real = await prepare(log(drafts), tmp_path / "set", recipe)

    assert dry == real.model_copy(update={"files": ()})


async def test_the_same_log_gives_the_same_bytes_and_its_hash(draft: Draft, log: Log, tmp_path: Path) -> None:
    drafts = [draft(0.1), draft(0.9)]
    recipe = Recipe(splitting=ALL_TRAIN)

    first = await prepare(log(drafts), tmp_path / "first", recipe)
    second = await prepare(log(drafts), tmp_path / "second", recipe)

    assert first == second
    lines = "".join(each.model_dump_json() + "\n" for each in drafts)
    assert first.log.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    names = sorted(str(path.relative_to(tmp_path / "first")) for path in (tmp_path / "first").rglob("*.*"))
    assert names == sorted(["manifest.json", *(file.path for file in first.files)])
    assert len(first.files) == 3 * 5


async def test_names_of_excluded_users_are_nowhere_in_the_set(draft: Draft, log: Log, tmp_path: Path) -> None:
    drafts = [draft(0.1), draft(0.9), draft(0.5, user_id="margarethe")]

    await prepare(log(drafts), tmp_path / "set", Recipe(splitting=ALL_TRAIN), excluded={"margarethe"})

    files = [path for path in (tmp_path / "set").rglob("*") if path.is_file()]
    assert not [path for path in files if b"margarethe" in path.read_bytes()]
