"""`limner distill prepare`, gone through as a person would."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from limner.cli import app
from limner.distill.log.export_rollouts import export_rollouts
from limner.distill.log.training_set import TrainingSet
from limner.models import Profile, Rollout
from limner.records import Interaction
from limner.tools.sql.sql_store import open_store
from limner.tools.store import Published

Draft = Callable[..., Rollout]


def limner(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["distill", "prepare", *map(str, args)])


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


async def _fill(folder: Path, drafts: list[Rollout]) -> None:
    """Record an event of every user but Zoe, who was forgotten, and log the drafts."""
    store = await open_store(folder=folder, database_url=None, tenant="default")
    try:
        users = {draft.user_id for draft in drafts} - {"zoe"}
        await store.record(
            [
                Interaction(user_id=user, item_id="i", kind="click", at=drafts[0].as_of)
                for user in sorted(users)
            ]
        )
        profile = Profile(
            user_id="ada",
            version=1,
            as_of=drafts[0].as_of,
            text="",
            language="en",
            source="model",
            critic_version="c1",
            fingerprint="f",
            created_at=drafts[0].at,
        )
        await store.publish(Published(profile, tuple(drafts)))
        await export_rollouts(store, folder / "log.parquet")
    finally:
        await store.aclose()


@pytest.fixture
def store(tmp_path: Path, draft: Draft) -> Path:
    """A store with two drafts of each of forty users on two days, two of Zoe, and a pair's."""
    day = timedelta(days=1)
    first = draft().as_of
    drafts = [
        draft(total, user_id=f"u{number:02}", as_of=first + number % 2 * day)
        for number in range(40)
        for total in (0.25, 0.75)
    ]
    drafts += [draft(0.1, user_id="zoe"), draft(0.9, user_id="zoe"), draft(0.5, item_id="i")]
    asyncio.run(_fill(tmp_path / "store", drafts))
    return tmp_path / "store"


def test_the_funnel_is_printed_and_the_set_can_be_opened(store: Path, tmp_path: Path) -> None:
    done = limner("--out", tmp_path / "set", "--store", store)

    assert done.exit_code == 0, done.stderr
    found = TrainingSet.open(tmp_path / "set")
    funnel = found.manifest.funnel
    assert (funnel.rollouts, funnel.dropped["forgotten"], funnel.dropped["pair"]) == (83, 2, 1)
    assert "dropped: forgotten" in done.stdout
    assert str(funnel.kept) in done.stdout
    assert {row.user_id for row in found.best("train")} <= {f"u{number:02}" for number in range(0, 40, 2)}


def test_options_reach_the_recipe(store: Path, tmp_path: Path) -> None:
    listed = tmp_path / "leave-out.txt"
    listed.write_text("u00\n\nu02\n")
    boundary = "2026-03-02T00:00:00+00:00"

    manifest = document(
        limner(
            "--out", tmp_path / "set", "--store", store, "--json", "--exclude", listed, "--boundary", boundary,
            "--validation", "0.3", "--test", "0.2", "--seed", "5", "--keep-early", "--epsilon", "0.1",
            "--min-margin", "0.6", "--temperature", "0.2", "--before", "0.6", "--critic", "c1",
        )
    )  # fmt: skip

    assert manifest["boundary"] == "2026-03-02T00:00:00Z"
    assert manifest["recipe"]["splitting"]["validation"] == 0.3
    assert manifest["recipe"]["splitting"]["seed"] == 5
    assert manifest["recipe"]["splitting"]["before"] == 0.6
    assert manifest["recipe"]["weighting"] == {"temperature": 0.2, "max_weight": 8.0, "min_margin": 0.6}
    assert (manifest["critic_version"], manifest["excluded_users"]) == ("c1", 2)
    assert manifest["funnel"]["dropped"]["excluded"] == 4
    assert manifest["funnel"]["dropped"]["before_boundary"] == 0
    rows = {file["path"]: file["rows"] for file in manifest["files"]}
    assert rows["train/preference.parquet"] == 0  # rewards are .5 apart, less than the margin
    assert rows["train/prompt_completion.parquet"] == manifest["funnel"]["splits"]["train"]["groups"] > 0


def test_a_dry_run_writes_nothing(store: Path, tmp_path: Path) -> None:
    manifest = document(limner("--out", tmp_path / "set", "--store", store, "--dry-run", "--json"))

    assert manifest["files"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_file_is_read_without_a_store_and_then_nobody_counts_as_forgotten(
    store: Path, tmp_path: Path
) -> None:
    log = store / "log.parquet"

    alone = document(limner("--out", tmp_path / "a", "--log", log, "--json"))
    checked = document(limner("--out", tmp_path / "b", "--log", log, "--store", store, "--json"))

    assert (alone["forgotten_checked"], alone["funnel"]["dropped"]["forgotten"]) == (False, 0)
    assert (checked["forgotten_checked"], checked["funnel"]["dropped"]["forgotten"]) == (True, 2)
    assert alone["log"] == checked["log"]
    assert not Path(".limner").exists()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--critic", "c9"), "critic_version", "critic 'c9' was asked for"),
        (("--boundary", "soon"), "settings", "`splitting.boundary`"),
        (("--test", "0.95"), "settings", "leave no user for train"),
        (("--exclude", "nowhere.txt"), "input", "--exclude nowhere.txt"),
        (("--log", "nowhere.parquet"), "unknown_format", "nowhere.parquet"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    store: Path, tmp_path: Path, options: tuple[str, str], code: str, words: str
) -> None:
    failed = limner("--out", tmp_path / "set", "--store", store, "--json", *options)

    assert failed.exit_code == 1
    error = json.loads(failed.stdout)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert not (tmp_path / "set").exists()


def test_an_old_log_is_graded_again_by_the_critic_of_the_settings(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")

    failed = limner("--out", tmp_path / "set", "--store", store, "--rescore", "--json")

    # These users have one event each, so nothing can be held back from them and nobody can be graded.
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["error"]["code"] == "empty_split"
    assert "not_rescored" in json.loads(failed.stdout)["error"]["message"]
