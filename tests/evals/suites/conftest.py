"""Small data sets of interactions and chats, and a workspace, for suites run from end to end."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from limner.evals.suite import Task
from limner.evals.workspace import Workspace
from limner.sections import ChatSettings, DraftingSettings
from limner.settings import Settings

Rows = Sequence[dict[str, Any]]
MakeTask = Callable[..., Task]

TOPICS = ("food", "travel")
LIKES = ("tea", "trains", "snow", "jazz", "moss", "kites", "soup", "clay")


def write_rows(path: Path, rows: Rows) -> None:
    """Write gzipped JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def shop(tmp_path: Path, lamps: tuple[str, ...]) -> Path:
    """Eight users of twelve items; each user rates six, and everybody's last item is new to them."""
    folder = tmp_path / "shop"
    write_rows(
        folder / "items.jsonl.gz",
        [{"item_id": f"B0{ix}", "title": title} for ix, title in enumerate(lamps)],
    )
    events = [
        {
            "user_id": f"u{user}",
            "item_id": f"B0{(user + 2 * step) % 12}",
            "timestamp": 1_600_000_000 + 86_400 * (7 * step + user),
            "rating": float(1 + (user + step) % 5),
            "text": f"a fine light for step {step}",
        }
        for user in range(8)
        for step in range(6)
    ]
    write_rows(folder / "interactions.jsonl.gz", events)
    return folder


@pytest.fixture
def advice(tmp_path: Path) -> Path:
    """PrefEval's files with eight invented preferences; the right answer names what the person likes."""
    folder = tmp_path / "prefeval"
    questions: list[dict[str, Any]] = []
    personas: list[dict[str, Any]] = []
    choices: list[dict[str, Any]] = []
    explicit: list[dict[str, Any]] = []
    for ix, like in enumerate(LIKES):
        key = {
            "topic": TOPICS[ix % 2],
            "index": ix,
            "preference": f"I only care for {like}.",
            "question": "What next?",
        }
        others = [f"Try {other}." for other in LIKES if other != like][:3]
        questions.append({**key, "classification_task_options": [f"Try {like}.", *others]})
        explicit.append(key)
        personas.append(
            {
                **key,
                "conversation": {
                    "1": {"user": f"By the way, {like} is what I love most.", "assistant": "Noted."},
                    "0": {"user": "Hello, I would like to find a pastime.", "assistant": "Fine."},
                },
            }
        )
        chat = {
            "query": "What is there?",
            "assistant_options": f"1. something else 2. {like}",
            "user_selection": f"The one with {like}.",
            "assistant_acknowledgment": "Good.",
        }
        choices.append({**key, "conversation": chat})
    write_rows(folder / "mcq.jsonl.gz", questions)
    write_rows(folder / "explicit.jsonl.gz", explicit)
    write_rows(folder / "implicit_persona.jsonl.gz", personas)
    write_rows(folder / "implicit_choice.jsonl.gz", choices)
    return folder


@pytest.fixture
def dialogues(tmp_path: Path) -> Path:
    """LoCoMo's file with one invented dialogue of two meetings."""
    folder = tmp_path / "locomo"
    folder.mkdir()
    dialogue: dict[str, Any] = {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ann",
            "speaker_b": "Bob",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ann", "dia_id": "D1:1", "text": "I bought a red canoe yesterday."},
                {"speaker": "Bob", "dia_id": "D1:2", "text": "Lovely. My garden is full of beans."},
            ],
            "session_2_date_time": "9:05 am on 10 June, 2023",
            "session_2": [
                {"speaker": "Bob", "dia_id": "D2:1", "text": "The beans are ripe and I cook all day."},
                {"speaker": "Ann", "dia_id": "D2:2", "text": "I paddled my canoe across the lake."},
            ],
        },
        "qa": [
            {"question": "What did Ann buy?", "answer": "a red canoe", "evidence": ["D1:1"], "category": 4},
            {"question": "In which year?", "answer": 2023, "evidence": ["D1:1"], "category": 2},
            {"question": "What did Bob buy?", "adversarial_answer": "a canoe", "evidence": [], "category": 5},
        ],
    }
    with gzip.open(folder / "locomo.json.gz", "wt", encoding="utf-8") as file:
        json.dump([dialogue], file)
    return folder


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    """Make a task on a data folder; the model is a server on loopback, the encoder its double."""

    def make(folder: Path, system: str, url: str = "", **given: Any) -> Task:
        settings = Settings(
            store=tmp_path / "unused",
            model="openai/loopback" if url else "none",
            embedder="hashing",
            chat=ChatSettings(api_base=url or None, attempts=1),
            drafting=DraftingSettings(style="free"),
        )
        workspace = Workspace(folder=tmp_path / "work", seed=0, settings=settings, notice=lambda line: None)
        return Task(system=system, data=(folder,), workspace=workspace, **given)

    return make
