"""The commands of groups, and the picture they draw."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.communities import Community, SharedInterest
from limner.errors import MissingExtraError
from limner.tools.grouping.group_plot import draw_groups

START = datetime(2026, 3, 1, tzinfo=UTC)
THEMES = ("gardening", "astronomy", "sailing")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Items of three themes, and eight users a theme who each had six of eight items."""
    items, events = tmp_path / "items.jsonl", tmp_path / "events.jsonl"
    names = [(theme, f"{theme}-{number}") for theme in THEMES for number in range(8)]
    items.write_text(
        "".join(
            json.dumps({"item_id": item, "title": f"{item} book", "categories": [theme]}) + "\n"
            for theme, item in names
        )
    )
    rows = [
        {
            "user_id": f"{theme}-fan-{member}",
            "item_id": f"{theme}-{(member + day) % 8}",
            "kind": "purchase",
            "at": (START + timedelta(days=day)).isoformat(),
        }
        for theme in THEMES
        for member in range(8)
        for day in range(6)
    ]
    events.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return items, events


def test_the_commands_refresh_show_and_list(files: tuple[Path, Path], tmp_path: Path) -> None:
    env = {
        "LIMNER_STORE": str(tmp_path / "store"),
        "LIMNER_EMBEDDER": "hashing",
        "LIMNER_MODEL": "none",
        "LIMNER_GROUPS__NEIGHBOURS": "6",
    }

    def invoke(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(words), env=env)
        assert result.exit_code == code, result.output
        return str(result.stdout)

    for path in files:
        invoke("import", str(path))
    assert "24 would be recomputed" in invoke("refresh", "--dry-run")
    invoke("groups", code=1)
    report = json.loads(invoke("refresh", "--size", "8", "--json"))
    assert report["groups"] == 3
    plain = invoke("refresh", "--size", "8")
    assert "0 recomputed" in plain and "3 groups, moved, 3 kept their id" in plain
    picture = tmp_path / "g.png"
    listed = json.loads(invoke("groups", "--json", "--limit", "2", "--plot", str(picture)))
    assert [each["size"] for each in listed] == [8, 8]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "lift" in invoke("groups", "--describe")
    assert listed[0]["group_id"] in invoke("groups")
    members = json.loads(invoke("groups", "--members", listed[0]["group_id"], "--json"))
    assert len(members) == 8
    invoke("groups", "--members", "nonsense", code=1)
    invoke("groups", "--plot", "groups.txt", code=1)
    shown = json.loads(invoke("group", "sailing-fan-0", "--json"))
    assert "sailing" in {interest["phrase"] for interest in shown["shared"]}
    assert "sailing" in invoke("group", "sailing-fan-0")


def _community() -> Community:
    interest = SharedInterest(phrase="maps", members=6, share=0.75, lift=2.5)
    return Community(
        group_id="g-1", name="maps", size=8, share=0.5, interests=(interest,), items=(), as_of=START
    )


@pytest.mark.parametrize(("suffix", "head"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_groups_are_drawn_to_a_file(tmp_path: Path, suffix: str, head: bytes, count: int) -> None:
    draw_groups([_community()] * count, tmp_path / f"groups{suffix}")

    assert (tmp_path / f"groups{suffix}").read_bytes().startswith(head)


def test_a_plot_without_matplotlib_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(MissingExtraError, match=r"limner\[evals\]"):
        draw_groups([], tmp_path / "groups.png")
