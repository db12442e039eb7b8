"""What each method trains on."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from limner.distill.log.training_set import TrainingSet  # needs the extra
from limner.distill.training.base_weights import open_base
from limner.distill.training.config import TrainingSettings
from limner.distill.training.encoding import ChatEncoder, Example
from limner.distill.training.examples import Material, read_material
from limner.errors import EmptySplitError, InputError
from limner.models import Rollout
from limner.records import Message

Set = Callable[..., TrainingSettings]
Make = Callable[[list[Rollout]], Path]


@pytest.fixture(scope="module")
def chat(tiny_model: Path) -> ChatEncoder:
    return ChatEncoder(open_base(str(tiny_model), tiny_model.parent).tokenizer)


def read(chat: ChatEncoder, settings: TrainingSettings) -> Material:
    return read_material(settings, TrainingSet.open(settings.data), chat)


def words(chat: ChatEncoder, material: Material) -> Counter[str]:
    """Count how good the rows say they are."""
    return Counter(chat.text(row.completion).split()[0] for row in material.rows)


def test_best_of_n_learns_the_best_alone(chat: ChatEncoder, settings: Set) -> None:
    material = read(chat, settings(method="raft"))

    assert words(chat, material) == {"good": 18}
    assert {row.weight for row in material.rows} == {1.0}


def test_behaviour_cloning_learns_every_draft_alike(chat: ChatEncoder, settings: Set) -> None:
    material = read(chat, settings(method="bc"))

    assert words(chat, material) == {"good": 18, "fair": 18, "poor": 18}
    assert {row.weight for row in material.rows} == {1.0}


def test_resampling_draws_as_many_rows_by_weight(chat: ChatEncoder, settings: Set) -> None:
    first, again = (read(chat, settings(method="awr", seed=1)) for _ in range(2))
    other = read(chat, settings(method="awr", seed=2))

    counts = words(chat, first)
    assert sum(counts.values()) == 54
    assert counts["good"] > counts["fair"] > counts["poor"]
    assert {row.weight for row in first.rows} == {1.0}
    assert first.rows == again.rows != other.rows


def test_scaling_keeps_every_row_with_weights_of_mean_one(chat: ChatEncoder, settings: Set) -> None:
    scaled = read(chat, settings(method="awr", awr={"draw": "scale"}))
    drawn = read(chat, settings(method="awr"))

    weights = [row.weight for row in scaled.rows]
    assert sum(weights) / len(weights) == pytest.approx(1.0)
    # (sum w)^2 / sum w^2, which no common factor changes
    assert scaled.effective == pytest.approx(sum(weights) ** 2 / sum(weight**2 for weight in weights))
    assert drawn.effective == pytest.approx(scaled.effective)


def test_rows_of_more_tokens_are_left_out_and_never_cut(chat: ChatEncoder, settings: Set) -> None:
    whole = read(chat, settings(method="bc"))
    sizes = sorted(row.size for row in whole.rows)
    most = sizes[20]

    material = read(chat, settings(method="bc", max_tokens=most))

    kept = [row for row in whole.rows if row.size <= most]
    assert material.rows == kept
    assert material.left_out == {"too_long": 54 - len(kept)}
    assert all(row.completion[-1] == chat.end for row in material.rows)


@pytest.mark.parametrize("method", ["raft", "dpo", "kto"])
def test_nothing_left_is_an_error(chat: ChatEncoder, settings: Set, method: str) -> None:
    with pytest.raises(EmptySplitError, match=r"too_long 18|too_long 36"):
        read(chat, settings(method=method, max_tokens=3))


def test_pairs_are_of_the_best_and_the_worst(chat: ChatEncoder, settings: Set) -> None:
    material = read(chat, settings(method="dpo"))

    row = material.rows[0]
    assert row["chosen"][0]["content"].startswith("good")
    assert row["rejected"][0]["content"].startswith("poor")
    prompt, good, poor = (
        len(chat.prompt(tuple(Message(**message) for message in row["prompt"]))),
        *(len(row[side][0]["content"]) + 1 for side in ("chosen", "rejected")),  # a token a byte, and the end
    )
    assert material.lengths[0] == (2 * prompt + good + poor, good + poor, prompt + max(good, poor))


def test_labelled_drafts_are_shuffled_with_the_seed(chat: ChatEncoder, settings: Set) -> None:
    first, again, other = (read(chat, settings(method="kto", seed=seed)) for seed in (1, 1, 2))

    assert first.rows == again.rows != other.rows
    assert Counter(row["label"] for row in first.rows) == {True: 18, False: 18}


def logged(make_rollout: Any, chat: ChatEncoder) -> list[Rollout]:
    """Drafts of users, of which the good ones were logged by our tokens and the fair ones by another's."""
    drafts: list[Rollout] = []
    for user in range(24):
        for draft in range(3):
            rollout = make_rollout(user, draft)
            ours = chat.completion((Message(role="assistant", content=rollout.completion),))
            tokens = {2: ours, 1: ours[::-1]}.get(draft)
            if tokens:
                rollout = rollout.model_copy(
                    update={"token_ids": tokens, "token_logprobs": tuple(-0.5 for _ in tokens)}
                )
            drafts.append(rollout)
    return drafts


def test_ratios_are_against_logged_tokens_of_our_tokenizer(
    chat: ChatEncoder, settings: Set, make_rollout: Any, make_training_set: Make
) -> None:
    data = make_training_set(logged(make_rollout, chat))

    by_ratio = {
        ratio: read(chat, settings(method="grpo-offline", data=data, grpo_offline={"ratio": ratio}))
        for ratio in ("auto", "logged", "reference")
    }

    assert {ratio: (len(each.rows), each.logged) for ratio, each in by_ratio.items()} == {
        "auto": (54, 18),
        "logged": (18, 18),
        "reference": (54, 0),
    }
    assert by_ratio["logged"].left_out == {"no_logged_tokens": 36}
    row: Example = by_ratio["logged"].rows[0]
    assert row.logged == (-0.5,) * len(row.completion)
    # Rewards 0, 1/2, 1: the best is above the mean by 1/2, which is their standard deviation.
    assert row.weight == pytest.approx(1.0, rel=1e-3)


def test_a_prompt_that_the_template_refuses_is_an_error(settings: Set, tiny_model: Path) -> None:
    tokenizer = open_base(str(tiny_model), tiny_model.parent).tokenizer
    chat = ChatEncoder(tokenizer)
    tokenizer.chat_template = "{{ raise_exception('no user may speak') }}"

    with pytest.raises(InputError, match="refuses a prompt: no user may speak"):
        read(chat, settings())
