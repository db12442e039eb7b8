"""The commands `context` and `listen`, and chats through `import`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from limner.cli import app

CHAT = [
    {"role": "user", "content": "I never eat peanuts."},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": "Thanks!"},
]


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """A conversation in OpenAI's form."""
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(CHAT))
    return path


def limner(tmp_path: Path, *words: str) -> Result:
    """Run a command without a model."""
    env = {
        "LIMNER_STORE": str(tmp_path / "store"),
        "LIMNER_EMBEDDER": "hashing",
        "LIMNER_MODEL": "none",
        "COLUMNS": "200",
    }
    return CliRunner().invoke(app, list(words), env=env)


def test_what_was_heard_is_told(tmp_path: Path, chat: Path) -> None:
    heard = limner(tmp_path, "listen", "ada", str(chat))
    again = limner(tmp_path, "listen", "ada", str(chat), "--json")
    told = limner(tmp_path, "context", "ada", "--query", "peanuts", "--max-tokens", "120")

    assert heard.exit_code == told.exit_code == 0
    assert "2 turns recorded, 0 repeated, 1 observations, 0 taken back, 0 forgotten" in heard.stdout
    assert "  dislike eat peanuts: I never eat peanuts." in heard.stdout
    assert json.loads(again.stdout)["repeated"] == 2
    assert "I never eat peanuts." in told.stdout and "Thanks" not in told.stdout
    assert "no portrait yet" in told.stderr


@pytest.mark.parametrize("room", ["5", "0", "39"])
def test_too_little_room_is_the_same_typed_error_as_in_a_program(tmp_path: Path, room: str) -> None:
    told = limner(tmp_path, "context", "ada", "--max-tokens", room, "--json")

    assert told.exit_code == 1
    error = json.loads(told.stdout)["error"]
    assert (error["code"], "at least 40" in error["message"]) == ("input", True)


def test_a_model_that_cannot_be_reached_is_an_error_and_the_turns_stay(tmp_path: Path) -> None:
    chat = tmp_path / "two.json"
    chat.write_text(json.dumps([{"role": "user", "content": "My sister plays the cello in Leeds."}]))
    env = {"LIMNER_STORE": str(tmp_path / "store"), "LIMNER_EMBEDDER": "hashing", "COLUMNS": "200"}
    env |= {"LIMNER_CHAT__API_BASE": "http://127.0.0.1:9/v1", "LIMNER_CHAT__ATTEMPTS": "1"}
    words = ["listen", "ada", str(chat), "--model", "openai/some"]

    failed = CliRunner().invoke(app, words, env=env | {"OPENAI_API_KEY": "sk-wrong"})
    again = limner(tmp_path, "listen", "ada", str(chat), "--json")

    assert failed.exit_code == 1
    assert "model_unavailable: the turns are recorded" in failed.stderr
    assert "1 turns recorded" in failed.stdout
    assert json.loads(again.stdout)["repeated"] == 1


def test_a_context_is_one_json_document(tmp_path: Path) -> None:
    told = json.loads(limner(tmp_path, "context", "nobody", "--json").stdout)

    assert (told["known"], told["version"], told["text"]) == (False, None, told["stable"])


def test_chats_are_imported_for_the_user_who_is_named(tmp_path: Path, chat: Path) -> None:
    nameless = limner(tmp_path, "import", str(chat))
    imported = limner(tmp_path, "import", str(chat), "--user", "ada")
    heard = limner(tmp_path, "listen", "ada", str(chat), "--json")

    assert "3 rejected" in nameless.stdout
    assert "(messages): 3 rows, 2 events added" in imported.stdout
    # The turns are the same ones, and are read now.
    assert {name: json.loads(heard.stdout)[name] for name in ("recorded", "repeated")} == {
        "recorded": 0,
        "repeated": 2,
    }
    assert len(json.loads(heard.stdout)["cues"]) == 1


def test_a_file_without_chats_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"item_id": "a"}\n')

    failed = limner(tmp_path, "listen", "ada", str(path), "--json")

    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["error"]["code"] == "unknown_format"
