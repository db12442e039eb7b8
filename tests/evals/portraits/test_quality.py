"""What portraits are like: each number against one worked out by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from limner import Claim, Facet, Item, Profile, Settings
from limner.evals.dataset import Card, Events
from limner.evals.encoding import Encoding
from limner.evals.lexical import WordScores
from limner.evals.portraits.moments import interactions_of
from limner.evals.portraits.quality import Hanging, agreement, measure_portraits, scores_of
from limner.evals.splits import Past, Queries
from limner.evals.workspace import Workspace

TITLES = ("red kite", "blue kite", "green tea", "black tea", "old moss", "wet moss")
ITEMS = tuple(Item(item_id=f"i{number}", title=title) for number, title in enumerate(TITLES))
HAD = ((0, 1), (2, 3), (4, 5))
LONG = "The person comes back to kites of every colour and flies them on windy days by the sea"


def events(user: Sequence[int], item: Sequence[int], at: Sequence[int]) -> Events:
    return Events(
        user=np.array(user, dtype=np.int64),
        item=np.array(item, dtype=np.int64),
        at=np.array(at, dtype=np.int64),
        rating=np.full(len(user), np.nan, dtype=np.float32),
    )


EVENTS = events([0, 0, 1, 1, 2, 2], [number for had in HAD for number in had], [0, 1] * 3)
PAST = Past(
    card=Card(
        name="tiny",
        source="made up",
        terms="none",
        users=3,
        items=6,
        events=6,
        clock="order",
        text_by_model=False,
    ),
    items=ITEMS,
    user_ids=("u0", "u1", "u2"),
    events=EVENTS,
    as_of=None,
    seed=0,
)
IDS = [event.event_id for event in interactions_of(EVENTS, PAST)]


def portrait(user: int, *sentences: str, cited: Sequence[str] = (), source: str = "extractive") -> Profile:
    claims = [Claim(text=text, evidence=(cited[0],), confidence=1.0) for text in sentences if cited]
    return Profile.model_validate(
        {
            "user_id": f"u{user}",
            "version": 1,
            "as_of": datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC),
            "text": " ".join(sentences),
            "facets": [Facet(name="x", text=text) for text in sentences],
            "claims": claims,
            "language": "en",
            "source": source,
            "critic_version": "none",
            "fingerprint": "f",
            "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
    )


def hang(tmp_path: Path, *profiles: Profile | None) -> Hanging:
    workspace = Workspace(
        folder=tmp_path / "work", seed=0, settings=Settings(embedder="hashing"), notice=lambda line: None
    )
    queries = Queries(user=np.arange(3), as_of=np.full(3, 2), history=EVENTS, starts=np.array([0, 2, 4, 6]))
    return Hanging(
        past=PAST,
        queries=queries,
        profiles=profiles,
        encoding=Encoding("hashing", workspace),
        temperature=0.05,
        support=0.6,
        seed=0,
    )


def test_sentences_are_held_against_the_history_and_against_what_they_cite(tmp_path: Path) -> None:
    hanging = hang(
        tmp_path,
        portrait(0, "Red kite.", "Blue kite.", "Green tea.", cited=[IDS[0]]),  # item 0, a red kite
        portrait(1, "Black tea.", "Wet moss."),
        None,
    )

    values = measure_portraits(hanging)

    assert values["grounding"][:2].tolist() == pytest.approx([2 / 3, 1 / 2])
    # "Blue kite" shares one of two words and half of the vector with the red kite: .5 is below .6.
    assert values["citations"][0] == pytest.approx(1 / 3)
    assert np.isnan(values["citations"][1])  # nothing is cited
    assert values["empty"].tolist() == [0.0, 0.0, 1.0]
    assert all(np.isnan(column[2]) for name, column in values.items() if name != "empty")


def test_likeness_to_oneself_and_to_others(tmp_path: Path) -> None:
    hanging = hang(tmp_path, portrait(0, "red kite"), portrait(1, "red kite"), portrait(2, "moss", "moss"))

    values = measure_portraits(hanging)

    # The second fits the first user better, and the third as little as its own: (1 + 1/2) / 2.
    assert values["boilerplate"].tolist() == [0.0, 0.75, 0.0]
    assert values["portrait similarity"][0] == pytest.approx(
        (1.0 + hanging.encoding.encode(["red kite"])[0] @ hanging.encoding.encode(["moss moss"])[0]) / 2,
        abs=1e-5,
    )
    assert values["history similarity"][0] > values["history similarity"][1]
    assert values["diversity within"][2] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(values["diversity within"][0])  # one sentence has nothing to differ from


def test_form_source_and_language_are_read_off(tmp_path: Path) -> None:
    german = "Die Person liebt Drachen in allen Farben und lässt sie an windigen Tagen am Meer steigen"
    hanging = hang(tmp_path, portrait(0, LONG, source="model"), portrait(1, german), portrait(2, "Short."))

    values = measure_portraits(hanging)

    assert values["words"].tolist() == [18.0, 16.0, 1.0]
    assert values["by model"].tolist() == [1.0, 0.0, 0.0]
    assert values["language kept"][:2].tolist() == [1.0, 0.0]  # both users write English
    assert np.isnan(values["language kept"][2])


def test_a_judges_verdicts_are_shown_where_there_are_any(tmp_path: Path) -> None:
    judged = portrait(0, "Red kite.").model_copy(update={"reward_terms": {"judge_overall": 4.0, "rank": 0.5}})

    values = measure_portraits(hang(tmp_path, judged, portrait(1, "Tea."), None))

    assert values["judge overall"][0] == 4.0 and np.isnan(values["judge overall"][1:]).all()
    assert "rank" not in values
    assert not any(name.startswith("judge") for name in measure_portraits(hang(tmp_path, None, None, None)))


def test_nobody_shown_is_no_error(tmp_path: Path) -> None:
    values = measure_portraits(hang(tmp_path, None, None, None))

    assert values["empty"].tolist() == [1.0] * 3
    assert np.isnan(values["words"]).all()


def test_scorers_agree_as_far_as_their_orders_do() -> None:
    one = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [1, 1, 2, 3]], dtype=np.float32)
    two = np.array([[2, 4, 6, 9], [4, 3, 2, 1], [5, 5, 7, 6]], dtype=np.float32)

    found = agreement(one, two)

    # Third: ranks 1.5 1.5 3 4 and 1.5 1.5 4 3; covariance 3.5 over variance 4.5.
    assert found.tolist() == pytest.approx([1.0, -1.0, 3.5 / 4.5], abs=1e-5)


def test_words_in_common_count_by_how_rare_they_are(tmp_path: Path) -> None:
    scores = WordScores([*TITLES, "red red tea", "the"]).score(["a red kite", "the", "nothing"])

    assert scores.shape == (3, 8)
    assert scores[0, 0] == pytest.approx(1.0, abs=1e-5)  # the same two words
    assert 0 < scores[0, 1] < 1 and scores[0, 2] == 0
    assert not scores[1].any() and not scores[2].any()  # a stop word, and a word that no item has
    hanging = hang(tmp_path, portrait(0, "red kite"), None, None)
    assert agreement(scores_of(hanging), WordScores(TITLES).score(["red kite"]))[0] > 0.5
