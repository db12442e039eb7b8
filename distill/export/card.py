"""The model card: what a profiler is, what it was made of, and what was measured."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ...records import Record
from ...tools.weights import KNOWN
from .fidelity import Fidelity
from .merged_folder import Merge
from .tables import tables_of
from .trained_run import TrainedRun

_SETTINGS = (
    *("method", "seed", "learning_rate", "schedule", "epochs", "batch", "accumulation"),
    *("rank", "alpha", "dropout", "max_tokens", "kl"),
)


class CardFile(Record):
    """One file of an export."""

    path: str
    """Relative to the card."""

    bytes: int
    """Its length."""

    sha256: str
    """Of its bytes, in hexadecimal digits."""


class CardTerms(NamedTuple):
    """What nobody but the publisher knows."""

    licence: str
    """SPDX expression for the exported files."""

    base_licence: str
    """SPDX expression for the base."""

    base_model: str | None
    """The base's name on a model hub."""

    data_terms: str | None
    """Terms of the training data."""

    purpose: str
    """What the profiler is, in a few words."""


def write_card(
    run: TrainedRun,
    *,
    name: str,
    base_name: str | None,
    formats: Sequence[str],
    terms: CardTerms,
    files: Sequence[CardFile],
    checks: Mapping[str, Fidelity | Merge],
    evaluation: Mapping[str, Any] | None,
    limner: str,
) -> str:
    """Return the card as Markdown with a model hub's front matter; the same inputs give the same bytes.

    Args:
        run: The run it is written from.
        name: `NAME` of `limner/NAME`.
        base_name: `NAME` of the GGUF file below a LoRA-GGUF; absent if there is none.
        formats: What was exported.
        terms: Licences and terms.
        files: What lies beside the card.
        checks: What was found when files were compared with the trained model.
        evaluation: Any nested results.
        limner: Version of Limner.
    """
    record = run.record
    return _template().render(
        name=name,
        base=run.public_base,
        base_name=base_name,
        base_known=any(known.name == base_name for known in KNOWN),
        formats=formats,
        adapter_only=not {"merged", "gguf"} & set(formats),
        **terms._asdict(),
        files=files,
        manifest=run.manifest,
        critic=record.get("critic_version") or run.manifest.get("critic_version"),
        method=run.settings.get("method", "an unknown method"),
        settings=_settings(run),
        stopped=record.get("message") if record.get("outcome") == "stopped" else None,
        versions=record.get("versions", {}),
        tables=list(tables_of(evaluation or {})),
        checks=[{"file": file, "words": _words(found)} for file, found in checks.items()],
        served=_served(name, formats),
        limner=limner,
    )


def _settings(run: TrainedRun) -> list[tuple[str, str]]:
    """Return what decided the run and what it cost, in words."""
    given = run.settings
    rows = [(name, str(given[name])) for name in _SETTINGS if given.get(name) is not None]
    own: Any = given.get(str(given.get("method", "")).replace("-", "_"))
    if isinstance(own, dict):
        own = cast(dict[str, Any], own)  # of a file in JSON
        rows += [
            (f"{given['method']}: {name}", str(value)) for name, value in own.items() if value is not None
        ]
    record = run.record
    if "steps" in record:
        rows.append(("steps", f"{record['steps']:,}"))
    if "seconds" in record:
        rows.append(
            ("hours", f"{record['seconds'] / 3600:.2f} on {record.get('device', 'an unknown device')}")
        )
    if "peak_memory" in record:
        rows.append(("peak memory", f"{record['peak_memory'] / 1e9:.1f} GB"))
    if run.base_revision:
        rows.append(("revision of the base", f"`{run.base_revision}`"))
    return rows


def _words(found: Fidelity | Merge) -> str:
    if isinstance(found, Merge):
        return (
            f"logits differ by {found.logits_apart:.1e} at most from those of base and adapter, and by "
            f"{found.logits_moved:.2g} from the bare base's; {found.layers} layers changed."
        )
    return (
        f"served by llama.cpp, log-probabilities differ by {found.difference:.3f} nats a token on average "
        f"({found.largest:.2f} at most) from the trained model's and by {found.difference_from_base:.3f} from the "
        f"bare base's, on {found.tokens:,} tokens of {found.prompts} prompts; both find the same token likeliest "
        f"at {found.same_choice:.1%} of them, and {found.effect:.2f} ± {2 * found.effect_error:.2f} of what "
        "training changed is served."
    )


def _served(name: str, formats: Sequence[str]) -> list[str]:
    ways = {
        "merged": f"`vllm serve merged --served-model-name {name}`, then `hosted_vllm/{name}` with `api_base`",
        "gguf": f"`llama-server -m model.gguf --alias {name}`, then `openai/{name}` with `api_base`",
        "lora-gguf": f"`llama-server -m BASE.gguf --lora adapter.gguf --alias {name}`, then the same",
        "adapter": "PEFT: `PeftModel.from_pretrained(base, 'adapter')`",
    }
    return [way for form, way in ways.items() if form in formats]


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("model_card.md.jinja")
