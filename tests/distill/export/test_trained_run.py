"""What a run's folder says of its training set."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from limner.distill.export.export import style_learned
from limner.distill.export.trained_run import read_run
from limner.distill.log.prepare import Source, prepare
from limner.models import Rollout
from limner.records import Message


def _trained_on(run: Path, data: Path, sha256: str | None) -> None:
    """Write into a run's record where its training set lay, and its sum."""
    path = run / "run.json"
    record = json.loads(path.read_text())
    record["identity"]["settings"]["data"] = str(data)
    record["identity"] |= {} if sha256 is None else {"data_sha256": sha256}
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(("known", "kept"), [("its own", True), ("another", False), (None, True)])
def test_a_training_set_that_was_made_anew_since_is_not_the_runs(
    own_run: Path, tmp_path: Path, known: str | None, kept: bool
) -> None:
    data = tmp_path / "set"
    data.mkdir()
    manifest = b'{"notes": ["of today"]}'
    (data / "manifest.json").write_bytes(manifest)
    sums = {"its own": hashlib.sha256(manifest).hexdigest(), "another": "0" * 64}
    _trained_on(own_run, data, None if known is None else sums[known])

    found = read_run(own_run, None)

    assert found.data == (data if kept else None)
    assert found.manifest == ({"notes": ["of today"]} if kept else {})


@pytest.mark.parametrize(
    ("asked", "style"),
    [(["draft_plain"], "plain"), (["draft_profile"], None), (["draft_plain", "own"], None)],
)
async def test_the_style_is_that_of_the_prompts_the_run_learned_from(
    own_run: Path, tmp_path: Path, logged_draft: Callable[..., Rollout], asked: list[str], style: str | None
) -> None:
    drafts = [
        logged_draft(
            rollout_id=f"{user}-{prompt}-{ix}", user_id=user, prompt_id=prompt, completion=f"{ix}",
            messages=(Message(role="user", content=prompt),), rewards={"rank": ix / 2, "total": ix / 2},
        )
        for user in map(str, range(30))
        for prompt in asked
        for ix in range(2)
    ]  # fmt: skip

    async def log() -> AsyncIterator[list[Rollout]]:
        yield drafts

    await prepare(Source("log", log()), tmp_path / "set")
    _trained_on(own_run, tmp_path / "set", None)

    assert style_learned(read_run(own_run, None)) == style
