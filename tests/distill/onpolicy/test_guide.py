"""What the guide says of rewards and of on-policy training is so."""

import re
import tomllib
from pathlib import Path

from limner.distill.onpolicy.settings import OnPolicySettings
from limner.distill.rewards.by_name import ASKS_A_MODEL, REWARDS, read_options
from limner.distill.training.config import TrainingSettings


def part(root: Path, heading: str) -> str:
    guide = (root / "docs" / "training.md").read_text(encoding="utf-8")
    return guide.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_reward_is_explained_and_says_whether_it_asks_a_model(root: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", part(root, "Rewards"), flags=re.MULTILINE)

    assert {name for name, _ in rows} == set(REWARDS)
    assert {name for name, asks in rows if asks != "no"} == ASKS_A_MODEL | {"limner"}


def test_the_configuration_is_one(root: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", part(root, "Rewards"), flags=re.DOTALL)

    settings = TrainingSettings.model_validate({"data": "d", "out": "o", **tomllib.loads(text)})

    assert settings.grpo.rewards == {"blue": 1.0, "length": 0.2}
    for name, options in settings.grpo.reward_options.items():
        assert read_options(name, options).model_dump(include=set(options)) == options


def test_the_numbers_named_are_the_defaults(root: Path) -> None:
    told, defaults = part(root, "On-policy GRPO"), OnPolicySettings()

    assert f"{defaults.generations} completions a prompt at temperature {defaults.temperature:g}" in told
    assert f"KL {defaults.kl:g}" in told
    for name in re.findall(r"`grpo\.(\w+)`", told):
        assert name in OnPolicySettings.model_fields
