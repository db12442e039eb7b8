"""Help and version: every command shows how it is typed, and what runs is told."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from limner import __version__
from limner.cli import app
from limner.commands.version import build_facts
from limner.tools.sql.sql_migrate import head_revision


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with the words that call it."""
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands(get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_of_itself_with_options_that_it_has(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    told = " ".join(command.help.split())
    known = {name for parameter in command.params for name in parameter.opts} | {"--store", "--json"}

    examples = re.findall(r"Examples?: (.*)$", told)
    assert examples, told
    typed = [part.strip() for part in examples[0].split("·")]
    assert any(f"limner {' '.join(path)}" in line for line in typed), typed
    for line in typed:
        if f"limner {' '.join(path)}" in line:
            words = shlex.split(line.partition("limner ")[2])
            assert {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)} <= known, line


def test_version_tells_what_a_report_of_a_bug_needs() -> None:
    lines = CliRunner().invoke(app, ["--version"]).stdout.splitlines()
    facts = build_facts()

    assert lines[0] == f"limner {__version__}"
    assert {line.strip().partition(":")[0] for line in lines[1:]} == {
        name.replace("_", " ") for name in facts if name != "version"
    }
    assert facts["schema"] == head_revision()
    assert {"evals", "postgres", "encoders"} <= {*(facts["extras"] or ()), *(facts["missing_extras"] or ())}


def test_version_is_one_document_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["limner", "--version", "--json"])

    done = CliRunner().invoke(app, ["--version", "--json"])

    assert json.loads(done.stdout)["version"] == __version__


def test_the_commit_is_read_from_a_checkout(tmp_path: Path) -> None:
    from limner.commands.version import head_of

    (tmp_path / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")

    assert head_of(tmp_path) is None
    (tmp_path / "packed-refs").write_text("# pack-refs\n0123abcd refs/heads/main\n")
    assert head_of(tmp_path) == "0123abcd"
    (tmp_path / "refs" / "heads" / "main").write_text("4567cdef\n")
    assert head_of(tmp_path) == "4567cdef"
    (tmp_path / "HEAD").write_text("89abcdef\n")
    assert head_of(tmp_path) == "89abcdef"


def test_completion_is_offered() -> None:
    options = {name for parameter in get_command(app).params for name in parameter.opts}

    assert {"--install-completion", "--show-completion"} <= options
