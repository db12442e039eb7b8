"""seqKNN against its recipe written out."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from limner.evals.dataset import FloatArray
from limner.evals.splits import Answers, Past, Queries
from limner.evals.systems.seqknn import SeqKnn
from limner.records import Item
from limner.tools.recommender.seqknn import SeqKnnOptions, attribute_vectors

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]
AnswersOf = Callable[[Sequence[int]], Answers]


def test_scores_of_a_tiny_past_are_those_worked_out_by_hand(past_of: PastOf, queries_of: QueriesOf) -> None:
    options = SeqKnnOptions(
        window=2, delta=0.5, backward=0.5, row_power=0.0, column_power=0.0, decay=0.1, attributes="none"
    )
    system = SeqKnn(options)

    system.fit(past_of([[0, 1, 2], [0, 1]], n_items=4))

    # Forward 0->1: 1 + 1, 1->2: 1, 0->2: 0.5; backward half of that.
    # After [0]: item 1 has 2, item 2 has 0.5. After [0, 1]: from 1: item 0 has 1, item 2 has 1; from 0, a tenth:
    # item 1 has 0.2, item 2 has 0.05.
    np.testing.assert_allclose(
        system.score(queries_of([[0], [0, 1], []])),
        [[0.0, 2.0, 0.5, 0.0], [1.0, 0.2, 1.05, 0.0], [0.0, 0.0, 0.0, 0.0]],
        rtol=1e-6,
    )


def test_frequent_items_are_held_back_by_the_powers(past_of: PastOf, queries_of: QueriesOf) -> None:
    options = SeqKnnOptions(window=1, row_power=0.5, column_power=1.0, attributes="none")
    system = SeqKnn(options)

    # Item 0 was chosen 4 times, item 1 once, item 2 twice; each followed 0 once.
    system.fit(past_of([[0, 1], [0, 2], [0], [0], [2]], n_items=3))

    # 1 / sqrt(4) / 1 and 1 / sqrt(4) / 2.
    np.testing.assert_allclose(system.score(queries_of([[0]]))[0, 1:], [0.5, 0.25], rtol=1e-6)


def test_attributes_reach_items_that_no_sequence_holds(past_of: PastOf, queries_of: QueriesOf) -> None:
    items = [
        Item(item_id=str(number), title=title) for number, title in enumerate(["red pen", "blue", "red"])
    ]
    system = SeqKnn(SeqKnnOptions(attribute_weight=0.5))

    system.fit(past_of([[0, 1]], items=items))

    # idf: red ln(3/2) = .4055, pen ln 3 = 1.0986, so "red pen" leans .4055 / 1.1710 = .3463 to "red".
    np.testing.assert_allclose(system.score(queries_of([[0]]))[0, 2], 0.5 * 0.3463, atol=1e-4)


def test_attribute_vectors_have_unit_norm_unless_nothing_sets_an_item_apart() -> None:
    items = [
        Item(item_id="1", title="The pen"),
        Item(item_id="2", title="the"),
        Item(item_id="3", title="The cup"),
    ]

    vectors = attribute_vectors(items)

    np.testing.assert_allclose(np.linalg.norm(vectors.toarray(), axis=1), [1, 0, 1], rtol=1e-6)


def test_one_sparse_product_equals_the_recipe_written_out(past_of: PastOf, queries_of: QueriesOf) -> None:
    rng = np.random.default_rng(3)
    words = ["ink", "red", "cup", "tea", "pot"]
    items = [
        Item(item_id=str(n), title=" ".join(rng.choice(words, 2)), brand=str(rng.choice(["A", "B"])))
        for n in range(12)
    ]
    past = past_of([rng.integers(0, 12, size=rng.integers(1, 9)).tolist() for _ in range(30)], items=items)
    queries = queries_of([rng.integers(0, 12, size=size).tolist() for size in (0, 1, 5, 14)])
    options = SeqKnnOptions()
    system = SeqKnn(options)

    system.fit(past)

    np.testing.assert_allclose(
        system.score(queries), _written_out(past, queries, options), rtol=1e-4, atol=1e-6
    )


def _written_out(past: Past, queries: Queries, options: SeqKnnOptions) -> FloatArray:
    """Loop over users, places and items."""
    pairs = np.zeros((past.n_items, past.n_items))
    for user in range(len(past.user_ids)):
        items = past.events.item[past.events.user == user]
        for place, earlier in enumerate(items):
            for distance, later in enumerate(items[place + 1 : place + 1 + options.window]):
                pairs[earlier, later] += options.delta**distance
                pairs[later, earlier] += options.delta**distance * options.backward
    degree = np.maximum(np.bincount(past.events.item, minlength=past.n_items), 1).astype(float)
    pairs *= degree[:, None] ** -options.row_power * degree**-options.column_power
    bags = [{*item.title.split(), f"{item.brand}!"} for item in past.items]
    idf = {word: np.log(len(bags) / sum(word in bag for bag in bags)) for bag in bags for word in bag}
    for one, left in enumerate(bags):
        for two, right in enumerate(bags):
            norms = [sum(idf[word] ** 2 for word in bag) ** 0.5 for bag in (left, right)]
            shared = sum(idf[word] ** 2 for word in left & right)
            pairs[one, two] += options.attribute_weight * shared / (norms[0] * norms[1] or 1)
    scores = np.zeros((len(queries), past.n_items), dtype=np.float32)
    for query in range(len(queries)):
        for age, item in enumerate(queries.items_of(query)[::-1][: options.last]):
            scores[query] += options.decay**age * pairs[item]
    return scores


@pytest.fixture
def far_pairs(past_of: PastOf) -> Past:
    """Item `n` leads to `n + 10` seven places on, with noise between them."""
    rng = np.random.default_rng(5)
    return past_of([[n, *rng.integers(20, 40, size=6).tolist(), n + 10] for n in range(10)] * 3, n_items=40)


def test_tune_opens_the_window_where_only_distant_pairs_tell(
    far_pairs: Past, queries_of: QueriesOf, answers_of: AnswersOf
) -> None:
    system = SeqKnn(SeqKnnOptions(attributes="none"))
    system.fit(far_pairs)
    queries = queries_of([[n] for n in range(10)])
    before = system.score(queries)[np.arange(10), np.arange(10, 20)]

    system.tune(queries, answers_of(range(10, 20)))

    after = system.score(queries)[np.arange(10), np.arange(10, 20)]
    assert not before.any()  # the window is 5
    assert (after > 0).all()
    assert system.chosen["window"] == 10


def test_tune_leaves_given_settings_alone(
    far_pairs: Past, queries_of: QueriesOf, answers_of: AnswersOf
) -> None:
    system = SeqKnn(SeqKnnOptions(window=1))
    system.fit(far_pairs)

    system.tune(queries_of([[n] for n in range(10)]), answers_of(range(10, 20)))

    assert system.chosen["window"] == 1
    assert system.name == "seqknn:window=1"


def test_a_given_setting_that_equals_the_default_is_another_system() -> None:
    assert [SeqKnn().name, SeqKnn(SeqKnnOptions(window=5)).name] == ["seqknn", "seqknn:window=5"]
