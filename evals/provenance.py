"""What a result must say of where it came from: bytes of data, code, versions, machine."""

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ..errors import UnknownFormatError
from ..records import content_hash
from ..tools.checksums import sha256_of
from .dataset import Card
from .registry import JOINT
from .results import DataCard

PACKAGE = Path(__file__).parent.parent
_CODE = ("agents", "distill/space", "evals", "prompts", "tools")
_WRITTEN = (".py", ".md", ".toml")
"""Suffixes of code, prompts and their tables."""

_SHOWS_ONLY = ("evals/bench/", "evals/compare.py", "evals/report/")
"""Starts of paths of modules that compute no result."""

_STACK = ("limner", "litellm", "langgraph", "chromadb", "sqlalchemy", "pydantic", "openai")
"""What model calls pass through."""

_LIBRARIES = (
    "numpy",
    "scipy",
    "implicit",
    "cornac",
    "bm25s",
    "torch",
    "onnxruntime",
    "xllamacpp",
    "inspect-ai",
)


def data_card(folder: Path, card: Card) -> DataCard:
    """Return a card with the hashes of the files it was read from.

    Raises:
        UnknownFormatError: There is no such file or folder.
    """
    files = file_hashes(folder)
    return DataCard(card=card, content=content_hash(*sorted(files.items())), files=files)


def file_hashes(source: Path) -> Mapping[str, str]:
    """Return the sha256 of a file, or of each file of a folder, by name.

    Raises:
        UnknownFormatError: There is no such file or folder.
    """
    if not source.exists():
        raise UnknownFormatError(str(source), "does not exist; give a folder with events and items")
    paths = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    root = source.parent if source.is_file() else source
    found: dict[str, str] = {}
    for path in paths:
        facts = path.stat()
        found[path.relative_to(root).as_posix()] = _sha256(path, facts.st_size, facts.st_mtime_ns)
    return found


@cache
def _sha256(path: Path, size: int, changed: int) -> str:
    """Hash a file once for each state it was in."""
    del size, changed
    return sha256_of(path)


@cache
def code_hash() -> str:
    """Return a hash of all code and prompts a result may depend on."""
    paths = [path for folder in _CODE for path in (PACKAGE / folder).rglob("*") if path.suffix in _WRITTEN]
    named = {path.relative_to(PACKAGE).as_posix(): path for path in [*paths, *PACKAGE.glob("*.py")]}
    return content_hash(
        *(
            (name, path.read_bytes())
            for name, path in sorted(named.items())
            if not name.startswith(_SHOWS_ONLY)
        )
    )


@cache
def versions() -> Mapping[str, str]:
    """Return versions of what computed a result; a library that is not installed is absent."""
    from .. import __version__

    found = {"limner": __version__, "code": code_hash(), "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    revision = _revision()
    return found | ({"revision": revision} if revision else {})


def _revision() -> str | None:
    """Return the commit of a checkout, with `-dirty` if something is changed; absent without one."""
    home = Path(__file__).resolve().parent.parent
    if not (home / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=home,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def spec_hash(spec: str) -> str:
    """Return a hash of the files that a spec names, systems of one's own and spaces; empty if there are none.

    A file that such a file imports is not looked at.
    """
    parts = JOINT.split(spec.strip())
    files = [path for part in parts for path in (_own_file(part), _space_file(part)) if path is not None]
    return content_hash(*(sorted(file_hashes(path).items()) for path in files)) if files else ""


def _own_file(part: str) -> Path | None:
    """Return the file of `mine.py::Newest` or `package.module::Newest`; `None` for a system that has a name."""
    place, found, _ = part.partition("::")
    if not found or "=" in place:
        return None
    if place.endswith(".py"):
        return Path(place) if Path(place).is_file() else None
    try:
        module = find_spec(place)
    except (ImportError, ValueError):  # said when the system is made
        return None
    return Path(module.origin) if module and module.origin and Path(module.origin).is_file() else None


def _space_file(part: str) -> Path | None:
    """Return the file of `history:space=games.space`; `None` where there is none."""
    pairs = (pair.partition("=") for pair in part.partition(":")[2].split(","))
    named = next((value.strip() for name, _, value in pairs if name.strip() == "space"), "")
    return Path(named) if named and Path(named).is_file() else None


def machine_facts() -> dict[str, str]:
    """Return what a reader needs to judge the numbers: cores, memory, versions."""
    facts = {"cores": str(os.cpu_count()), "system": platform.system(), "machine": platform.machine()}
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        facts["memory"] = f"{memory / 2**30:.0f} GiB"
    return facts | {"python": platform.python_version()} | {name: version(name) for name in _STACK}
