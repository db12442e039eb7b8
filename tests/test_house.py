"""The house: links, layers, the public list, and what an import costs."""

import ast
import importlib
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import limner

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "limner"
FOLDERS = ("agents", "distill", "evals", "prompts", "serve", "tools")
LONGEST = 400
LONGER = {
    "src/limner/errors.py": "one list of short classes, read as a list: a caller looks in one place",
    "src/limner/sections.py": "the fields of all settings, nearly all of it their documentation",
    "src/limner/sync.py": "one class: the twin of every verb, in the order of the verbs",
    "tools/chroma/chroma_shelf.py": "one class around one collection; what could go is a line",
    "tools/sql/sql_events.py": "half of it is the text of the statements that stand beside what runs them",
}
"""Modules that are longer, and why."""

HEAVY = {"torch", "litellm", "chromadb", "xllamacpp", "onnxruntime", "tokenizers", "sqlalchemy", "langgraph"}

# Set for the tests by `conftest.py`; a user has not set them.
SWITCHES = {"LITELLM_LOCAL_MODEL_COST_MAP", "HF_HUB_OFFLINE"}


def _modules() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield every module of the package with its dotted name, through the links."""
    for path in sorted(PACKAGE.glob("**/*.py")):
        yield path, ("limner", *path.relative_to(PACKAGE).with_suffix("").parts)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ("limner", folder, *path.relative_to(ROOT / folder).with_suffix("").parts)


def _foreign(source: str) -> list[str]:
    """Return absolute imports of the root folders, which only work by accident of the working folder."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append(node.module)
    return [name for name in found if name.partition(".")[0] in FOLDERS]


def test_the_package_links_to_exactly_the_root_folders() -> None:
    links = {path.name: os.readlink(path) for path in PACKAGE.iterdir() if path.is_symlink()}

    assert links == {folder: f"../../{folder}" for folder in FOLDERS}
    assert all((PACKAGE / folder).is_dir() for folder in FOLDERS)


def test_root_folders_and_tests_are_not_packages_of_their_own() -> None:
    inits = [path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("__init__.py")]

    assert inits == []


def _lint(root: Path) -> tuple[int, str]:
    """Check the contracts of `pyproject.toml` on the modules of a checkout."""
    script = Path(sys.executable).parent / "lint-imports"
    command = [str(script), "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    env = {**os.environ, "PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, env=env, cwd=root, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, re.sub(
        r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr
    )  # it colours without being asked


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all modules, links as they are."""
    folder = tmp_path_factory.mktemp("copied")
    for name in (*FOLDERS, "src"):
        keep = shutil.ignore_patterns("__pycache__", "*.jsonl", "*.jinja", "*.md", "*.js", "*.css")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=keep)
    return folder


def test_imports_point_one_way(copied: Path) -> None:
    status, told = _lint(copied)

    assert status == 0, told
    # Every module is looked at; one of a folder that is not named would be left out without a word.
    looked_at = int(re.findall(r"Analyzed (\d+) files", told)[0])
    assert looked_at >= sum(1 for _ in _modules())


@pytest.mark.parametrize(
    ("module", "source", "contract"),
    [
        ("tools/wrong.py", "from ..agents.state import State", "Imports point one way"),
        ("tools/sql/wrong.py", "from ...face import Limner", "Imports point one way"),
        ("agents/wrong.py", "from .. import Limner", "Imports point one way"),
        ("src/limner/records.py", "from .models import Profile", "Imports point one way"),
        ("src/limner/new.py", "", "Imports point one way"),
        (
            "distill/log/wrong.py",
            "def f():\n    from ...evals import runner",
            "Only the commands import evals",
        ),
        ("serve/wrong.py", "from ..evals.runner import plan", "Only the commands import evals"),
        ("evals/suites/wrong.py", "from ...distill.log import prepare", "What is measured does not import"),
    ],
)
def test_an_import_that_points_the_wrong_way_is_seen(
    copied: Path, module: str, source: str, contract: str
) -> None:
    path = copied / module
    before = path.read_text("utf-8") if path.exists() else None
    path.write_text(f"{source}\n{before or ''}")
    try:
        status, told = _lint(copied)
    finally:
        path.write_text(before) if before is not None else path.unlink()

    assert status == 1, told
    assert re.search(rf"^{contract}.* BROKEN$", told, re.MULTILINE), told


def test_a_module_that_is_longer_than_the_rest_has_a_reason() -> None:
    paths = {path.resolve() for path, _ in _modules()}
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}

    assert {path for path, length in lengths.items() if length > LONGEST} <= set(LONGER)
    assert all(lengths[path] < 2 * LONGEST for path in LONGER)


def test_nothing_imports_a_root_folder_by_its_bare_name() -> None:
    files = [path for path, _ in _modules()] + sorted((ROOT / "tests").rglob("*.py"))

    assert _foreign("import tools.chat\nfrom agents import graph\nfrom .tools import x") == [
        "tools.chat",
        "agents",
    ]
    assert [path for path in files if _foreign(path.read_text("utf-8"))] == []


def _offered(tree: ast.Module) -> dict[str, str | None]:
    """Return the public names of `limner/__init__.py` with the module each comes from."""
    names: dict[str, str | None] = {}
    blocks: list[Iterable[ast.stmt]] = [tree.body]
    blocks += [node.body for node in tree.body if isinstance(node, ast.If)]
    for node in (node for block in blocks for node in block):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names |= {alias.asname or alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = None
    return {name: module for name, module in names.items() if not name.startswith("_")}


def test_the_public_list_is_what_the_face_offers_to_programs_and_to_type_checkers() -> None:
    offered = _offered(ast.parse((PACKAGE / "__init__.py").read_text("utf-8")))
    listed: list[str] = list(getattr(limner, "__all__", []))

    assert sorted(name for name in listed if not name.startswith("__")) == sorted(offered)
    for name in listed:
        assert getattr(limner, name) is not None
    for name, module in offered.items():
        if module is not None:
            assert getattr(limner, name) is getattr(importlib.import_module(f"limner.{module}"), name)


def _loaded_by(statement: str) -> dict[str, list[str]]:
    """Run a statement in a new interpreter; return what it imported and which hosts it looked for."""
    script = f"""
import json, sys
calls = []
live = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: calls.append(event) if event in live else None)
try:
    {statement}
