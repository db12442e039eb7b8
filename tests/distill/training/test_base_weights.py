"""Bases: folders as they are, GGUF files unpacked once, names looked up."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from limner.distill.training.base_weights import locate_base, open_base  # needs the extra
from limner.errors import InputError, UnknownWeightsError, WeightsError, WeightsMissingError


def test_a_folder_is_opened_where_it_lies(tiny_model: Path, tmp_path: Path) -> None:
    base = open_base(str(tiny_model), tmp_path)

    assert base.folder == tiny_model
    assert base.model.dtype == torch.float32
    assert not base.model.training
    assert (base.tokenizer.padding_side, base.tokenizer.pad_token) == ("right", "<|endoftext|>")
    assert list(tmp_path.iterdir()) == []


def test_a_revision_depends_on_the_weights_and_not_on_the_place(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    moved = Path(shutil.copytree(tiny_model, tmp_path / "moved"))
    changed = Path(shutil.copytree(tiny_model, tmp_path / "changed"))
    model = open_base(str(changed), tmp_path).model
    with torch.no_grad():
        model.lm_head.weight += 1
    model.save_pretrained(changed)

    there, elsewhere, other = (locate_base(str(path), tmp_path) for path in (tiny_model, moved, changed))

    assert there.revision == elsewhere.revision != other.revision


@pytest.mark.parametrize(
    ("base", "error", "message"),
    [
        ("nowhere", InputError, "is no Hugging Face folder"),
        ("limner/nothing", UnknownWeightsError, "'nothing' is unknown"),
        ("limner/smollm2-135m", WeightsMissingError, "limner models fetch smollm2-135m"),
        ("limner/minilm", InputError, "is an encoder"),
    ],
)
def test_a_base_that_is_not_there_is_named(
    base: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        open_base(base, tmp_path)


def test_a_base_without_a_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    bare = Path(shutil.copytree(tiny_model, tmp_path / "bare"))
    (bare / "chat_template.jinja").unlink()

    with pytest.raises(InputError, match="has no chat template"):
        open_base(str(bare), tmp_path)


def test_a_file_that_holds_no_model_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF, but no more")

    with pytest.raises(WeightsError, match=r"broken\.gguf: cannot be unpacked for training"):
        open_base(str(file), tmp_path / "models")

    left = [path.name for path in (tmp_path / "models" / "hf").iterdir() if not path.name.endswith(".lock")]
    assert left == []


@pytest.mark.weights
@pytest.mark.timeout(600)  # a busy machine takes minutes over it
def test_a_gguf_file_is_unpacked_once(weights: Path, tmp_path: Path) -> None:
    told: list[str] = []
    file = tmp_path / "smollm2-135m.gguf"
    file.symlink_to(weights / "smollm2-135m.gguf")

    first = open_base("limner/smollm2-135m", tmp_path, told.append)
    again = locate_base("limner/smollm2-135m", tmp_path, told.append)

    assert len(told) == 1
    assert again.folder == first.folder == tmp_path / "hf" / f"smollm2-135m-{first.revision}"
    assert first.revision == "b179c9523d0e"  # the published sha256 begins so
    assert sum(weight.numel() for weight in first.model.parameters()) == 134_515_008
    prompt: Any = first.tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    answer = first.model.generate(**prompt, max_new_tokens=8, do_sample=False)
    assert "Paris" in first.tokenizer.decode(answer[0])
