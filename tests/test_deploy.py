"""What is deployed passes its linters, and names settings that there are."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from limner.settings import load_settings

KUBERNETES, COMPOSE = "deploy/kubernetes.yaml", "deploy/compose.yaml"
LINTERS = {
    "yamllint": ["yamllint", "--strict", "-c", "deploy/yamllint.yaml", "deploy"],
    "check_jsonschema": ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE],
    "kubernetes_validate": ["kubernetes_validate", "--strict", KUBERNETES],
}


@pytest.mark.parametrize("name", LINTERS)
def test_a_linter_finds_nothing(name: str, root: Path) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", *LINTERS[name]], cwd=root, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def _environment(root: Path) -> list[dict[str, Any]]:
    """Return the variables of each container of Limner."""
    compose = yaml.safe_load((root / COMPOSE).read_text())
    services = [compose["services"][name] for name in ("serve-1", "serve-2", "work")]
    documents = list(yaml.safe_load_all((root / KUBERNETES).read_text()))
    [given] = [each["data"] for each in documents if each["kind"] == "ConfigMap"]
    return [*(service["environment"] for service in services), given]


def test_variables_are_settings_of_this_version(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variables in _environment(root):
        with monkeypatch.context() as inside:
            for name, value in variables.items():
                if value is not None:  # else taken from the shell, if it is set there
                    inside.setenv(name, value)
            settings = load_settings()

        assert settings.chroma_url == "http://index:8000"
        assert str(settings.store) in ("/home/limner/store", "/store")


def test_every_process_finds_a_connection(root: Path) -> None:
    """Each keeps its pool and those for checkpoints; PostgreSQL allows 100 in all, by default as in compose."""
    database = load_settings().database
    processes = 3

    assert processes * (database.pool + database.overflow + database.checkpoints) < 100
    assert "max_connections=100" in (root / COMPOSE).read_text()


def test_the_image_takes_every_folder_of_the_package(root: Path) -> None:
    taken = {
        line[1:] for line in (root / "deploy/Dockerfile.dockerignore").read_text().split() if line[0] == "!"
    }
    links = {path.name for path in (root / "src/limner").iterdir() if path.is_symlink()}

    assert links | {"src", "pyproject.toml", "README.md", "LICENSE"} == taken
