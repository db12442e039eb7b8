"""The guide's proxy configuration is whole, and names what LiteLLM and Limner know."""

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # LiteLLM brings it, without stubs


def test_the_guide_gives_a_whole_configuration(root: Path) -> None:
    page = (root / "docs" / "assistants.md").read_text("utf-8")
    [example] = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    config: dict[str, Any] = yaml.safe_load(example)

    [model] = config["model_list"]
    assert set(model) == {"model_name", "litellm_params"}
    assert f'"model": "{model["model_name"]}"' in page  # what the examples ask for
    assert config["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    module, name = config["litellm_settings"]["callbacks"][0].rsplit(".", 1)
    source = root / "src" / Path(*module.split(".")).with_suffix(".py")
    assert f"\n{name} = " in source.read_text("utf-8")
    assert "prometheus" in config["litellm_settings"]["callbacks"]  # without it LiteLLM serves no /metrics
    for variable in re.findall(r"os\.environ/(\w+)", example):
        assert f"export {variable}=" in page
