"""SASRec: its loss, what it reads, and when it stops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from limner.errors import SettingsError
from limner.evals.splits import Past, Queries
from limner.evals.systems.sasrec import (
    SasRec,
    SasRecOptions,
    build_network,
    fill_up,
    hold_back,
    make,
    next_item_loss,
    read,
)
from limner.evals.workspace import Workspace

torch: Any = pytest.importorskip("torch")

PastOf = Callable[..., Past]
QueriesOf = Callable[..., Queries]

CYCLE = [[(start + step) % 6 for step in range(5)] for start in range(6)] * 5
TINY = SasRecOptions(dim=16, heads=2, dropout=0.0, length=8, batch=8, rate=0.01, epochs=8, patience=8)


def _array(*items: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(items, dtype=np.int64)


def test_a_cycle_is_learned(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = SasRec(TINY)

    system.fit(past_of(CYCLE, n_items=7))

    scores = system.score(queries_of([[0, 1], [4, 5], [2]]))
    assert scores.argmax(axis=1).tolist() == [2, 0, 3]
    assert scores.shape == (3, 7) and scores.dtype == np.float32


def test_a_step_moves_every_weight_that_was_read() -> None:
    torch.manual_seed(0)
    network = build_network(5, TINY)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}

    loss, _ = next_item_loss(network, [_array(0, 1, 2), _array(3, 4)], 5)
    loss.backward()
    torch.optim.SGD(network.parameters(), lr=1.0).step()

    moved = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert moved == set(before)
    # All but the filler and the places that no sequence was long enough for.
    assert not network["catalogue"].weight[5].any()
    assert torch.equal(network["places"].weight[2:], before["places.weight"][2:])


def test_loss_is_the_cross_entropy_over_the_catalogue_at_every_real_place() -> None:
    torch.manual_seed(0)
    network = build_network(5, TINY).eval()

    loss, places = next_item_loss(network, [_array(0, 1, 2), _array(3, 4)], 5)

    states = read(network, fill_up([_array(0, 1), _array(3)], 5)).detach().double().numpy()
    logits = states @ network["catalogue"].weight[:5].detach().double().numpy().T
    by_hand = [
        _cross_entropy(logits[0, 0], 1),
        _cross_entropy(logits[0, 1], 2),
        _cross_entropy(logits[1, 0], 4),
    ]
    assert places == 3
    assert loss.item() == pytest.approx(sum(by_hand) / 3, rel=1e-5)


def _cross_entropy(logits: np.ndarray[Any, np.dtype[np.float64]], right: int) -> float:
    return float(np.log(np.exp(logits).sum()) - logits[right])


def test_untrained_loss_is_that_of_a_guess() -> None:
    torch.manual_seed(0)
    network = build_network(50, TINY)
    torch.nn.init.zeros_(network["catalogue"].weight)

    loss, _ = next_item_loss(network, [_array(0, 1, 2)], 50)

    assert loss.item() == pytest.approx(np.log(50), rel=1e-5)


def test_the_state_after_an_item_does_not_see_later_ones() -> None:
    torch.manual_seed(0)
    network = build_network(9, TINY).eval()

    one, other = (read(network, fill_up([_array(1, last)], 9))[0].detach().numpy() for last in (2, 3))

    np.testing.assert_allclose(one[0], other[0], rtol=1e-5, atol=1e-6)
    assert np.abs(one[1] - other[1]).max() > 1e-3


def test_filling_up_changes_no_score(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = SasRec(TINY.model_copy(update={"epochs": 1}))
    system.fit(past_of(CYCLE, n_items=7))
    queries = queries_of([[0, 1], [0, 1, 2, 3, 4, 5, 0, 1], [], [5], list(range(6)) * 3])

    together = system.score(queries)

    alone = [system.score(queries.take(np.array([query])))[0] for query in range(5)]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
    assert not together[2].any()


def test_only_the_newest_items_are_read(past_of: PastOf, queries_of: QueriesOf) -> None:
    system = SasRec(TINY.model_copy(update={"epochs": 1, "length": 2}))
    system.fit(past_of(CYCLE, n_items=7))

    scores = system.score(queries_of([[0, 3, 1, 2], [1, 2]]))

    np.testing.assert_array_equal(scores[0], scores[1])


def test_the_same_seed_gives_the_same_scores_and_torch_is_left_as_it_was(
    past_of: PastOf, queries_of: QueriesOf
) -> None:
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    def scores(seed: int) -> Any:
        system = SasRec(SasRecOptions(dim=8, heads=1, epochs=1))
        system.fit(past_of(CYCLE, n_items=7, seed=seed))
        return system.score(queries_of([[0, 1]]))

    np.testing.assert_array_equal(scores(1), scores(1))
    assert (scores(1) != scores(2)).any()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_held_back_items_are_not_learned_from() -> None:
    sequences = [_array(user, user + 100, user + 200) for user in range(50)] + [_array(7), _array(8, 9)]

    taught, asked, answers = hold_back(sequences, 30, np.random.default_rng(0))

    # A tenth of the 50 that keep two items; a single item teaches nothing.
    assert len(asked) == len(answers) == 5
    assert not {int(item) for item in answers} & {int(item) for items in taught for item in items}
    assert [history.tolist() for history in asked] == [[item - 200, item - 100] for item in answers.tolist()]
    assert len(taught) == 51


def test_training_stops_when_held_back_items_gain_no_more(
    past_of: PastOf, workspace: Workspace, told: list[str]
) -> None:
    system = make({"dim": "8", "heads": "1", "rate": "1e-9", "epochs": "9", "patience": "2"}, workspace)

    system.fit(past_of(CYCLE, n_items=7))

    # A rate this small changes nothing: the first pass, then two without gain.
    assert len(told) == 3
    assert told[0].startswith("sasrec:dim=8,heads=1,rate=1e-09,epochs=9,patience=2: epoch 1, loss ")


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"^setting `sasrec:dim`: must be a multiple of `heads` \(3\), got 64"
    ):
        SasRec(SasRecOptions(dim=64, heads=3))