except SystemExit as end:
    assert not end.code, end.code
tops = sorted({{name.partition(".")[0] for name in sys.modules}})
print("\\n" + json.dumps({{"modules": tops, "calls": calls}}))
"""
    command = [sys.executable, "-c", script]
    bare = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    done = subprocess.run(command, env=bare, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def test_importing_limner_loads_no_heavy_package_and_calls_nobody() -> None:
    loaded = _loaded_by("import limner")

    assert "limner" in loaded["modules"]
    assert (HEAVY | {"pydantic", "numpy", "typer"}) & set(loaded["modules"]) == set()
    assert loaded["calls"] == []


def test_help_loads_no_heavy_package_and_calls_nobody() -> None:
    loaded = _loaded_by('sys.argv = ["limner", "--help"]; from limner.cli import main; main()')

    assert HEAVY & set(loaded["modules"]) == set()
    assert loaded["calls"] == []


def test_loading_litellm_calls_nobody() -> None:
    loaded = _loaded_by("from limner.tools.backends import load_litellm; load_litellm()")

    assert "litellm" in loaded["modules"]
    assert loaded["calls"] == []


def _requirements(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> None:
    """Collect into `seen` every installed distribution that `name` needs, itself included."""
    key = (name.lower().replace("_", "-"), extras)
    if key in seen:
        return
    seen.add(key)
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            _requirements(requirement.name, frozenset(requirement.extras), seen)


def test_the_default_install_needs_no_torch() -> None:
    seen: set[tuple[str, frozenset[str]]] = set()
    _requirements("limner", frozenset(), seen)
    needed = {name for name, _ in seen}

    assert {"litellm", "chromadb", "sqlalchemy"} <= needed
    assert {"torch", "transformers", "sentence-transformers", "tensorflow"} & needed == set()


def _third_party(source: str) -> set[str]:
    """Return the top-level names of other people's packages that a module imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"limner"}


def test_every_imported_package_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    declared = {Requirement(line).name.lower().replace("_", "-") for line in lines}
    owners = importlib.metadata.packages_distributions()

    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, _ in _modules()
        for name in _third_party(path.read_text("utf-8"))
        if not declared & {owner.lower().replace("_", "-") for owner in owners.get(name, [name])}
    }

    assert sorted(undeclared) == []
