"""What `limner --version` says: which Limner, on what, with what."""

import importlib.metadata
import json
import platform
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .. import __version__


def build_facts() -> dict[str, str | list[str] | None]:
    """Return what a report of a bug should say of the installation.

    `commit` is that of a checkout, or the one that was installed from; absent if nobody noted it.
    """
    from ..tools.sql.sql_migrate import head_revision

    there, missing = _extras()
    return {
        "version": __version__,
        "commit": _commit(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{sys.platform} {platform.machine()}",
        "schema": head_revision(),
        "extras": there,
        "missing_extras": missing,
    }


def told(*, as_json: bool) -> str:
    """Return the facts as lines, or as one JSON document."""
    facts = build_facts()
    if as_json:
        return json.dumps(facts, indent=2)
    lines = [f"limner {facts.pop('version')}"]
    for name, fact in facts.items():
        words = ", ".join(fact) if isinstance(fact, list) else fact
        lines.append(
            f"  {name.replace('_', ' ')}: {words or 'unknown' if name == 'commit' else words or 'none'}"
        )
    return "\n".join(lines)


def _extras() -> tuple[list[str], list[str]]:
    """Return the extras of which everything is installed, and the others."""
    needed: dict[str, list[Requirement]] = {}
    lines = [Requirement(line) for line in importlib.metadata.requires("limner") or []]
    for extra in importlib.metadata.metadata("limner").get_all("Provides-Extra") or []:
        needed[extra] = [line for line in lines if line.marker and line.marker.evaluate({"extra": extra})]
    installed = {canonicalize_name(found.name) for found in importlib.metadata.distributions() if found.name}
    there = [
        name
        for name, all_of in needed.items()
        if {canonicalize_name(one.name) for one in all_of} <= installed
    ]
    return sorted(there), sorted(needed.keys() - set(there))


def _commit() -> str | None:
    """Return the commit of the checkout, or the one that pip noted; never asks git, which may not be there."""
    checkout = Path(__file__).resolve().parents[3] / ".git"
    if (checkout / "HEAD").is_file():
        return head_of(checkout)
    noted = importlib.metadata.distribution("limner").read_text("direct_url.json")
    found: dict[str, object] = json.loads(noted).get("vcs_info", {}) if noted else {}
    commit = found.get("commit_id")
    return commit if isinstance(commit, str) else None


def head_of(folder: Path) -> str | None:
    """Return the commit that a folder `.git` stands at; `None` before the first."""
    head = (folder / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    if (folder / name).is_file():
        return (folder / name).read_text("utf-8").strip()
    packed = folder / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)
