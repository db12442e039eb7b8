"""The first example of the guide for assistants runs."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.weights
def test_the_example_of_context_and_listening_runs(
    root: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(weights))
    monkeypatch.setenv("LIMNER_MODEL", "none")
    page = (root / "docs" / "assistants.md").read_text("utf-8")
    example = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Any] = {}

    exec(compile(example.replace("asyncio.run(main())", ""), "assistants.md", "exec"), names)  # noqa: S102  # our own text
    asyncio.run(names["main"]())

    told = capsys.readouterr().out
    assert 'Said: "I never eat peanuts."' in told
    assert "user | What shall I cook?" in told
