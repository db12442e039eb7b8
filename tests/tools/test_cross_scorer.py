"""The scorer of pairs: features worked out by hand, its file, and what a wrong file says."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import ScorerFileError, WrongScorerError
from limner.tools.belief import Gauge
from limner.tools.cross_scorer import (
    CrossScorer,
    load_scorer,
    open_scorer,
    save_scorer,
    untaught_scorer,
)
from limner.tools.embedder import FloatArray
from limner.tools.late_interaction import score_items
from limner.tools.pair_features import FEATURES, ItemFactors, UserFactors, Values, pair_features

EYE: FloatArray = np.eye(4, dtype=np.float32)
NONE: FloatArray = np.zeros((0, 4), dtype=np.float32)


def user(**changes: Any) -> UserFactors:
    """Had `a` (liked, 5 of 5) and then `b` (disliked, 1 of 5); said one good and one bad thing."""
    fields: dict[str, Any] = {
        "history": EYE[:2],
        "items": ("a", "b"),
        "shares": np.array([1.0, 0.0]),
        "liked": np.array([True, False]),
        "likes": EYE[:1],
        "avoids": EYE[2:3],
        "events": 7,
    }
    return UserFactors(**(fields | changes))


def item(vector: FloatArray, **changes: Any) -> ItemFactors:
    fields: dict[str, Any] = {
        "items": ("x",),
        "vectors": vector[None],
        "words": (NONE,),
        "overlap": np.array([0.25]),
        "events": np.array([3.0]),
        "company": np.array([2.0]),
        "ratings": np.array([2.0]),
        "means": np.array([0.9]),
        "spreads": np.array([0.1]),
    }
    return ItemFactors(**(fields | changes))


def described(user: UserFactors, item: ItemFactors) -> dict[str, float]:
    [row] = pair_features(user, item, mean_share=0.6, temperature=0.05)
    return dict(zip(FEATURES, row.tolist(), strict=True))


def test_features_by_hand() -> None:
    vector = np.array([0.6, 0.8, 0.0, 0.0], dtype=np.float32)

    found = described(user(), item(vector))

    assert found["history_soft"] == pytest.approx(0.6)  # only `a` is liked
    assert found["history_max"] == found["history_mean"] == pytest.approx(0.6)
    assert found["history_last"] == found["disliked_max"] == pytest.approx(0.8)  # `b`
    assert found["sentences_soft"] == found["sentences_max"] == pytest.approx(0.6)
    assert (found["avoided_max"], found["overlap"]) == (0.0, 0.25)
    assert found["item_mean"] == pytest.approx((0.9 - 0.6) * 2 / (2 + 5))
    assert found["user_mean"] == pytest.approx((0.5 - 0.6) * 2 / (2 + 5))
    assert [found["item_spread"], found["user_spread"]] == pytest.approx([0.1, 0.5])
    assert found["item_events"] == pytest.approx(np.log(4))
    assert [found["company"], found["company_share"]] == pytest.approx([np.log(3), 2 / (3 + 5)])
    assert found["user_events"] == pytest.approx(np.log(8))
    assert (found["has_sentences"], found["has_words"], found["words_soft"]) == (1.0, 0.0, 0.0)


def test_the_soft_maximum_is_that_of_the_late_interaction() -> None:
    rng = np.random.default_rng(0)
    history = rng.normal(size=(5, 4)).astype(np.float32)
    history /= np.linalg.norm(history, axis=1, keepdims=True)
    many = user(
        history=history, items=tuple("abcde"), shares=np.full(5, np.nan), liked=np.ones(5, dtype=bool)
    )

    found = described(many, item(EYE[1]))

    assert found["history_soft"] == pytest.approx(float(score_items(history, EYE[1:2], temperature=0.05)[0]))


def test_what_the_user_did_with_the_candidate_is_masked() -> None:
    again = described(user(), item(EYE[0], items=("a",)))
    other = described(
        user(history=EYE[1:2], items=("b",), shares=np.array([0.0]), liked=np.array([False])),
        item(EYE[0], items=("a",)),
    )

    assert again == other
    assert [again["history_soft"], again["user_mean"]] == pytest.approx([0.0, (0.0 - 0.6) / 6])


def test_the_best_word_about_an_item_counts() -> None:
    found = described(user(), item(EYE[3], words=(EYE[[3, 0]],)))

    assert [found["words_soft"], found["has_words"]] == pytest.approx([1.0, 1.0])


def test_a_user_of_whom_nothing_is_left_has_finite_features() -> None:
    empty = user(
        history=NONE, items=(), shares=np.zeros(0), liked=np.zeros(0, dtype=bool), likes=NONE, avoids=NONE
    )

    assert all(np.isfinite(value) for value in described(empty, item(EYE[0])).values())


def test_a_row_depends_on_no_other_candidate() -> None:
    both = ItemFactors(
        items=("x", "y"),
        vectors=EYE[:2],
        words=(NONE, EYE[:1]),
        overlap=np.array([0.1, 0.2]),
        events=np.array([1.0, 2.0]),
        company=np.array([0.0, 1.0]),
        ratings=np.array([1.0, 2.0]),
        means=np.array([0.3, 0.4]),
        spreads=np.array([0.0, 0.2]),
    )
    alone = item(
        EYE[0],
        overlap=np.array([0.1]),
        events=np.array([1.0]),
        company=np.array([0.0]),
        ratings=np.array([1.0]),
        means=np.array([0.3]),
        spreads=np.array([0.0]),
    )

    first, _ = pair_features(user(), both, mean_share=0.6, temperature=0.05)

    assert dict(zip(FEATURES, first.tolist(), strict=True)) == described(user(), alone)


def linear(**changes: Any) -> CrossScorer:
    """Worth is 0.1 + 2 * history_max, centred and scaled; the slope is uncertain by 0.5."""
    size = len(FEATURES)
    place = FEATURES.index("history_max")
    weights, covariance = np.zeros(size + 1), np.zeros((size + 1, size + 1))
    weights[place], weights[size], covariance[place, place] = 2.0, 0.1, 0.25
    centre, scale = np.zeros(size), np.ones(size)
    centre[place], scale[place] = 0.5, 0.5
    fields: dict[str, Any] = {
        "kind": "linear",
        "arrays": {"centre": centre, "scale": scale, "weights": weights, "covariance": covariance},
        "noise": 0.09,
        "encoder": "hashing-v1",
        "taught": {"users": 30},
    }
    return CrossScorer(**(fields | changes))


def trees() -> CrossScorer:
    """Two trees: one asks `history_max <= 0.5` (0.2 or 0.8), one always says 0.4."""
    arrays = {
        "column": np.array([[FEATURES.index("history_max"), -1, -1], [-1, -1, -1]], dtype=np.int32),
        "threshold": np.array([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        "left": np.array([[1, 0, 0], [0, 0, 0]], dtype=np.int32),
        "right": np.array([[2, 0, 0], [0, 0, 0]], dtype=np.int32),
        "value": np.array([[0.0, 0.2, 0.8], [0.4, 0.0, 0.0]]),
    }
    return CrossScorer(kind="trees", arrays=arrays, noise=0.0, stretch=2.0, taught={"users": 30})


def row(history_max: float) -> Values:
    found = np.zeros((1, len(FEATURES)))
    found[0, FEATURES.index("history_max")] = history_max
    return found


def test_a_linear_scorer_says_its_mean_and_how_unsure_it_is() -> None:
    found = linear().score(row(1.0))

    # (1.0 - 0.5) / 0.5 = 1: 0.1 + 2; variance 0.25 + 0.09.
    assert (found.mean.tolist(), found.sd.tolist()) == ([pytest.approx(2.1)], [pytest.approx(0.34**0.5)])


def test_trees_say_their_mean_and_their_disagreement() -> None:
    low, high = trees().score(row(0.5)), trees().score(row(0.6))

    assert (low.mean[0], high.mean[0]) == (pytest.approx(0.3), pytest.approx(0.6))
    assert (low.sd[0], high.sd[0]) == (pytest.approx(2 * 0.1), pytest.approx(2 * 0.2))  # stretched twice


def test_the_untaught_scorer_is_unsure_of_everything_alike() -> None:
    found = untaught_scorer().score(np.concatenate([row(0.1), row(0.9)]))

    assert found.sd.tolist() == [0.4, 0.4]
    assert untaught_scorer().name == "prior"


@pytest.mark.parametrize("make", [linear, trees])
def test_a_saved_scorer_comes_back_with_name_gauges_and_the_very_same_scores(
    tmp_path: Path, make: Callable[[], CrossScorer]
) -> None:
    gauges = {"judged": Gauge(0.1, 0.8, 0.1, 0.2, 0.05), "unjudged": Gauge(0.2, 0.3, 0.1, 0.1, 0.04)}
    scorer = replace(make(), gauges=gauges)
    save_scorer(scorer, tmp_path / "new" / "a.scorer")

    found = load_scorer(tmp_path / "new" / "a.scorer")

    assert (found.name, found.gauges, found.taught) == (scorer.name, gauges, {"users": 30})
    for value in (0.1, 0.5, 0.9):
        assert found.score(row(value)).mean.tolist() == scorer.score(row(value)).mean.tolist()
        assert found.score(row(value)).sd.tolist() == scorer.score(row(value)).sd.tolist()


def test_the_same_scorer_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_scorer(trees(), tmp_path / name)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_untaught_scorer_has_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pairing\.scorer"):
        save_scorer(untaught_scorer(), tmp_path / "a.scorer")

    assert open_scorer(None, encoder="any").name == "prior"


def test_a_scorer_of_another_encoder_is_refused(tmp_path: Path) -> None:
    save_scorer(linear(), tmp_path / "a.scorer")

    assert open_scorer(tmp_path / "a.scorer", encoder="hashing-v1").encoder == "hashing-v1"
    with pytest.raises(WrongScorerError, match="hashing-v1"):
        open_scorer(tmp_path / "a.scorer", encoder="mpnet")


def rewritten(path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """Change one part of a scorer's file."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content)
    return path


def facts(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps({**json.loads(content), **changes}).encode()


def broken(content: bytes) -> bytes:
    return b"{"


def pickled(content: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def doubled(content: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, 2 * np.load(io.BytesIO(content)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("scorer.json", facts(format=99), "has format 99"),
        ("scorer.json", facts(features=["x"]), "was taught on other features"),
        ("scorer.json", facts(kind="magic"), "cannot be read"),
        ("scorer.json", broken, "cannot be read"),
        ("weights.npy", pickled, "cannot be read"),
        ("weights.npy", doubled, "is damaged"),
    ],
)
def test_a_file_that_is_no_scorer_says_so(
    tmp_path: Path, part: str, change: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / "a.scorer"
    save_scorer(linear(), path)

    with pytest.raises(ScorerFileError, match=rf"a\.scorer: {said}.*`limner distill scorer`$"):
        load_scorer(rewritten(path, part, change))


def test_a_missing_or_foreign_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")

    for name in ("text", "none"):
        with pytest.raises(ScorerFileError, match="cannot be read"):
            load_scorer(tmp_path / name)
