"""Write `docs/licences.md`: every package that the wheel and its extras need, with its licence, by pip-licenses."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).resolve().parent.parent / "docs" / "licences.md"
HEAD = """# Licences of dependencies

Limner is under Apache-2.0. These packages are needed by it or by one of its extras, directly or through another; each is installed
from its own makers and none is part of Limner's wheel. `make licences` writes this page with pip-licenses from what is installed.

| package | licence | home |
|---|---|---|
"""
LONGEST = 60


def needed(name: str) -> set[str]:
    """Return the names of all installed packages that `name` needs with all of its extras, itself left out."""
    extras = importlib.metadata.metadata(name).get_all("Provides-Extra") or []
    found: set[str] = set()
    waiting = [(name, frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        try:
            lines = importlib.metadata.requires(here[0]) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform, or not installed
        found.add(canonicalize_name(here[0]))
        for line in map(Requirement, lines):
            if line.marker is None or any(line.marker.evaluate({"extra": extra}) for extra in (*here[1], "")):
                waiting.append((line.name, frozenset(line.extras)))
    return found - {canonicalize_name(name)}


def main() -> None:
    """List, sort, write."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed", "--with-urls"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    names = needed("limner")
    rows = [
        (entry["Name"], " ".join(entry["License"].split()), entry["URL"])
        for entry in listed
        if canonicalize_name(entry["Name"]) in names
    ]
    lines = [
        f"| {name} | {licence if len(licence) <= LONGEST else licence[:LONGEST] + '…'} "
        f"| {f'<{url}>' if url.startswith('http') else ''} |"
        for name, licence, url in sorted(rows, key=lambda row: row[0].casefold())
    ]
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{PAGE.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
