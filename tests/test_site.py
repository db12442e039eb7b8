"""The documentation site: every block of its own pages runs, every page is in it, and it needs nobody else's server."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner.cli import app

DOCS = Path(__file__).resolve().parent.parent / "docs"
OWN_TESTS = {"assistants", "durability", "evaluation", "groups", "http", "pairs", "privacy", "training"}
"""Pages whose examples have tests with more to say."""

GENERATED = {"commands"}
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.stem not in GENERATED)
RUN = [path for path in PAGES if path.stem not in OWN_TESTS and "```python" in path.read_text("utf-8")]
TYPED = [path for path in PAGES if ":class: run" in path.read_text("utf-8")]


def _name(path: Path) -> str:
    return str(path.relative_to(DOCS))


def _blocks(path: Path, opening: str) -> Iterator[str]:
    yield from re.findall(rf"^{opening}\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def without_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are compared by their letters, so that a page takes milliseconds."""
    monkeypatch.setenv("LIMNER_MODEL", "none")
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")


@pytest.mark.parametrize("page", RUN, ids=_name)
@pytest.mark.usefixtures("without_model")
def test_every_example_of_a_page_runs_alone(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, example in enumerate(_blocks(page, "```python")):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(example, f"{_name(page)}, example {number + 1}", "exec"), names)  # noqa: S102  # our own text


@pytest.mark.parametrize("page", TYPED, ids=_name)
@pytest.mark.usefixtures("without_model")
def test_the_commands_to_try_run_one_after_the_other(page: Path) -> None:
    Path("events.csv").write_text(
        "user_id,item_id,timestamp,rating,text\n"
        + "".join(f"ada,b{n},2026-01-0{n + 1},{n % 5 + 1},Slow and salty.\n" for n in range(6))
    )
    Path("items.csv").write_text("item_id,title\n" + "".join(f"b{n},Sea story {n}\n" for n in range(6)))
    typed = [
        line for block in _blocks(page, r"```\{code-block\} sh\n:class: run") for line in block.splitlines()
    ]

    assert typed
    for line in typed:
        program, *words = shlex.split(line)
        done = CliRunner().invoke(app, words)
        assert (program, done.exit_code) == ("limner", 0), f"{line}\n{done.output}"


def test_the_cookbook_has_recipes() -> None:
    assert len(re.findall(r"^## ", (DOCS / "cookbook.md").read_text("utf-8"), re.MULTILINE)) >= 10


@pytest.mark.parametrize("picture", sorted((DOCS / "pictures").glob("*.svg")), ids=_name)
def test_a_picture_says_in_words_what_it_shows_and_fetches_nothing(picture: Path) -> None:
    text = picture.read_text("utf-8")

    assert re.search(r"<desc id=\"d\">.{40,}</desc>", text)
    assert re.findall(r"(?:href|src|url)\s*[=(]\s*[\"']?(?!#)(\w[^\"')]*)", text) == []
    assert picture.name in "".join(page.read_text("utf-8") for page in PAGES)
