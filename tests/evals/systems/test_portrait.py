"""Systems that score by portraits, and by portraits and raw histories together."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from limner import Item, Profile, Settings
from limner.errors import SettingsError
from limner.evals.encoding import Encoding
from limner.evals.pooling import share_late, standardise
from limner.evals.portraits.painters import ZeroShotPainter
from limner.evals.splits import Past, Queries
from limner.evals.systems.history import make_history
from limner.evals.systems.history_portrait import make_history_profile
from limner.evals.systems.judged import make_judged
from limner.evals.systems.portrait import (
    Other,
    PortraitOptions,
    PortraitSystem,
    ZeroShotOptions,
    draw_other,
    make_profile,
    make_random_profile,
    make_zero_shot,
    profile_vectors,
)
from limner.evals.workspace import Workspace
from limner.tools.scripted import ScriptedChat

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

KINDS = ("maps", "boats")
ITEMS = tuple(
    Item(item_id=f"i{number}", title=f"Thing{number}", categories=(KINDS[number % 2],))
    for number in range(20)
)
HAD = [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]


@pytest.fixture
def at(workspace: Workspace) -> Workspace:
    return replace(workspace, settings=Settings(embedder="hashing"))


@pytest.fixture
def past(past_of: Callable[..., Past]) -> Past:
    return past_of(HAD, items=ITEMS)


@pytest.fixture
def queries(queries_of: Callable[..., Queries]) -> Queries:
    return queries_of([*HAD, []])


@pytest.mark.parametrize("form", ["late", "whole"])
def test_a_portrait_finds_more_of_what_the_user_likes(
    form: str, at: Workspace, past: Past, queries: Queries
) -> None:
    system = make_profile({"form": form}, at)
    system.fit(past)

    scores = system.score(queries.take(np.array([0, 1])))
    unseen = scores[:, 10:]

    assert scores.shape == (2, 20) and scores.dtype == np.float32
    assert unseen[0, 0::2].mean() > unseen[0, 1::2].mean()  # maps are even
    assert unseen[1, 1::2].mean() > unseen[1, 0::2].mean()


def test_a_user_without_history_scores_all_items_alike(at: Workspace, past_of: Callable[..., Past]) -> None:
    past = past_of([*HAD, []], items=ITEMS)
    none = np.empty(0, dtype=np.int64)
    queries = Queries(
        user=np.array([2]), as_of=np.array([5]), history=past.events.take(none), starts=np.array([0, 0])
    )
    for system in (make_profile({}, at), make_history_profile({}, at)):
        system.fit(past)
        assert len(set(system.score(queries)[0].tolist())) == 1


def test_a_random_portrait_is_somebody_elses(at: Workspace, past: Past, queries: Queries) -> None:
    system = make_random_profile({}, at)
    system.fit(past)

    unseen = system.score(queries.take(np.array([0, 1])))[:, 10:]

    assert unseen[0, 1::2].mean() > unseen[0, 0::2].mean()  # boats, though this user likes maps
    assert unseen[1, 0::2].mean() > unseen[1, 1::2].mean()


def test_somebody_else_is_drawn_from_who_had_done_something(past: Past, past_of: Callable[..., Past]) -> None:
    assert draw_other(past, 0, as_of=3) == Other(1, 3)
    assert draw_other(past, 0, as_of=99) == Other(1, 5)  # as far as the past goes, and no farther
    assert draw_other(past, 0, as_of=0) is None
    assert draw_other(past_of([[0]], items=ITEMS), 0, as_of=9) is None


def test_forms_of_history_and_portrait_mix_what_each_gives_alone(
    at: Workspace, past: Past, queries: Queries
) -> None:
    asked = queries.take(np.array([0, 1]))
    made = {
        "history": make_history({}, at),
        "profile": make_profile({}, at),
        "late": make_history_profile({"weight": "0.4"}, at),
        "sum": make_history_profile({"form": "sum", "weight": "0.4"}, at),
        "concat": make_history_profile({"form": "concat"}, at),
    }
    for system in made.values():
        system.fit(past)
    scores = {name: system.score(asked) for name, system in made.items()}

    late = share_late(scores["history"], scores["profile"], weight=0.4, temperature=0.05)
    summed = 0.6 * standardise(scores["history"]) + 0.4 * standardise(scores["profile"])
    assert np.allclose(scores["late"], late, atol=1e-6)
    assert np.allclose(scores["sum"], summed, atol=1e-5)
    texts = [
        f"{profile.text} {'. '.join(ITEMS[number].describe(100) for number in reversed(had))}"
        for profile, had in zip(make_profiles(at, past, asked), HAD, strict=True)
    ]
    encoding = Encoding("hashing", at)
    assert np.allclose(scores["concat"], encoding.encode(texts) @ encoding.encode_items(ITEMS).T, atol=1e-6)


def make_profiles(at: Workspace, past: Past, queries: Queries) -> list[Profile]:
    system = make_profile({}, at)
    assert isinstance(system, PortraitSystem)
    system.fit(past)
    return [profile for profile in system.profiles(queries) if profile]


def test_vectors_of_portraits_keep_their_places(at: Workspace, past: Past, queries: Queries) -> None:
    one, two = make_profiles(at, past, queries.take(np.array([0, 1])))
    encoding = Encoding("hashing", at)

    found = profile_vectors([None, one, two], encoding)

    assert [len(vectors) for vectors in found] == [0, len(one.likes) + 1, len(two.likes) + 1]
    assert np.array_equal(found[2][-1], encoding.encode([" ".join(two.likes)])[0])
    assert profile_vectors([], encoding) == []


def test_a_model_is_billed(at: Workspace, past: Past, queries: Queries) -> None:
    options = ZeroShotOptions(writer="scripted")
    chat = ScriptedChat(lambda request: "Likes maps and atlases.")
    system = PortraitSystem("zero-shot", options, at, ZeroShotPainter("scripted"), chat=chat)
    system.fit(past)

    system.score(queries.take(np.array([0, 1])))
    system.score(queries.take(np.array([1])))

    assert system.usage.calls == len(chat.requests) == 2


def test_a_writer_is_asked_as_often_as_the_options_say(at: Workspace, past: Past, queries: Queries) -> None:
    chosen = PortraitOptions(writer="scripted", drafts=2, rounds=0, style="plain")
    chat = ScriptedChat(lambda _: '{"likes": ["Keeps looking for maps of any kind."]}')
    system = PortraitSystem("profile", chosen, at, chosen.painter, chat=chat)
    system.fit(past)

    system.score(queries.take(np.array([0])))

    assert [request.purpose for request in chat.requests] == ["draft_plain", "draft_plain"]


def test_names_tell_settings_apart(at: Workspace) -> None:
    model = replace(at, settings=at.settings.model_copy(update={"model": "openai/x"}))

    assert (
        make_profile({"encoder": "sentence-transformers-x"}, at).name
        == "profile:encoder=sentence-transformers-x"
    )
    assert make_profile({"writer": "openai/y", "form": "whole"}, at).name == (
        "profile:encoder=hashing,writer=openai/y,form=whole"
    )
    assert make_zero_shot({}, model).name == "zero-shot:encoder=hashing,writer=openai/x"
    assert make_judged({"judge": "openai/z"}, model).name == (
        "judged:encoder=hashing,writer=openai/x,judge=openai/z"
    )
    with pytest.raises(SettingsError, match="form"):
        make_profile({"form": "mean"}, at)
    with pytest.raises(SettingsError, match="weight"):
        make_history_profile({"weight": "1"}, at)
