"""Specs: what they build, and how a wrong one is explained."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.errors import MissingExtraError, SettingsError
from limner.evals.registry import TABLE, build, describe
from limner.evals.systems.fusion import Fusion
from limner.evals.systems.seqknn import SeqKnn
from limner.evals.workspace import Workspace
from limner.settings import Settings

OWN = """
from __future__ import annotations

import numpy as np


class Shift:
    def __init__(self, by: int = 1, label: str = "shift", deep: bool = False, free=None) -> None:
        self.name = f"{label}:{by + 1}:{deep}:{free}"

    def fit(self, past) -> None: ...

    def score(self, queries): ...


class Placed(Shift):
    def __init__(self, workspace) -> None:
        self.name = str(workspace.folder)


class Nothing:
    pass
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(folder=tmp_path, seed=0, settings=Settings(), notice=print)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def importable(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "limner_test_own"
    folder.mkdir()
    (folder / "__init__.py").write_text(OWN)
    sys.path.insert(0, str(tmp_path))
    yield folder.name
    sys.path.remove(str(tmp_path))
    sys.modules.pop(folder.name, None)


def test_a_spec_sets_options(workspace: Workspace) -> None:
    system = build(" seqknn:window=10, delta=0.7 ", workspace)

    assert isinstance(system, SeqKnn)
    assert (system.options.window, system.options.delta) == (10, 0.7)
    assert system.name == "seqknn:window=10,delta=0.7"


@pytest.mark.parametrize(
    "name", [name for name in TABLE if name not in ("als", "bpr", "itemknn", "sasrec", "bm25")]
)
def test_every_name_builds_a_system(name: str, workspace: Workspace) -> None:
    system = build(name, workspace)

    assert system.name.split(":")[0] == name
    assert callable(system.fit) and callable(system.score)


@pytest.mark.parametrize(
    "library, names", [("implicit", ["als", "bpr", "itemknn"]), ("torch", ["sasrec"]), ("bm25s", ["bm25"])]
)
def test_names_of_optional_libraries_build_systems(
    library: str, names: list[str], workspace: Workspace
) -> None:
    pytest.importorskip(library)

    assert [build(name, workspace).name for name in names] == names


@pytest.mark.parametrize("name", ["als", "bpr", "itemknn", "sasrec", "bm25"])
def test_a_missing_library_is_named_before_anything_is_fitted(
    name: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", find_nothing)

    with pytest.raises(MissingExtraError, match=r"needs `pip install 'limner\[evals\]'`$"):
        build(name, workspace)


def test_joined_specs_are_a_fusion_with_its_own_options(workspace: Workspace) -> None:
    system = build("fusion:by=history + popularity + bigram:popularity=0.5", workspace)

    assert isinstance(system, Fusion)
    assert [part.name for part in system.systems] == ["popularity", "bigram:popularity=0.5"]
    assert system.options.by == "history"


@pytest.mark.parametrize(
    "spec, message",
    [
        (
            "seqkn",
            r"setting `system`: 'seqkn' is unknown; did you mean `seqknn`\? The systems are popularity, ",
        ),
        (
            "seqknn:windw=3",
            r"setting `seqknn:windw`: is unknown; did you mean `window`\? The options are window, ",
        ),
        ("popularity:x=1", r"setting `popularity:x`: is unknown; there are no options"),
        ("seqknn:window=many", r"setting `seqknn:window`: Input should be a valid integer.*, got 'many'"),
        ("seqknn:window=0", r"setting `seqknn:window`: Input should be greater than 0, got '0'"),
        ("seqknn:window", r"setting `system`: 'window' in 'seqknn:window' is not `key=value`"),
        ("seqknn:window=3,window=4", r"setting `system`: 'window=4' in .* is given twice"),
        ("seqknn:=3", r"setting `system`: '=3' in 'seqknn:=3' is not `key=value`"),
        ("", r"setting `system`: '' must join two or more different systems with ` \+ `"),
        ("fusion", r"setting `system`: 'fusion' must join two or more"),
        ("bigram + bigram", r"setting `system`: 'bigram \+ bigram' must join two or more different systems"),
        (
            "fusion:by=age + bigram + popularity",
            r"setting `fusion:by`: Input should be 'none' or 'history', got 'age'",
        ),
    ],
)
def test_a_spec_that_cannot_be_is_explained(spec: str, message: str, workspace: Workspace) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        build(spec, workspace)


def test_an_own_class_in_a_file_is_given_what_its_constructor_declares(
    own: Path, workspace: Workspace
) -> None:
    system = build(f"{own}::Shift:by=4,label=5,deep=yes,free=a=b", workspace)

    assert system.name == "5:5:True:a=b"


def test_an_own_class_that_wants_it_is_given_the_workspace(own: Path, workspace: Workspace) -> None:
    assert build(f"{own}::Placed", workspace).name == str(workspace.folder)


def test_an_own_class_may_be_imported_and_fused(importable: str, workspace: Workspace) -> None:
    system = build(f"{importable}::Shift + popularity", workspace)

    assert system.name == "shift:2:False:None + popularity"


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "mine.py::Shfit",
            r"is unknown; did you mean `Shift`\? The classes of .*mine\.py are Shift, Placed, Nothing$",
        ),
        ("mine.py::Nothing", r"is no system; it lacks name, fit, score"),
        ("mine.py::Shift:bye=3", r"is unknown; did you mean `by`\? The options are by, label, deep, free$"),
        ("mine.py::Shift:by=x", r"Input should be a valid integer.*, got 'x'$"),
        ("yours.py::Shift", r"there is no such file$"),
        ("broken.py::Shift", r"cannot be imported: "),
    ],
)
def test_an_own_class_that_cannot_be_is_explained(
    name: str, message: str, own: Path, workspace: Workspace
) -> None:
    (own.parent / "broken.py").write_text("import limner_is_not_there\n")

    with pytest.raises(SettingsError, match=message):
        build(f"{own.parent}/{name}", workspace)


def test_a_module_that_is_not_there_is_named(workspace: Workspace) -> None:
    with pytest.raises(SettingsError, match=r"^setting `limner_absent`: cannot be imported: No module named"):
        build("limner_absent::Shift", workspace)


def test_a_class_that_needs_more_than_it_is_given_is_explained(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "needy.py").write_text("class Needy:\n    def __init__(self, size: int) -> None: ...\n")

    with pytest.raises(SettingsError, match=r"cannot be made: missing a required argument: 'size'"):
        build(f"{tmp_path}/needy.py::Needy", workspace)


def test_every_system_and_option_is_described() -> None:
    described = {each.name: each for each in describe()}

    assert set(described) == {*TABLE, "fusion"}
    assert all(each.help and all(option.help for option in each.options) for each in described.values())
    assert str(described["bigram"]).splitlines()[0] == "bigram  what came right after the last item"
    assert (
        str(described["bigram"]).splitlines()[1].startswith("  popularity=1e-06  Weight of an item's count")
    )
