"""The reward, term by term, in numbers worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.sections import CriticSettings, RewardWeights
from limner.tools.embedder import FloatArray
from limner.tools.reward import (
    FLOOR,
    Exam,
    boilerplate_penalty,
    ground_reward,
    info_nce_reward,
    length_penalty,
    rank_reward,
    score,
    total_reward,
)
from limner.tools.space import Side, Space

EYE = np.eye(4, dtype=np.float32)
CRITIC = CriticSettings(temperature=0.5, max_words=10, support=0.35)


def floats(*values: float) -> FloatArray:
    return np.asarray(values, dtype=np.float32)


def exam(**changes: Any) -> Exam:
    """One held-back item on axis 0, two negatives on axes 1 and 2, a history on axis 0, one rival on axis 1."""
    fields: dict[str, Any] = {
        "positives": EYE[:1],
        "negatives": EYE[1:3],
        "own": EYE[:1],
        "others": (EYE[1:2],),
        "targets": (),
        "known": "",
    }
    return Exam(**(fields | changes))


def graded(
    text: str = "Likes maps.",
    facets: FloatArray = EYE[:1],
    supports: tuple[float, ...] = (1.0,),
    **changes: Any,
) -> dict[str, float]:
    weights = changes.pop("weights", RewardWeights())
    extra = changes.pop("extra", None)
    return score(text, facets, supports, exam(**changes), critic=CRITIC, weights=weights, extra=extra)


def test_rank_is_the_mean_ndcg_with_ties_counted_half() -> None:
    # Ranks 1, 1 + 1 + 1/2 = 2.5 and 4 among three negatives.
    found = rank_reward(floats(0.9, 0.5, 0.0), floats(0.8, 0.5, 0.1))

    assert found == pytest.approx((1 + 1 / math.log2(3.5) + 1 / math.log2(5)) / 3)


def test_info_nce_is_the_right_choice_beside_chance_in_both_directions() -> None:
    # One direction: 1 against 0, 0 at temperature 0.5: p = e^2 / (e^2 + 2), chance 1/3.
    to_item = (math.e**2 / (math.e**2 + 2)) / (math.e**2 / (math.e**2 + 2) + 1 / 3)
    # The other: 1 against one rival's 0: p = e^2 / (e^2 + 1), chance 1/2.
    to_user = (math.e**2 / (math.e**2 + 1)) / (math.e**2 / (math.e**2 + 1) + 1 / 2)

    alone = info_nce_reward(floats(1), floats(0, 0), np.zeros((0, 1), np.float32), temperature=0.5)
    both = info_nce_reward(floats(1), floats(0, 0), np.zeros((1, 1), np.float32), temperature=0.5)

    assert alone == pytest.approx(to_item)
    assert both == pytest.approx((to_item + to_user) / 2)


def test_info_nce_tells_drafts_apart_below_chance_too() -> None:
    none = np.zeros((0, 1), np.float32)
    # 0 against 1, 1 at temperature 1: p = 1 / (1 + 2e); against 2, 2: p = 1 / (1 + 2e^2). Chance is 1/3.
    bad, worse = (info_nce_reward(floats(0), floats(rival, rival), none, temperature=1.0) for rival in (1, 2))

    assert bad == pytest.approx(3 / (3 + 1 + 2 * math.e))
    assert worse == pytest.approx(3 / (3 + 1 + 2 * math.e**2))


def test_rivals_speak_for_their_users_in_a_taught_space() -> None:
    """The user side turns the plane by 90 degrees, so a rival's own item is what it no longer likes."""
    turn = Side.of(np.array([[0, 1], [-1, 0]]))
    space = Space(encoder="e", user=turn, item=Side.of(np.eye(2)))
    east, north = floats(1, 0)[None], floats(0, 1)[None]
    exam = Exam(positives=north, negatives=east, own=north, others=(east,), targets=(), known="")

    mapped = exam.mapped(space)

    assert np.allclose(exam.crowd.vectors, east)
    assert np.allclose(mapped.crowd.vectors, north)
    assert np.allclose(mapped.everybody.vectors, np.concatenate([north, east]))


def test_grounding_is_the_share_of_supported_claims() -> None:
    assert ground_reward([0.35, 0.34, 0.9, -0.2], threshold=0.35) == 0.5
    assert ground_reward([], threshold=0.35) == 0.0


@pytest.mark.parametrize(("words", "penalty"), [(0, 0.0), (10, 0.0), (12, 0.2), (20, 1.0), (99, 1.0)])
def test_length_is_the_excess_as_a_share_of_what_is_allowed(words: int, penalty: float) -> None:
    assert length_penalty("word " * words, max_words=10) == pytest.approx(penalty)


