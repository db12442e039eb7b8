"""The commands of privacy, and the examples of its guide."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner import LimnerSync
from limner.cli import app
from limner.settings import load_settings


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ada has two events and a portrait, Bo one event."""
    for name, value in {"MODEL": "none", "EMBEDDER": "hashing", "STORE": str(tmp_path / "store")}.items():
        monkeypatch.setenv(f"LIMNER_{name}", value)
    with LimnerSync(load_settings()) as limner:
        limner.add_items(
            {"item_id": item, "title": f"Old {item}", "tags": [item]} for item in ("maps", "lamps")
        )
        limner.record("ada", [{"item_id": "maps", "kind": "view", "at": "2026-01-05", "event_id": "e1"}])
        limner.record("ada", [{"item_id": "lamps", "kind": "view", "at": "2026-01-06"}])
        limner.record("bo", [{"item_id": "maps", "kind": "view", "at": "2026-01-05"}])
        limner.profile("ada")
    return tmp_path / "store"


def command(*args: str, typed: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(app, args, input=typed)
    return done.exit_code, done.output


def document(*args: str) -> Any:
    code, told = command(*args, "--json")
    assert code == 0, told
    return json.loads(told)


def test_forget_asks_first_and_a_no_keeps_everything(store: Path) -> None:
    code, told = command("forget", "ada", typed="n\n")

    assert code == 1
    assert "Forget user 'ada'? This cannot be undone." in told
    assert document("forget", "ada", "--dry-run")["removed"]["interactions"] == 2


@pytest.mark.parametrize(
    ("named", "gone"),
    [
        (("ada",), 2),
        (("ada", "--item", "maps"), 1),
        (("ada", "--event", "e1"), 1),
        (("--item", "maps"), 2),
        (("--older-than", "1h"), 3),
        (("--everything",), 3),
    ],
)
def test_forget_prints_a_receipt(store: Path, named: tuple[str, ...], gone: int) -> None:
    receipt = document("forget", *named, "--yes")

    assert (receipt["removed"]["interactions"], receipt["finished"]) == (gone, True)
    assert document("forget", *named, "--yes")["removed"] == {}


def test_what_is_not_held_is_named_as_it_was_asked_for_and_nobody_seems_forgotten(store: Path) -> None:
    code, told = command("forget", "ada", "--item", "mapps", typed="n\n")

    words = " ".join(told.split())
    assert code == 1
    assert "Nothing is held of what user 'ada' did with item 'mapps'; are the ids spelt right?" in words
    assert "Mark what user 'ada' did with item 'mapps' as forgotten all the same" in words
    assert "Forget user" not in words
    assert "would stay: tombstones" in words
    assert "groups" not in words
    assert document("forget", "ada", "--dry-run")["removed"]["interactions"] == 2


def test_what_user_and_item_are_asked_for_is_said_before_and_after(store: Path) -> None:
    code, told = command("forget", "ada", "--item", "maps", typed="y\n")

    words = " ".join(told.split())
    assert code == 0
    assert "Forget what user 'ada' did with item 'maps'? This cannot be undone." in words
    assert words.count("would stay: copies elsewhere") == words.count(" stays: copies elsewhere") == 1
    assert document("forget", "ada", "--dry-run")["removed"]["interactions"] == 1


def test_what_is_left_for_later_is_resumed(store: Path) -> None:
    assert document("forget", "ada", "--yes", "--later")["finished"] is False
    assert document("forget", "--resume") == {"finished": 1}
    assert document("forget", "--resume") == {"finished": 0}


@pytest.mark.parametrize(
    "args",
    [
        ("forget",),
        ("forget", "ada", "--everything", "--yes"),
        ("forget", "--event", "e1", "--yes"),
        ("forget", "ada", "--item", "i", "--event", "e", "--yes"),
        ("forget", "--older-than", "soon", "--yes"),
        ("forget", "ada"),
    ],
)
def test_a_forget_that_cannot_be_meant_is_a_typed_error(store: Path, args: tuple[str, ...]) -> None:
    code, told = command(*args, "--json")

    assert code == 1
    assert '"code": "input"' in told


def test_an_import_says_what_stays_out(store: Path, tmp_path: Path) -> None:
    row = {"user_id": "ada", "item_id": "maps", "kind": "view", "at": "2026-01-05", "event_id": "e1"}
    (tmp_path / "old.jsonl").write_text(json.dumps(row) + "\n")
    document("forget", "ada", "--yes")

    [report] = document("import", str(tmp_path / "old.jsonl"))

    assert (report["added"], report["repeated"], report["forgotten"]) == (0, 0, 1)
    assert "left out" in command("import", str(tmp_path / "old.jsonl"))[1]


def test_correct_prints_what_is_left_of_the_portrait(store: Path) -> None:
    before = document("show", "ada")["claims"]

    after = document("correct", "ada", "0", "--remove")

    assert [claim["text"] for claim in after["claims"]] == [claim["text"] for claim in before[1:]]


def test_export_user_writes_what_the_verb_returns(store: Path, tmp_path: Path) -> None:
    told = document("export", "user", "ada", "--out", str(tmp_path / "ada.json"))
    with LimnerSync(load_settings()) as limner:
        held = limner.export_user("ada")

    written = json.loads((tmp_path / "ada.json").read_text("utf-8"))
    assert {**written, "at": ""} == {**held, "at": ""}
    assert told["rows"]["interactions"] == 2
    assert command("export", "user", "nobody", "--out", str(tmp_path / "no.json"))[0] == 1
    assert not (tmp_path / "no.json").exists()


def test_the_examples_of_the_guide_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (root / "docs" / "privacy.md").read_text("utf-8")

    for example in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        exec(compile(example, "privacy.md", "exec"), {})  # noqa: S102  # our own text

    told = capsys.readouterr().out
    assert "'interactions': 1" in told
    assert "2 ('Enjoys chamber music.',)" in told
