"""What is shipped: the wheel and the sdist hold the package's files and nothing else, and agree."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("agents", "distill", "evals", "prompts", "serve", "tools")
VERSION = "0.1.0"
DIST_INFO = f"limner-{VERSION}.dist-info"
ALSO_IN_SDIST = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "pyproject.toml",
    ".gitignore",
}


class Built(NamedTuple):
    """The two archives, and the wheel that the sdist builds."""

    sdist: Path
    wheel: Path
    wheel_of_sdist: Path


def _sources() -> list[str]:
    """Return the files of the checkout that git tracks or would track, links included."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted({name for name in listed if name and os.path.lexists(ROOT / name)})


def _package_files() -> set[str]:
    """Return every file of the package as it is named once installed."""
    inside = {name.removeprefix("src/") for name in _sources() if name.startswith("src/limner/")}
    inside -= {f"limner/{folder}" for folder in FOLDERS}  # the links
    return inside | {f"limner/{name}" for name in _sources() if name.partition("/")[0] in FOLDERS}


def _build(folder: Path, out: Path, *targets: str) -> list[Path]:
    """Build without a network and return what came out, by name."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    command += [word for target in targets for word in ("-t", target)]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return sorted(out.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build from a copy of the checkout's files, as a fresh clone would."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in _sources():
        target = folder / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    wheel, sdist = _build(folder / "clone", folder / "dist", "sdist", "wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (again,) = _build(folder / "unpacked" / f"limner-{VERSION}", folder / "again", "wheel")
    return Built(sdist, wheel, again)


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    meta = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}

    assert set(_contents(built.wheel)) == _package_files() | {f"{DIST_INFO}/{name}" for name in meta}


def test_the_wheel_holds_what_is_read_at_run_time(built: Built) -> None:
    names = set(_contents(built.wheel))

    assert {"limner/py.typed", "limner/models.py", "limner/tools/chat.py"} <= names
    pages = [f"limner/serve/gallery/*.{ending}" for ending in ("jinja", "css", "js", "svg")]
    for pattern in ("limner/prompts/*.md", "limner/sample/*", "limner/serve/*.jinja", *pages):
        assert any(Path(name).match(pattern) for name in names), pattern


def test_the_wheel_installs_one_name_at_top_level(built: Built) -> None:
    assert {name.partition("/")[0] for name in _contents(built.wheel)} == {"limner", DIST_INFO}


def test_the_wheel_carries_licence_command_and_python_version(built: Built) -> None:
    contents = _contents(built.wheel)
    metadata = contents[f"{DIST_INFO}/METADATA"].decode()

    assert contents[f"{DIST_INFO}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    assert b"limner = limner.cli:main" in contents[f"{DIST_INFO}/entry_points.txt"]


def test_the_sdist_holds_plain_files_of_the_package_and_its_tests(built: Built) -> None:
    tests = {name for name in _sources() if name.startswith("tests/")}
    expected = {f"src/{name}" for name in _package_files()} | tests | ALSO_IN_SDIST | {"PKG-INFO"}

    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()

    assert all(member.isfile() for member in members)  # a link would dangle where folders are not
    assert {member.name.partition("/")[2] for member in members} == expected


def test_the_wheel_of_the_sdist_is_the_same_wheel(built: Built) -> None:
    assert built.wheel_of_sdist.name == built.wheel.name
    assert _contents(built.wheel_of_sdist) == _contents(built.wheel)


def test_the_unpacked_wheel_finds_its_prompts(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(tmp_path / "site")
    prompts = sorted(Path(name).stem for name in _package_files() if Path(name).match("limner/prompts/*.md"))
    script = """
import sys
sys.path.insert(0, sys.argv[1])
import limner
from limner.tools.prompt import load_prompt
assert limner.__file__.startswith(sys.argv[1]), limner.__file__
print(*(load_prompt(name).id for name in sys.argv[2:]))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "site"), *prompts]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == prompts
    assert prompts
