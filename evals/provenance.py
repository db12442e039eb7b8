"""What a result must say of where it came from: bytes of data, code, versions, machine."""

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import UnknownFormatError
from ..records import content_hash
from .dataset import Card
from .results import DataCard

PACKAGE = Path(__file__).parent.parent
_CODE = ("agents", "evals", "prompts", "tools")
_SHOWS_ONLY = ("bench_", "compare", "plots", "report")
"""Starts of names of modules that compute no result."""
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_hash() -> str:
    """Return a hash of all code and prompts a result may depend on."""
    here = PACKAGE
    paths = [path for folder in _CODE for path in (here / folder).rglob("*") if path.suffix in (".py", ".md")]
    paths = [path for path in [*paths, *here.glob("*.py")] if not path.name.startswith(_SHOWS_ONLY)]
    return content_hash(*((path.relative_to(here).as_posix(), path.read_bytes()) for path in sorted(paths)))


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
    """Return a hash of the file that a spec such as `mine.py::Newest` names; empty for others."""
    path = Path(spec.partition("::")[0])
    return next(iter(file_hashes(path).values())) if "::" in spec and path.is_file() else ""
