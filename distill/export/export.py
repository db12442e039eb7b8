"""From a training run to files that can be served, checked against the trained model, with a card."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from ... import __version__
from ...agents.plain_form import PLAIN
from ...errors import MissingExtraError
from ...records import Message, Record
from ...tools.checksums import known_sha256, sha256_of
from ...tools.profilers import DESCRIPTION, ModelFiles, ProfilerDescription, Style
from ...tools.weights import KNOWN
from ...tools.whole_files import new_folder
from ..log.training_rows import Messages
from ..log.training_set import TrainingSet
from ..training.base_weights import open_base
from ..training.quiet import quiet
from .adapter import CONFIG, WEIGHTS, LoraPair, read_adapter
from .base_file import open_base as open_base_file
from .base_file import place, value
from .card import CardFile, CardTerms, write_card
from .fidelity import Fidelity, check, measure
from .install import check_name
from .lora_gguf import write_lora_gguf
from .merged_folder import Merge, write_merged_folder
from .merged_gguf import Precision, write_merged_gguf
from .trained_run import BaseFile, TrainedRun, base_file, read_run

Format = Literal["lora-gguf", "gguf", "merged", "adapter"]

FORMATS: tuple[Format, ...] = get_args(Format)

PLACES: Mapping[Format, str] = {
    "lora-gguf": "adapter.gguf",
    "gguf": "model.gguf",
    "merged": "merged",
    "adapter": "adapter",
}
"""Where each format lies in the exported folder."""

CARD = "README.md"
REPORT = "export.json"

Notice = Callable[[str], None]

_SUBJECTS = ("jazz", "chess", "horror films", "hiking", "robots", "cooking", "trains", "gardens")


@dataclass(frozen=True, kw_only=True)
class ExportPlan:
    """What to make of a run."""

    run: Path
    """Folder of the run, or of an adapter alone."""

    name: str
    """`NAME` of `limner/NAME`."""

    formats: tuple[Format, ...] = ("lora-gguf",)
    """What to write."""

    base: str | None = None
    """Base instead of the one that the run names."""

    base_gguf: str | None = None
    """GGUF file of the base, if the run's base is a Hugging Face folder."""

    precision: Precision = "Q8_0"
    """Of the tensors that merging changes in a GGUF file."""

    check_prompts: int = 8
    """Prompts to compare served files with the trained model on; 0 for no comparison."""

    style: Style | None = None
    """Drafting style that the profiler was trained for; absent: what its training set tells."""

    purpose: str = "profiler"
    """What it is, in a few words."""

    licence: str | None = None
    """SPDX expression for the files; absent: the base's."""

    data_terms: str | None = None
    """Terms of the training data."""

    evaluation: Mapping[str, Any] | None = None
    """Results for the card."""


class ExportReport(Record):
    """What was exported: `export.json`."""

    format: Literal["limner-export/1"] = "limner-export/1"
    """Form of the file."""

    name: str
    """`NAME` of `limner/NAME`."""

    limner: str
    """Version that wrote it."""

    base: str
    """As the run names it."""

    layers: int
    """Layers that the adapter changes."""

    files: tuple[CardFile, ...]
    """Everything but this file and the card; none for a dry run."""

    checks: dict[str, Fidelity | Merge]
    """What was found when files were compared with the trained model."""


class _Ready(NamedTuple):
    """All that is known before anything is written."""

    plan: ExportPlan
    run: TrainedRun
    pairs: dict[str, LoraPair]
    file: BaseFile | None
    terms: CardTerms


def export(
    plan: ExportPlan, out: Path | None, *, models_dir: Path, notice: Notice = lambda _: None
) -> ExportReport:
    """Write an adapter in the forms that servers load, with a card; the folder appears whole or not at all.

    Args:
        plan: What to make.
        out: Folder to write, new or empty; absent for a dry run, which checks that adapter and base fit.
        models_dir: Folder that weights lie in.
        notice: Told in a few words what takes time.

    Raises:
        InputError: A name cannot be used, the base is another one, or `out` is not empty.
        AdapterError: There is no adapter, one that adds nothing, or one of a kind that cannot be exported.
        BaseFileError: The base has no such layers.
        MergeError: The merged model is not the trained one.
        FidelityError: A GGUF file does not give the trained model's log-probabilities.
        UnknownWeightsError: No weights have the base's name.
        WeightsMissingError: The base is not on disk.
        MissingExtraError: The extra `train` is not installed.
    """
    ready = _prepare(plan, models_dir)
    if out is None:
        return _report(ready, (), {})
    with new_folder(out) as folder:
        checks = _write(ready, folder, models_dir, notice)
        description = _description(ready)
        if description is not None:
            (folder / DESCRIPTION).write_text(description.model_dump_json(indent=2, exclude_none=True) + "\n")
        files = tuple(_files(folder))
        report = _report(ready, files, checks)
        (folder / CARD).write_text(_card(ready, files, checks), encoding="utf-8")
        (folder / REPORT).write_text(report.model_dump_json(indent=2) + "\n")
    return report


def _prepare(plan: ExportPlan, models_dir: Path) -> _Ready:
    """Find out all that can go wrong before anything costly is done."""
    check_name(plan.name)
    run = read_run(plan.run, plan.base)
    pairs = read_adapter(run.adapter)
    file: BaseFile | None = None
    licence = "unknown"
    if {"lora-gguf", "gguf"} & set(plan.formats):
        file = base_file(run, plan.base_gguf, models_dir)
        reader = open_base_file(file.path)
        place(reader, file.path, pairs)
        licence = str(value(reader, "general.license") or licence)
    known = next((known for known in KNOWN if f"limner/{known.name}" == run.base), None)
    licence = licence if known is None else known.licence
    terms = CardTerms(
        licence=plan.licence or licence,
        base_licence=licence,
        base_model=None if known is None else known.origin,
        data_terms=plan.data_terms,
        purpose=plan.purpose,
    )
    return _Ready(plan, run, pairs, file, terms)


