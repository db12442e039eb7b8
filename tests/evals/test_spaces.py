"""Spaces in the harness: taught on the past alone, taken to other catalogues, read from files."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner import Item, Settings
from limner.errors import SettingsError, SpaceFileError, WrongSpaceError
from limner.evals.encoding import Encoding
from limner.evals.provenance import spec_hash
from limner.evals.registry import build
from limner.evals.splits import Past, Queries
from limner.evals.workspace import Workspace
from limner.tools.lessons import Lessons
from limner.tools.space import Side, Space, save_space

WORDS = ("red kite", "blue kite", "green tea", "black tea", "old moss", "new moss")
ITEMS = tuple(Item(item_id=f"i{number}", title=title) for number, title in enumerate(WORDS))


def turned(encoder: str, *, decay: float | None = 0.5) -> Space:
    """A space whose users point where the hashed vectors, moved by one axis, lie."""
    shift = np.roll(np.eye(64), 1, axis=1)
    return Space(encoder=encoder, user=Side.of(shift), item=Side.of(np.eye(64)), decay=decay, share=0.6)


@dataclass
class Teacher:
    """A teacher that remembers its lessons."""

    lessons: list[Lessons] = field(default_factory=list[Lessons])
    seeds: list[int] = field(default_factory=list[int])

    def __call__(self, lessons: Lessons, *, seed: int, notice: Callable[[str], None]) -> Space:
        """Return the same space whatever is taught."""
        self.lessons.append(lessons)
        self.seeds.append(seed)
        return turned(lessons.encoder)


@pytest.fixture
def at(tmp_path: Path) -> Workspace:
    return Workspace(folder=tmp_path, seed=0, settings=Settings(embedder="hashing", model="none"))


@pytest.fixture
def past_of(request: pytest.FixtureRequest) -> Callable[..., Past]:
    from limner.evals.dataset import Card, Events

    def make(sequences: list[list[int]], *, seed: int = 5) -> Past:
        item = np.array([number for items in sequences for number in items], dtype=np.int64)
        card = Card(
            name="tiny", source="made up", terms="none", users=len(sequences), items=len(ITEMS),
            events=len(item), clock="order", text_by_model=False,
        )  # fmt: skip
        events = Events(
            user=np.repeat(np.arange(len(sequences)), [len(items) for items in sequences]),
            item=item,
            at=np.array([place for items in sequences for place in range(len(items))], dtype=np.int64),
            rating=np.full(len(item), np.nan, dtype=np.float32),
        )
        ids = tuple(f"u{number}" for number in range(len(sequences)))
        return Past(card=card, items=ITEMS, user_ids=ids, events=events, as_of=None, seed=seed)

    return make


def asking(past: Past, history: list[int]) -> Queries:
    events = past.events.take(slice(0, 0))
    history_events = replace(
        events,
        user=np.zeros(len(history), dtype=np.int64),
        item=np.array(history, dtype=np.int64),
        at=np.arange(len(history)),
        rating=np.full(len(history), np.nan, dtype=np.float32),
    )
    return Queries(
        user=np.array([0]), as_of=np.array([99]), history=history_events, starts=np.array([0, len(history)])
    )


def test_a_space_is_taught_on_the_past_and_nothing_else(at: Workspace, past_of: Callable[..., Past]) -> None:
    teacher = Teacher()
    system: Any = build("history:form=decayed,space=fit", replace(at, teach=teacher))

    system.fit(past_of([[0, 1, 2], [3], []]))

    [lessons] = teacher.lessons
    assert [items.tolist() for items in lessons.sequences] == [[0, 1, 2], [3], []]
    assert lessons.encoder == "hashing-v1" and lessons.source == "tiny"
    assert np.array_equal(lessons.items, Encoding("hashing", at).encode_items(ITEMS))
    assert teacher.seeds == [5]
    assert system.name == "history:encoder=hashing,form=decayed,space=fit"
    assert system.chosen == {"space": turned("hashing-v1").name, "decay": 0.5, "share": 0.6}


def test_a_space_of_its_own_seed(at: Workspace, past_of: Callable[..., Past]) -> None:
    teacher = Teacher()
    build("history:space=fit,teaching_seed=3", replace(at, teach=teacher)).fit(past_of([[0, 1]]))
    assert teacher.seeds == [3]


def test_items_and_users_are_scored_in_their_sides_of_the_space(
    at: Workspace, past_of: Callable[..., Past]
) -> None:
    space, past = turned("hashing-v1"), past_of([[0, 1]])
    systems: dict[str, Any] = {
        form: build(f"history:form={form},space=fit", replace(at, teach=Teacher()))
        for form in ("late", "decayed")
    }
    for system in systems.values():
        system.fit(past)
    matrix = Encoding("hashing", at).encode_items(ITEMS)
    mean = matrix[2] + 0.5 * matrix[0]  # item 2 is the newest, and 0.5 the decay that was learned

    found = systems["decayed"].score(asking(past, [0, 2]))[0]

    expected = space.items(matrix) @ space.users(mean / np.linalg.norm(mean))
    assert np.allclose(found, expected, atol=1e-6)
    # One item alone is its own soft maximum.
    assert np.allclose(
        systems["late"].score(asking(past, [2]))[0], space.items(matrix) @ space.users(matrix[2]), atol=1e-6
    )


def test_what_was_learned_stays_on_a_catalogue_without_events(
    at: Workspace, past_of: Callable[..., Past]
) -> None:
    teacher = Teacher()
    system: Any = build("history:space=fit", replace(at, teach=teacher))
    system.fit(past_of([[0, 1]]))
    learned = system.chosen

    system.fit(past_of([]))

    assert len(teacher.lessons) == 1
    assert system.chosen == learned


def test_a_file_is_named_by_its_content_and_decides_the_result(
    at: Workspace, tmp_path: Path, past_of: Callable[..., Past]
) -> None:
    path = tmp_path / "a.space"
    save_space(turned("hashing-v1"), path)
    before = spec_hash(f"history:space={path} + seqknn")
    system: Any = build(f"history:space={path}", at)

    system.fit(past_of([[0, 1]]))

    assert system.name == f"history:encoder=hashing,space={turned('hashing-v1').name}"
    save_space(turned("hashing-v1", decay=0.9), path)
    assert spec_hash(f"history:space={path} + seqknn") != before != ""


def test_what_cannot_be_is_refused_when_the_system_is_made(at: Workspace, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs a teacher"):
        build("history:space=fit", at)
    with pytest.raises(SpaceFileError, match=r"none\.space"):
        build("profile:space=none.space", at)
    save_space(turned("minilm-1"), tmp_path / "b.space")
    with pytest.raises(WrongSpaceError, match="minilm-1"):
        build(f"history-profile:space={tmp_path / 'b.space'}", at)


def test_portraits_teach_from_before_the_last_moment_of_the_past(
    at: Workspace, past_of: Callable[..., Past]
) -> None:
    teacher = Teacher()
    past = past_of([[0, 1, 3, 2], [2, 3, 5, 1], [4, 5]])
    system: Any = build("profile:space=fit,sitters=9", replace(at, teach=teacher))

    system.fit(past)

    [lessons] = teacher.lessons
    assert sorted(each.sequence for each in lessons.portraits) == [0, 1]  # the third has too short a past
    assert {each.cut for each in lessons.portraits} == {3}
    told = system.portraits.texts_seen(replace(asking(past, [0]), as_of=np.array([3])))
    assert "kite" in told[0] and "green" not in told[0]  # the last item, green tea, came after