def test_boilerplate_is_the_share_of_others_it_fits_better() -> None:
    assert boilerplate_penalty(0.5, [0.9, 0.5, 0.2, 0.1]) == pytest.approx((1 + 0.5) / 4)
    assert boilerplate_penalty(0.5, []) == 0.0


def test_all_terms_of_a_draft() -> None:
    # The draft is the positive itself: rank 1; InfoNCE as above with one rival; own history 1, the other 0.
    terms = graded(supports=(1.0, 0.1), extra={"text": 0.25})

    assert set(terms) == {"rank", "emb", "boiler", "ground", "length", "leak", "total"}  # text has no weight
    assert (terms["rank"], terms["boiler"], terms["ground"]) == (1.0, 0.0, 0.5)
    assert (terms["length"], terms["leak"]) == (0.0, 0.0)
    # Gains weigh 1.0, 0.5 and 0.3.
    assert terms["total"] == pytest.approx((1.0 + 0.5 * terms["emb"] + 0.3 * 0.5) / 1.8)


def test_penalties_are_taken_off() -> None:
    # Twelve of ten words; the draft fits the other user and not its own.
    terms = graded("word " * 12, facets=EYE[1:2])

    assert terms["length"] == pytest.approx(0.2)
    assert terms["boiler"] == 1.0
    gain = (terms["rank"] + 0.5 * terms["emb"] + 0.3 * 1.0) / 1.8
    assert terms["total"] == pytest.approx(gain - 0.2 * 0.2 - 0.2 * 1.0)


def test_without_held_back_items_only_the_other_terms_are_there() -> None:
    terms = graded(positives=EYE[:0])

    assert set(terms) == {"boiler", "ground", "length", "leak", "total"}
    assert terms["total"] == 1.0


@pytest.mark.parametrize("name", ["rank", "emb", "ground", "length", "boiler", "leak"])
def test_a_weight_of_zero_switches_a_term_off(name: str) -> None:
    terms = graded(weights=RewardWeights(**{name: 0.0}))

    assert name not in terms
    assert set(graded()) - set(terms) == {name}


def test_terms_computed_elsewhere_count_with_their_weights() -> None:
    terms = graded(extra={"text": 1.0, "item_rank": 0.5}, weights=RewardWeights(text=2.0))

    gains = 1.0 * 1.0 + 1.0 * 0.5 + 0.5 * terms["emb"] + 2.0 * 1.0 + 0.3 * 1.0
    assert terms["total"] == pytest.approx(gains / 4.8)


def test_a_leak_sends_the_total_to_the_floor_unless_it_is_switched_off() -> None:
    assert graded("Likes maps, 5 stars.")["total"] == FLOOR == -1.0
    assert graded("Likes maps, 5 stars.", weights=RewardWeights(leak=0.0))["total"] > 0.0


def test_no_gain_at_all_is_zero() -> None:
    assert total_reward({}, RewardWeights()) == 0.0


UNIT = st.floats(0, 1, width=32)
COSINE = st.floats(-1, 1, width=32)
ROWS = st.lists(COSINE, min_size=1, max_size=6).map(lambda row: floats(*row))


@given(
    positives=ROWS, negatives=ROWS, rivals=st.integers(0, 3), temperature=st.floats(0.01, 2), data=st.data()
)
def test_graded_terms_are_bounded(
    positives: FloatArray, negatives: FloatArray, rivals: int, temperature: float, data: st.DataObject
) -> None:
    row = st.lists(COSINE, min_size=len(positives), max_size=len(positives))
    others = np.asarray([data.draw(row) for _ in range(rivals)], np.float32).reshape(rivals, len(positives))

    assert 0.0 <= rank_reward(positives, negatives) <= 1.0
    assert 0.0 <= info_nce_reward(positives, negatives, others, temperature=temperature) <= 1.0


@given(text=st.text(max_size=300))
def test_the_length_of_any_text_costs_a_share(text: str) -> None:
    assert 0.0 <= length_penalty(text, max_words=5) <= 1.0


@given(
    terms=st.dictionaries(
        st.sampled_from(["rank", "emb", "item_rank", "text", "ground", "length", "boiler"]), UNIT
    ),
    leak=st.sampled_from([0.0, 1.0]),
)
def test_the_total_is_at_most_one_and_at_least_the_floor(terms: dict[str, float], leak: float) -> None:
    total = total_reward({**terms, "leak": leak}, RewardWeights())

    assert FLOOR <= total <= 1.0 + 1e-9
    assert total == FLOOR or leak == 0.0