def _write(ready: _Ready, folder: Path, models_dir: Path, notice: Notice) -> dict[str, Fidelity | Merge]:
    plan, name = ready.plan, ready.plan.name
    if "adapter" in plan.formats:
        _copy_adapter(ready, folder / PLACES["adapter"])
    for form in ("lora-gguf", "gguf"):
        if form in plan.formats:
            assert ready.file is not None, "a format in GGUF has a base in GGUF"
            notice(f"writing {PLACES[form]}")
            if form == "lora-gguf":
                write_lora_gguf(ready.pairs, ready.file.path, folder / PLACES[form], name=name)
            else:
                write_merged_gguf(
                    ready.pairs, ready.file.path, folder / PLACES[form], name=name, precision=plan.precision
                )
    served = list(_served(ready, folder)) if plan.check_prompts else []
    if not served and "merged" not in plan.formats:
        return {}
    notice("loading the trained model")
    tokenizer, trained = _trained(ready.run, models_dir)
    checks: dict[str, Fidelity | Merge] = {}
    prompts = _prompts(ready.run, plan.check_prompts)
    for place_, files in served:
        notice(f"comparing {place_} with the trained model")
        found = measure(files, trained, tokenizer, prompts)
        check(found, place_)
        checks[place_] = found
    if "merged" in plan.formats:
        notice("merging")
        target = PLACES["merged"]
        checks[target] = write_merged_folder(trained, tokenizer, ready.pairs, folder / target)
    return checks


def _served(ready: _Ready, folder: Path) -> Iterator[tuple[str, ModelFiles]]:
    """Yield what llama.cpp can load of a folder."""
    if ready.file is not None and "lora-gguf" in ready.plan.formats:
        yield PLACES["lora-gguf"], ModelFiles(ready.file.path, folder / PLACES["lora-gguf"])
    if "gguf" in ready.plan.formats:
        yield PLACES["gguf"], ModelFiles(folder / PLACES["gguf"])


def _trained(run: TrainedRun, models_dir: Path) -> tuple[Any, Any]:
    """Load the base with the adapter, in 32-bit floats on the CPU."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingExtraError("merging and checking an adapter", "train") from error
    base = open_base(run.base, models_dir)
    with quiet():
        return base.tokenizer, PeftModel.from_pretrained(base.model, str(run.adapter)).eval()


def _copy_adapter(ready: _Ready, target: Path) -> None:
    """Copy what PEFT loads and nothing else; its configuration names the base, not this machine's folder."""
    target.mkdir()
    source = ready.run.adapter
    shutil.copyfile(source / WEIGHTS, target / WEIGHTS)
    config: dict[str, Any] = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = ready.terms.base_model or ready.run.public_base
    config["revision"] = None  # PEFT takes it for a revision on the hub
    (target / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def _prompts(run: TrainedRun, count: int) -> list[Messages]:
    """Return prompts of users that the run did not train on; invented ones if its training set is gone."""
    found: list[Messages] = []
    if run.data is not None:
        rows = TrainingSet.open(run.data).prompts("validation")
        found = [row.prompt for row, _ in zip(rows, range(count), strict=False)]
    invented = (
        f"Bought: a book about {subject}, a {subject} kit. What do they like?" for subject in _SUBJECTS
    )
    if not found:
        found = [(Message(role="user", content=text),) for text in invented]
    return found[:count]


def style_learned(run: TrainedRun) -> Style | None:
    """Return `plain` if a run learned from prompts of that style alone; else, nothing that a prompt tells."""
    if run.data is None:
        return None
    asked = {row.prompt_id for row in TrainingSet.open(run.data).prompts("train")}
    return "plain" if asked == {PLAIN.id} else None


def _description(ready: _Ready) -> ProfilerDescription | None:
    """Return what the models folder is told: the adapter if there is one, as it is the smallest."""
    plan = ready.plan
    common: dict[str, Any] = {
        "style": plan.style or style_learned(ready.run),
        "purpose": plan.purpose,
        "licence": ready.terms.licence,
        "card": CARD,
    }
    if "lora-gguf" in plan.formats and ready.file is not None:
        return ProfilerDescription(
            base=ready.file.name,
            base_sha256=known_sha256(ready.file.path),
            adapter=PLACES["lora-gguf"],
            **common,
        )
    return ProfilerDescription(weights=PLACES["gguf"], **common) if "gguf" in plan.formats else None


def _files(folder: Path) -> Iterator[CardFile]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        yield CardFile(path=name, bytes=path.stat().st_size, sha256=sha256_of(path))


def _report(ready: _Ready, files: Sequence[CardFile], checks: Mapping[str, Fidelity | Merge]) -> ExportReport:
    return ExportReport(
        name=ready.plan.name,
        limner=__version__,
        base=ready.run.public_base,
        layers=len(ready.pairs),
        files=tuple(files),
        checks=dict(checks),
    )


def _card(ready: _Ready, files: Sequence[CardFile], checks: Mapping[str, Fidelity | Merge]) -> str:
    return write_card(
        ready.run,
        name=ready.plan.name,
        base_name=None if ready.file is None else ready.file.name,
        formats=ready.plan.formats,
        terms=ready.terms,
        files=files,
        checks=checks,
        evaluation=ready.plan.evaluation,
        limner=__version__,
    )
