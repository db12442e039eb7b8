"""`limner mcp` as an assistant starts it: a process of its own, the protocol on its standard output."""

import json
import os
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from limner.settings import Settings

_LIMNER = "from limner.cli import main; main()"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_an_assistant_starts_it_and_its_tenant_is_that_of_the_settings(
    filled: Settings, tmp_path: Path, mode: str
) -> None:
    words = ["mcp", "--store", str(filled.store), "--model", "none"]
    names = {**os.environ, "LIMNER_EMBEDDER": "hashing", "LIMNER_TENANT": "other"}
    parameters = StdioServerParameters(command=sys.executable, args=["-c", _LIMNER, *words], env=names)
    said = tmp_path / "said.txt"

    with said.open("w") as errlog:
        async with Client(stdio_client(parameters, errlog), mode=mode) as client:
            theirs = await client.call_tool("get_profile", {"user_id": "cleo"})
            ours = await client.call_tool("get_profile", {"user_id": "ada"})
            kept = await client.call_tool(
                "record", {"user_id": "cleo", "events": [{"kind": "message", "text": "I love tea."}]}
            )

    assert theirs.structured_content is not None
    assert theirs.structured_content["version"] == 1
    assert ours.is_error
    assert kept.structured_content == {"added": 1, "repeated": 0}
    first, _, snippet = said.read_text().partition("\n")
    entry = json.loads(snippet)["mcpServers"]["limner"]
    assert first.startswith("Limner speaks MCP on standard input; tenant 'other'.")
    assert entry["args"] == words
    assert Path(entry["command"]).name == "limner"


async def test_a_store_that_cannot_be_opened_ends_it_with_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    words = ["mcp", "--store", str(tmp_path / "file" / "store"), "--model", "none"]
    names = {**os.environ, "LIMNER_EMBEDDER": "hashing"}
    parameters = StdioServerParameters(command=sys.executable, args=["-c", _LIMNER, *words], env=names)
    said = tmp_path / "said.txt"

    with said.open("w") as errlog, pytest.raises(Exception) as caught:
        async with Client(stdio_client(parameters, errlog), mode="legacy"):
            pass

    assert caught.value is not None
    assert said.read_text().startswith("store: ")
