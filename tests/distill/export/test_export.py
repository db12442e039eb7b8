"""From a run's folder to a profiler in service."""

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import frontmatter  # pyright: ignore[reportMissingTypeStubs]  # ships no stubs
import litellm
import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.distill.export.export import ExportPlan, ExportReport, export
from limner.distill.export.install import install
from limner.errors import InputError, LimnerError, WeightsMissingError
from limner.tools.local_model import ensure_registered, shutdown
from limner.tools.profilers import BrokenProfilerError, model_files, read_description

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

ASKED: Any = [{"role": "user", "content": "Bought: tea, a rope. What next?"}]


def _plan(run: Path, **changed: Any) -> ExportPlan:
    values: dict[str, Any] = {"name": "mine", "base_gguf": "limner/tiny", "check_prompts": 0}
    return ExportPlan(run=run, **(values | changed))


@pytest.fixture(scope="session")
def exported(run: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportReport]:
    """An export in every format; tests must not change it."""
    folder = tmp_path_factory.mktemp("exported") / "mine"
    plan = _plan(
        run,
        formats=("lora-gguf", "gguf", "merged", "adapter"),
        precision="F16",
        check_prompts=2,
        style="plain",
        evaluation={"gain": {"ndcg": {"mean": 0.05, "interval": [0.01, 0.09]}}},
    )
    return folder, export(plan, folder, models_dir=models)


def _in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_export_holds_its_formats_their_sums_and_a_card(exported: tuple[Path, ExportReport]) -> None:
    folder, report = exported

    beside = ["README.md", "export.json"]
    assert sorted([*(file.path for file in report.files), *beside]) == _in(folder)
    assert {"adapter.gguf", "model.gguf", "merged/model.safetensors", "profiler.json"} <= set(_in(folder))
    assert ExportReport.model_validate_json((folder / "export.json").read_text()) == report
    assert (report.layers, sorted(report.checks)) == (14, ["adapter.gguf", "merged", "model.gguf"])
    description = read_description(folder)
    assert (description.base, description.adapter, description.weights) == ("tiny", "adapter.gguf", None)
    assert (description.style, description.licence, description.card) == ("plain", "mit", "README.md")


def test_nothing_of_this_machine_is_in_what_is_published(
    exported: tuple[Path, ExportReport], tiny_model: Path
) -> None:
    folder, _ = exported

    for name in (
        "README.md",
        "export.json",
        "profiler.json",
        "adapter/adapter_config.json",
        "merged/config.json",
    ):
        assert str(tiny_model.parent) not in (folder / name).read_text(), name
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"


