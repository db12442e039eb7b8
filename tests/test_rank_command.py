"""Ranking through the face, its twin and the command line."""

import json
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from limner import Limner, LimnerSync, load_settings
from limner.cli import app
from limner.errors import InputError, ScorerFileError
from limner.settings import Settings
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = (
    "roses",
    "compost",
    "orchids",
    "comets",
    "nebulae",
    "planets",
    "dinghies",
    "knots",
    "harbours",
    "lamps",
)
ITEMS = [
    {"item_id": f"i{number}", "title": f"All of {word}", "tags": [word]} for number, word in enumerate(WORDS)
]
EVENTS = [
    {
        "user_id": user,
        "item_id": f"i{(start + step) % 10}",
        "rating": 5 - step % 2,
        "timestamp": 1_700_000_000 + step,
    }
    for start, user in enumerate(("ada", "ben", "cy"))
    for step in range(5)
]
CANDIDATES = [f"i{number}" for number in range(5, 10)]


def answer(request: ChatRequest) -> Scripted:
    """Write the same of everything."""
    assert request.json_schema is not None
    return _filled(request.json_schema["properties"])


def _filled(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _filled(part["properties"]) if part["type"] == "object" else "Likes roses and more."
        for name, part in properties.items()
    }


def limner(*args: str | Path, **options: Any) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], **options)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def settings_in(folder: Path, **groups: Any) -> Settings:
    return load_settings(store=folder, embedder="hashing", **groups)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with three users, read by the hashing encoder and drawn without a model."""
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    monkeypatch.setenv("LIMNER_MODEL", "none")
    store = tmp_path / "store"
    for name, rows in (("items", ITEMS), ("events", EVENTS)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        document(limner("import", path, "--store", store, "--json"))
    return store


async def test_the_face_ranks_and_streams_under_one_budget(store: Path) -> None:
    chat = ScriptedChat(answer)
    async with Limner(settings_in(store, model="x/y"), chat=chat) as opened:
        budget = opened.new_budget()
        async with aclosing(opened.rank_stream("ada", CANDIDATES, top=2, budget=budget)) as stream:
            found = [ranking async for ranking in stream]
        again = await opened.rank("ada", CANDIDATES, top=2, budget=budget)

    assert [ranking.final for ranking in found[-2:]] == [False, True]
    assert found[0].calls == 0
    assert budget.spent.calls == found[-1].calls == len(chat.requests) > 0
    assert again.calls == 0 and again.items == found[-1].items


async def test_an_estimate_through_the_face_asks_nobody(store: Path) -> None:
    chat = ScriptedChat(answer)
    async with Limner(settings_in(store, model="x/y"), chat=chat) as opened:
        said = await opened.estimate_rank("ada", CANDIDATES)

    assert chat.requests == []
    assert said.calls[1] == 2  # five candidates, four a call


async def test_a_scorer_that_is_no_file_is_refused(store: Path, tmp_path: Path) -> None:
    async with Limner(settings_in(store, pairing={"scorer": tmp_path / "none"})) as opened:
        with pytest.raises(ScorerFileError):
            await opened.rank("ada", CANDIDATES)


async def test_a_mode_that_nobody_knows_is_refused(store: Path) -> None:
    mode: Any = "both"
    async with Limner(settings_in(store)) as opened:
        with pytest.raises(InputError, match="`mode`"):
            await opened.rank("ada", CANDIDATES, mode=mode)


def test_the_twin_says_the_same(store: Path) -> None:
    with LimnerSync(settings_in(store)) as opened:
        whole = opened.rank("ada", CANDIDATES, as_of=NOW + timedelta(days=1))
        *_, last = opened.rank_stream("ada", CANDIDATES, as_of=NOW + timedelta(days=1))
        said = opened.estimate_rank("ada", CANDIDATES)

    assert whole == last
    assert said.calls == (0, 0)


def test_candidates_come_from_arguments_a_file_and_standard_input(store: Path, tmp_path: Path) -> None:
    lines = tmp_path / "items.txt"
    lines.write_text('i6\n\n{"item_id": "i7", "why": "new"}\n', encoding="utf-8")

    named = document(limner("rank", "ada", "i5", "--items", lines, "--store", store, "--json"))
    piped = document(limner("rank", "ada", "--items", "-", "--store", store, "--json", input="i5\ni6\ni7\n"))

    for ranking in (named, piped):
        assert sorted(item["item_id"] for item in ranking["items"]) == ["i5", "i6", "i7"]
        assert ranking["final"] is True


def test_a_table_names_items_by_their_titles(store: Path) -> None:
    result = limner("rank", "ada", *CANDIDATES, "--top", "2", "--store", store)

    assert result.exit_code == 0, result.stderr
    assert "All of knots" in result.stdout and "0 calls" in result.stdout
    assert "ranked without a language model" in result.stdout


def test_a_dry_run_says_what_it_would_cost(store: Path) -> None:
    said = document(limner("rank", "ada", *CANDIDATES, "--dry-run", "--store", store, "--json"))

    assert (said["candidates"], said["calls"]) == (5, [0, 0])
    assert "could change the top" in limner("rank", "ada", "i5", "--dry-run", "--store", store).stdout


@pytest.mark.parametrize(
    ("args", "given", "code"),
    [
        (["nobody", "i5"], "", "unknown_user"),
        (["ada", "no-such"], "", "unknown_item"),
        (["ada"], "", "input"),
        (["ada", "--items", "none.txt"], "", "input"),
        (["ada", "--items", "-"], '{"id": "i5"}\n', "bad_row"),
        (["ada", "--items", "-"], '{"item_id": 5}\n', "bad_row"),
    ],
)
def test_bad_input_ends_with_a_typed_error(store: Path, args: list[str], given: str, code: str) -> None:
    result = limner("rank", *args, "--store", store, "--json", input=given)

    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == code


def test_a_scorer_is_counted_taught_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    pytest.importorskip("sklearn", reason="the extra `train` is not installed")
    crowd = [
        {
            "user_id": f"u{user}",
            "item_id": f"i{(user + 3 * step) % 10}",
            "rating": 5 - step % 2,
            "timestamp": 1_700_000_000 + 10 * step,
        }
        for user in range(24)
        for step in range(4)
    ]
    path, file = tmp_path / "crowd.jsonl", tmp_path / "a.scorer"
    path.write_text("".join(json.dumps(row) + "\n" for row in crowd), encoding="utf-8")
    document(limner("import", path, "--store", store, "--json"))
    teach: list[str | Path] = [
        "distill",
        "scorer",
        "--out",
        file,
        "--store",
        store,
        "--negatives",
        "2",
        "--per-user",
        "1",
        "--json",
    ]

    counted = document(limner(*teach, "--dry-run"))
    assert not file.exists()
    assert (counted["users"], counted["logged_passes"], counted["chosen"]) == (27, 0, 27)
    taught = document(limner(*teach))
    monkeypatch.setenv("LIMNER_PAIRING__SCORER", str(file))
    ranking = document(limner("rank", "ada", *CANDIDATES, "--store", store, "--json"))

    assert ranking["scorer"] == taught["scorer"] != "prior"


def test_too_few_users_teach_no_scorer(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the extra `train` is not installed")
    result = limner("distill", "scorer", "--out", tmp_path / "a.scorer", "--store", store, "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "too_few_examples"
    assert not (tmp_path / "a.scorer").exists()
