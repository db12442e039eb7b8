"""The checks of an export: each finds the fault that it is there for."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from limner.distill.export.adapter import LoraPair, read_adapter
from limner.distill.export.fidelity import Fidelity, FidelityError, check, measure
from limner.distill.export.lora_gguf import write_lora_gguf
from limner.distill.export.merged_folder import MergeError, write_merged_folder
from limner.distill.training.quiet import quiet
from limner.records import Message
from limner.tools.profilers import ModelFiles

PROMPTS = [
    (Message(role="user", content=f"Bought: {thing}. What next?"),) for thing in ("tea", "jazz", "rope")
]


class Loaded(NamedTuple):
    """The base with the adapter, as an export loads it."""

    model: Any
    tokenizer: Any
    pairs: dict[str, LoraPair]


@pytest.fixture
def loaded(run: Path, tiny_model: Path) -> Loaded:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        base: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, str(run / "adapter")).eval()
    return Loaded(model, AutoTokenizer.from_pretrained(tiny_model), read_adapter(run / "adapter"))


def test_llama_cpp_gives_the_log_probabilities_of_peft(loaded: Loaded, models: Path, tmp_path: Path) -> None:
    write_lora_gguf(loaded.pairs, models / "tiny.gguf", tmp_path / "a.gguf", name="mine")

    found = measure(
        ModelFiles(models / "tiny.gguf", tmp_path / "a.gguf"), loaded.model, loaded.tokenizer, PROMPTS
    )

    check(found, "a.gguf")
    assert found.prompts == 3
    assert found.largest < 2e-3  # 16-bit halves of the pairs over a 32-bit base
    assert found.difference_from_base > 0.03
    assert found.effect == pytest.approx(1.0, abs=0.01)


def test_a_file_without_the_training_is_found_out(loaded: Loaded, models: Path) -> None:
    found = measure(ModelFiles(models / "tiny.gguf"), loaded.model, loaded.tokenizer, PROMPTS)

    assert found.difference_from_base < 1e-3 < found.difference
    assert found.effect == pytest.approx(0.0, abs=0.01)
    with pytest.raises(FidelityError, match=r"x\.gguf: -?0\.00 ± 0\.00 of what training changed is served"):
        check(found, "x.gguf")


def test_keys_in_the_wrong_order_are_found_out(loaded: Loaded, models: Path, tmp_path: Path) -> None:
    import numpy as np

    strong = {
        layer: pair._replace(b=np.float32(8) * pair.b, scale=1.0)
        for layer, pair in loaded.pairs.items()
        if "q_proj" in layer or "k_proj" in layer
    }
    for layer, module in loaded.model.get_base_model().named_modules():
        if layer in loaded.pairs:
            module.lora_B["default"].weight.data *= 8 if layer in strong else 0
            module.scaling["default"] = 1.0
    found: list[Fidelity] = []
    for turned in (False, True):
        pairs = {layer: pair._replace(b=pair.b[::-1]) if turned else pair for layer, pair in strong.items()}
        write_lora_gguf(pairs, models / "tiny.gguf", tmp_path / f"{turned}.gguf", name="mine")
        files = ModelFiles(models / "tiny.gguf", tmp_path / f"{turned}.gguf")
        found.append(measure(files, loaded.model, loaded.tokenizer, PROMPTS))

    assert found[0].difference < 2e-3
    assert found[1].difference > 10 * found[0].difference


def _fidelity(**changed: float) -> Fidelity:
    good: dict[str, float] = {
        "prompts": 3,
        "tokens": 60,
        "difference": 0.07,
        "largest": 0.5,
        "bias": 0.0,
        "same_choice": 0.9,
        "difference_from_base": 0.1,
        "effect": 0.9,
        "effect_error": 0.1,
    }
    return Fidelity.model_validate(good | changed)


def test_rounding_passes_and_so_does_training_too_weak_to_be_seen_behind_it() -> None:
    check(_fidelity(), "x.gguf")
    check(_fidelity(effect=0.2, effect_error=0.6), "x.gguf")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"difference": 0.3}, r"0\.300 nats a token from the trained model's \(0\.25 at most\)"),
        ({"effect": 0.2, "effect_error": 0.1}, r"0\.20 ± 0\.10 of what training changed"),
    ],
)
def test_what_is_no_rounding_fails(changed: dict[str, float], reason: str) -> None:
    with pytest.raises(FidelityError, match=reason):
        check(_fidelity(**changed), "x.gguf")


def test_another_chat_template_is_found_out(loaded: Loaded, models: Path) -> None:
    loaded.tokenizer.chat_template = "{{ messages[0]['content'] }}"

    # A token a byte: the text's 23, and 19 of `<|im_start|>user`, `<|im_end|>`, `<|im_start|>assistant`, newlines.
    with pytest.raises(FidelityError, match=r"42 tokens for llama\.cpp and 23 for the tokenizer"):
        measure(ModelFiles(models / "tiny.gguf"), loaded.model, loaded.tokenizer, PROMPTS)


def test_a_merged_folder_answers_like_base_and_adapter(
    loaded: Loaded, tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    given = {"input_ids": torch.tensor([list(range(3, 40))])}
    with torch.no_grad():
        wanted = loaded.model(**given).logits
        merge = write_merged_folder(loaded.model, loaded.tokenizer, loaded.pairs, tmp_path / "merged")
        with quiet():
            found: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
            base: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
        assert (found(**given).logits - wanted).abs().max() < 1e-5
        assert (base(**given).logits - wanted).abs().max() > 0.1
    assert merge.layers == 14
    assert merge.logits_apart < 1e-5
    assert merge.logits_moved > 0.1
    sampling: Any = GenerationConfig.from_pretrained(tmp_path / "merged")
    assert (sampling.do_sample, sampling.temperature, sampling.top_k, sampling.top_p) == (True, 1.0, 0, 1.0)
    assert sampling.eos_token_id == 2


def test_merging_that_gives_the_base_is_found_out(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_the_base(*, safe_merge: bool) -> Any:
        assert safe_merge
        return loaded.model.unload()

    monkeypatch.setattr(loaded.model, "merge_and_unload", give_the_base)

    with pytest.raises(MergeError, match=r"its logits are up to .* from those of the base with the adapter"):
        write_merged_folder(loaded.model, loaded.tokenizer, loaded.pairs, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_adapter_that_moves_no_logits_is_found_out(loaded: Loaded, tmp_path: Path) -> None:
    for name, weight in loaded.model.named_parameters():
        if "lora_B" in name:
            weight.data.zero_()

    with pytest.raises(MergeError, match="of the base's, as if there were no adapter"):
        write_merged_folder(loaded.model, loaded.tokenizer, loaded.pairs, tmp_path / "merged")


def test_saving_the_base_under_the_merged_models_name_is_found_out(
    loaded: Loaded, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    def save_the_base(_: Any, target: Path) -> None:
        import shutil

        shutil.copytree(tiny_model, target)

    monkeypatch.setattr(LlamaForCausalLM, "save_pretrained", save_the_base)

    with pytest.raises(MergeError, match="was saved as it is in the base"):
        write_merged_folder(loaded.model, loaded.tokenizer, loaded.pairs, tmp_path / "merged")
