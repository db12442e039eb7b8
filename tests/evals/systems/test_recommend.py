"""The product's fusion under the harness."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.ranking import Timed
from limner.evals.registry import build
from limner.evals.splits import Answers, Past, Problem, Queries
from limner.evals.systems.recommend import Recommend, RecommendOptions
from limner.evals.workspace import Workspace
from limner.records import Item
from limner.settings import load_settings

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]
AnswersOf = Callable[[Sequence[int]], Answers]

WORDS = ("rose", "fern", "moss", "comet", "planet", "nebula")


@pytest.fixture
def encoding(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace whose encoder needs no weights."""
    return replace(workspace, settings=load_settings(store=tmp_path, embedder="hashing"))


def opened(spec: str, workspace: Workspace) -> Recommend:
    """Build the system from a spec."""
    system = build(spec, workspace)
    assert isinstance(system, Recommend)
    return system


def _items() -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"A {WORDS[n % 6]} number {n}") for n in range(60)]


def _world(past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf) -> tuple[Past, Queries, Answers]:
    """Users walk from item to item plus one; those who are asked about go on."""
    sequences = [[(user + step) % 60 for step in range(5)] for user in range(60)]
    histories = [[(user + 7) % 60, (user + 8) % 60] for user in range(60)]
    answers = [(user + 9) % 60 for user in range(60)]
    return past_of(sequences, items=_items()), queries_of(histories), answers_of(answers)


def test_the_fusion_finds_what_sequences_tell_and_says_its_shares(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf, encoding: Workspace
) -> None:
    past, queries, answers = _world(past_of, queries_of, answers_of)
    system = opened("recommend", encoding)

    system.fit(past)
    system.tune(queries, answers)

    scores = system.score(queries)
    assert scores.shape == (60, 60) and scores.dtype == np.float32
    scores[np.repeat(np.arange(60), 2), queries.history.item] = -np.inf
    assert np.count_nonzero(scores.argmax(axis=1) == answers.item) > 54
    [shares] = system.shares.values()
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)


def test_what_is_left_out_has_no_share(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf, encoding: Workspace
) -> None:
    past, queries, answers = _world(past_of, queries_of, answers_of)
    system = opened("recommend:without=text+group", encoding)

    system.fit(past)
    system.tune(queries, answers)

    [shares] = system.shares.values()
    assert not {"text", "latest text", "group"} & set(shares)
    assert system.name == "recommend:without=text+group"


def test_a_cold_item_is_reached_by_text(past_of: PastOf, queries_of: QueriesOf, encoding: Workspace) -> None:
    items = [*_items(), Item(item_id="cold", title="A rose number 0"), Item(item_id="odd", title="Zinc")]
    past = past_of([[0, 6], [6, 12], [3, 9]] * 4, items=items)
    system = opened("recommend", encoding)

    system.fit(past)

    [scores] = system.score(queries_of([[0]]))
    assert scores[60] > scores[61]


def test_too_few_users_to_fit_on_are_said(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf, encoding: Workspace
) -> None:
    system = opened("recommend", encoding)
    system.fit(past_of([[0, 1, 2]] * 6, items=_items()))

    system.tune(queries_of([[0], [1]]), answers_of([1, 2]))

    assert "weights were not fitted" in system.caveats[0]


def test_any_system_can_be_one_more_signal(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf, encoding: Workspace
) -> None:
    past, queries, answers = _world(past_of, queries_of, answers_of)
    system = opened("recommend:extra=bigram,without=sequence", encoding)

    system.fit(past)
    system.tune(queries, answers)

    [shares] = system.shares.values()
    assert shares["bigram"] > 0.1 and "sequence" not in shares


def test_it_is_tuned_on_as_many_users_as_it_wants(
    past_of: PastOf, queries_of: QueriesOf, answers_of: AnswersOf, encoding: Workspace
) -> None:
    past, queries, answers = _world(past_of, queries_of, answers_of)
    many = Problem(queries=queries.take(np.arange(3000) % 60), answers=answers.take(np.arange(3000) % 60))
    seen: list[int] = []

    class Counting(Recommend):
        def tune(self, queries: Queries, answers: Answers) -> None:
            seen.append(len(queries))

    for users in (2500, 10_000):
        system = Counting(RecommendOptions(users=users), encoding)
        system.fit(past)
        Timed(system=system, notice=print).tune(many, seed=0)

    assert seen == [2500, 3000]


def test_an_unknown_signal_is_named(encoding: Workspace) -> None:
    with pytest.raises(SettingsError, match=r"'txt' is unknown; did you mean `text`"):
        build("recommend:without=txt", encoding)
