"""Raw histories under an encoder."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from limner import Item, Settings
from limner.agents.case import mean_vector
from limner.errors import SettingsError
from limner.evals.splits import Past, Queries
from limner.evals.systems.history import history_text, make_history
from limner.evals.workspace import Workspace
from limner.tools.late_interaction import score_items

ITEMS = tuple(
    Item(item_id=f"i{number}", title=title)
    for number, title in enumerate(("red kite", "blue kite", "green tea", "black tea", "old moss"))
)


@pytest.fixture
def at(workspace: Workspace) -> Workspace:
    return replace(workspace, settings=Settings(embedder="hashing"))


@pytest.mark.parametrize("form", ["last10", "mean", "decayed", "late"])
def test_what_shares_words_with_the_history_comes_first(
    form: str, at: Workspace, past_of: Callable[..., Past], queries_of: Callable[..., Queries]
) -> None:
    system = make_history({"form": form}, at)
    system.fit(past_of([[0], [2]], items=ITEMS))

    scores = system.score(queries_of([[0], [2], []]))

    assert scores.shape == (3, 5) and scores.dtype == np.float32
    assert set(np.argsort(-scores[0])[:2].tolist()) == {0, 1}
    assert set(np.argsort(-scores[1])[:2].tolist()) == {2, 3}
    assert scores[2].tolist() == [0.0] * 5


def test_forms_weigh_items_as_they_say(
    at: Workspace, past_of: Callable[..., Past], queries_of: Callable[..., Queries]
) -> None:
    past, queries = past_of([[0, 2]], items=ITEMS), queries_of([[4, 0, 2]])
    systems = {
        form: make_history({"form": form, "last": "2", "decay": "0.5"}, at)
        for form in ("mean", "decayed", "late")
    }
    for system in systems.values():
        system.fit(past)
    scores = {form: system.score(queries)[0] for form, system in systems.items()}

    from limner.evals.encoding import Encoding

    matrix = Encoding("hashing", at).encode_items(ITEMS)
    newest, older = matrix[2], matrix[0]  # item 4 is the third newest, and `last` is 2
    assert np.allclose(scores["mean"], matrix @ mean_vector(np.stack([newest, older])), atol=1e-6)
    assert np.allclose(scores["decayed"], matrix @ mean_vector(np.stack([newest, newest, older])), atol=1e-6)
    assert np.allclose(
        scores["late"], score_items(np.stack([newest, older]), matrix, temperature=0.05), atol=1e-6
    )


def test_one_text_begins_with_the_newest_item() -> None:
    assert history_text(ITEMS, np.array([2, 0]), 100) == "green tea. red kite"
    assert history_text(ITEMS, np.array([2, 0]), 5) == "green. red k"


def test_names_tell_settings_apart_and_wrong_ones_are_refused(at: Workspace) -> None:
    assert make_history({}, at).name == "history:encoder=hashing"
    assert make_history({"form": "mean", "last": "5"}, at).name == "history:encoder=hashing,form=mean,last=5"
    with pytest.raises(SettingsError, match="from"):
        make_history({"from": "mean"}, at)
    with pytest.raises(SettingsError, match="form"):
        make_history({"form": "sum"}, at)