def test_peft_loads_the_copied_adapter(
    exported: tuple[Path, ExportReport], tiny_model: Path, run: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from limner.distill.training.quiet import quiet

    given = torch.tensor([list(range(3, 30))])
    logits: list[Any] = []
    for adapter in (exported[0] / "adapter", run / "adapter"):
        with quiet(), torch.no_grad():
            base: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
            logits.append(PeftModel.from_pretrained(base, str(adapter))(input_ids=given).logits)

    assert torch.equal(*logits)


def test_the_card_can_be_read_by_a_model_hub(exported: tuple[Path, ExportReport]) -> None:
    card: Any = frontmatter.loads((exported[0] / "README.md").read_text())

    assert card.metadata["license"] == "mit"
    assert {"limner", "lora", "gguf"} <= set(card.metadata["tags"])
    assert "| ndcg | 0.05 | 0.01 … 0.09 |" in card.content
    assert "| hours | 0.50 on cpu |" in card.content


async def _logprobs(model: str, **where: Any) -> list[float]:
    """Ask for one token and return what the model thinks of the likeliest ones."""
    answer: Any = await litellm.acompletion(
        model=model, messages=ASKED, max_tokens=1, temperature=0.0, logprobs=True, top_logprobs=5, **where
    )
    return [each.logprob for each in answer.choices[0].logprobs.content[0].top_logprobs]


async def test_an_installed_profiler_answers_by_its_name_as_the_merged_model_does(
    exported: tuple[Path, ExportReport], own_models: Path
) -> None:
    install(exported[0], "mine", own_models)
    shutil.copyfile(exported[0] / "model.gguf", own_models / "merged.gguf")
    found: dict[str, list[float]] = {}
    for name in ("tiny", "mine", "merged"):
        ensure_registered(f"limner/{name}", models_dir=own_models, threads=1, parallel=1)
        found[name] = await _logprobs(f"limner/{name}")
    shutdown()

    assert found["mine"] == pytest.approx(found["merged"], abs=2e-3)
    assert found["mine"] != pytest.approx(found["tiny"], abs=2e-2)
    assert _in(own_models / "mine") == ["README.md", "adapter.gguf", "profiler.json"]
    assert model_files("mine", own_models).style == "plain"


async def test_an_exported_file_serves_any_openai_client_over_http(
    exported: tuple[Path, ExportReport], own_models: Path
) -> None:
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(exported[0] / "model.gguf")
    params.n_ctx, params.warmup, params.verbosity = 256, False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.api_keys = ["key"]
    server = xllamacpp.Server(params)
    where = {"api_base": f"{server.listening_address}/v1", "api_key": "key"}

    served = [await _logprobs(f"{provider}/mine", **where) for provider in ("openai", "hosted_vllm")]

    install(exported[0], "mine", own_models)
    ensure_registered("limner/mine", models_dir=own_models, threads=1, parallel=1)
    embedded = await _logprobs("limner/mine")
    shutdown()
    assert served[0] == pytest.approx(embedded, abs=2e-3)
    assert served[1] == pytest.approx(served[0])


def test_a_name_is_taken_once_unless_it_is_to_be_replaced(
    exported: tuple[Path, ExportReport], own_models: Path
) -> None:
    folder = install(exported[0], "mine", own_models)
    (folder / "README.md").write_text("old")

    with pytest.raises(InputError, match="'mine' is taken by"):
        install(exported[0], "mine", own_models)
    install(exported[0], "mine", own_models, replace=True)

    assert (folder / "README.md").read_text() != "old"
    assert sorted(path.name for path in own_models.iterdir() if not path.name.endswith(".stamp")) == [
        "mine",
        "tiny.gguf",
    ]


def test_an_installation_that_was_killed_is_no_obstacle(
    exported: tuple[Path, ExportReport], own_models: Path
) -> None:
    folder = install(exported[0], "mine", own_models)
    folder.rename(own_models / ".mine.old")  # killed before the new folder took its name
    (own_models / ".mine.new").mkdir()
    (own_models / ".mine.new" / "adapter.gguf").write_bytes(b"half")

    install(exported[0], "mine", own_models)

    assert read_description(folder).adapter == "adapter.gguf"
    assert (folder / "adapter.gguf").read_bytes() == (exported[0] / "adapter.gguf").read_bytes()
    assert [path.name for path in own_models.glob(".mine*")] == []


@pytest.mark.parametrize("name", ["tiny", "smollm2-135m", "../mine", ".mine", ""])
def test_a_name_that_means_something_else_is_refused(
    exported: tuple[Path, ExportReport], own_models: Path, name: str
) -> None:
    with pytest.raises(InputError, match=r"`name`"):
        install(exported[0], name, own_models, replace=True)


def test_what_no_engine_here_can_load_is_not_installed(run: Path, models: Path, tmp_path: Path) -> None:
    export(_plan(run, formats=("adapter",)), tmp_path / "out", models_dir=models)

    with pytest.raises(BrokenProfilerError, match=r"profiler\.json"):
        install(tmp_path / "out", "mine", tmp_path)
    assert _in(tmp_path / "out") == [
        "README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "export.json",
    ]


def test_a_dry_run_finds_what_does_not_fit_and_writes_nothing(
    own_run: Path, own_models: Path, tmp_path: Path
) -> None:
    before = _in(tmp_path)
    report = export(_plan(own_run), None, models_dir=own_models)

    assert (report.layers, report.files, report.checks) == (14, (), {})
    assert _in(tmp_path) == before
    with pytest.raises(WeightsMissingError, match="smollm2-135m"):
        export(_plan(own_run, base_gguf="limner/smollm2-135m"), None, models_dir=own_models)
    with pytest.raises(InputError, match="name one of the same model with `--base-gguf`"):
        export(_plan(own_run, base_gguf=None), None, models_dir=own_models)


def test_an_export_that_fails_leaves_nothing(own_run: Path, models: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    record = json.loads((own_run / "run.json").read_text())
    record["identity"]["settings"]["base"] = str(tmp_path / "gone")
    (own_run / "run.json").write_text(json.dumps(record))

    with pytest.raises(InputError, match="is already there"):
        export(_plan(own_run), tmp_path / "taken", models_dir=models)
    with pytest.raises(LimnerError, match="gone"):  # after the adapter's file was written
        export(_plan(own_run, check_prompts=1), tmp_path / "out", models_dir=models)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "taken"]


def test_a_base_other_than_the_one_of_the_run_is_refused(own_run: Path, models: Path) -> None:
    record = json.loads((own_run / "run.json").read_text())
    record["identity"]["settings"]["base"] = "limner/tiny"
    record["identity"]["base_revision"] = "0123456789ab"
    (own_run / "run.json").write_text(json.dumps(record))

    with pytest.raises(InputError, match="but the adapter was trained on 0123456789ab"):
        export(_plan(own_run, base_gguf=None), None, models_dir=models)


def test_an_adapter_alone_needs_its_base_named(own_run: Path, models: Path) -> None:
    config = own_run / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": None}))

    with pytest.raises(InputError, match="name it with `--base`"):
        export(_plan(own_run / "adapter"), None, models_dir=models)
    assert (
        export(_plan(own_run / "adapter", base="limner/tiny"), None, models_dir=models).base == "limner/tiny"
    )


def test_the_command_exports_installs_and_says_so(
    own_run: Path, own_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(own_models))
    words = ["distill", "export", "--run", str(own_run), "--name", "mine", "--base-gguf", "limner/tiny"]
    words += ["--out", str(tmp_path / "out"), "--check", "0", "--style", "plain", "--install"]

    done = CliRunner().invoke(app, [*words, "--json"])
    again = CliRunner().invoke(app, [*words, "--json"])
    wrong = CliRunner().invoke(app, [*words, "--format", "onnx"])

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["out"], told["installed"]) == (str(tmp_path / "out"), str(own_models / "mine"))
    assert (again.exit_code, json.loads(again.stdout)["error"]["code"]) == (1, "input")
    assert (wrong.exit_code, "lora-gguf, gguf, merged, adapter" in wrong.output) == (1, True)
