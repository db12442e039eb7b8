"""The README's promises, kept."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from limner.agents.graph import build_graph


@pytest.fixture
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_drawing_is_the_compiled_graphs_own(readme: str) -> None:
    [drawing] = blocks(readme, "mermaid")

    assert drawing.strip() == build_graph().get_graph().draw_mermaid().strip()


def test_make_targets_named_exist(readme: str, root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")

    for target in set(re.findall(r"\bmake (\w+)", readme)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_lead_somewhere(readme: str, root: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", readme):
        assert (root / target).exists(), target


@pytest.mark.weights
def test_the_example_runs(
    readme: str, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(weights))
    [example] = blocks(readme, "python")
    names: dict[str, Any] = {}

    exec(compile(example.replace("asyncio.run(main())", ""), "README.md", "exec"), names)  # noqa: S102  # our own text
    asyncio.run(names["main"]())

    assert "The Tin Lighthouse" in capsys.readouterr().out
