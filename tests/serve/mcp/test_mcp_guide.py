"""What the guide says about MCP is so."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from limner.serve.mcp.mcp_tools import TOOLS


@pytest.fixture
def section(root: Path) -> str:
    page = (root / "docs" / "assistants.md").read_text("utf-8")
    return page.partition("## As tools: an MCP server\n")[2].partition("\n## ")[0]


def test_the_example_runs(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LIMNER_MODEL", "none")
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    [example] = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}

    exec(compile(example.replace("asyncio.run(main())", ""), "assistants.md", "exec"), names)  # noqa: S102  # our own
    asyncio.run(names["main"]())

    assert "I never eat peanuts." in capfd.readouterr().out


def test_every_tool_is_in_the_table(section: str) -> None:
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == {tool.name for tool in TOOLS}
