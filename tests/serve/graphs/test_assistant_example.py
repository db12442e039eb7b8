"""The assistant of the guide runs, with the embedded model, and is as short as it says."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.weights
def test_the_assistant_of_the_guide_runs(
    root: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("MODELS_DIR", str(weights)), ("DRAFTING__DRAFTS", "1"), ("DRAFTING__ROUNDS", "0")):
        monkeypatch.setenv(f"LIMNER_{name}", value)
    page = (root / "docs" / "assistants.md").read_text("utf-8")
    section = page.partition("\n## In LangGraph\n")[2].partition("\n## ")[0]
    [example] = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}

    exec(compile(example.replace("asyncio.run(main())", ""), "assistants.md", "exec"), names)  # noqa: S102  # our own text
    asyncio.run(names["main"]())

    assert len(example.splitlines()) <= 40
    *answers, heard = capsys.readouterr().out.splitlines()
    assert heard == "heard: I only like climbing roses."
    assert sum(bool(line.strip()) for line in answers) >= 2
