"""The examples of the shorter guides run."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.weights
@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("pairs.md", "b4"),
        ("groups.md", "Harbour tale"),
        ("http.md", "quiet books about the sea"),
        ("durability.md", "added=1"),
    ],
)
def test_the_example_runs(
    page: str,
    told: str,
    root: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(weights))
    monkeypatch.setenv("LIMNER_MODEL", "none")
    [example] = re.findall(
        r"^```python\n(.*?)^```$", (root / "docs" / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, Any] = {}

    exec(compile(example.replace("asyncio.run(main())", ""), page, "exec"), names)  # noqa: S102  # our own text
    asyncio.run(names["main"]())

    assert told in capsys.readouterr().out
