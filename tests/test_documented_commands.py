"""Commands and options that a page names are there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from limner.cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))))


def commands(text: str) -> Iterator[str]:
    """Yield what is typed behind `limner`, in blocks and in sentences."""
    for kind, block in re.findall(r"^```(\S*?(?: sh)?)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        joined = block.replace("\\\n", " ") if kind in ("", "{code-block} sh") else ""
        yield from re.findall(r"^(?:[A-Z_]+=\S+ )*limner ([^#\n]+)", joined, flags=re.MULTILINE)
    yield from (" ".join(words.split()) for words in re.findall(r"`limner ([a-z][^`]*)`", text))


def options(words: list[str]) -> set[str]:
    """Return the options of a command, and of the groups it is in; a suite that is left open stands for each."""
    found: Any = get_command(app)  # Typer's own type hides that it is a group
    known = {name for parameter in found.params for name in parameter.opts}
    for word in words:
        if word.isupper() or not hasattr(found, "commands"):
            break
        assert word in found.commands, f"there is no command {word!r}"
        found = found.commands[word]
        known |= {name for parameter in found.params for name in parameter.opts}
    return known


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_named_exists(page: str) -> None:
    for line in commands((ROOT / page).read_text(encoding="utf-8")):
        words = line.split()
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        verbs = [word for word in words if not word.startswith("-")]
        assert named <= options(verbs) | {"--help", "--version"} or "SUITE" in verbs, line


def test_pages_name_commands() -> None:
    named = {
        line.split()[0] for page in PAGES for line in commands((ROOT / page).read_text(encoding="utf-8"))
    }

    assert {"profile", "eval", "distill"} <= named


def test_every_verb_of_learning_is_in_its_guide() -> None:
    learning: Any = get_command(app)
    guide = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")

    named = {line.split()[1] for line in commands(guide) if line.startswith("distill ")}

    assert named == set(learning.commands["distill"].commands)


def test_a_command_that_is_not_there_is_seen() -> None:
    with pytest.raises(AssertionError, match="no command 'teach'"):
        options(["distill", "teach"])
    assert "--data" in options(["distill", "train"])
    assert "--system" not in options(["distill", "train"])
