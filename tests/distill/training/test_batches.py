"""Completions alone are learnt, and their log-probabilities are those of the whole model."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from limner.distill.training.base_weights import Base, open_base  # needs the extra
from limner.distill.training.batches import IGNORED, Collator, score_completions
from limner.distill.training.encoding import ChatEncoder, Example
from limner.distill.training.validation import Validation, row_scores, validate
from limner.records import Message

ROWS = [Example((5, 6, 7), (8, 9)), Example((5,), (6, 7, 8), 2.0, (-1.0, -2.0, -3.0))]


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Base:
    return open_base(str(tiny_model), tiny_model.parent)


def test_rows_are_filled_up_on_the_right() -> None:
    batch = Collator(0)(ROWS)

    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9], [5, 6, 7, 8, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert batch["labels"].tolist() == [[IGNORED] * 3 + [8, 9], [IGNORED, 6, 7, 8, IGNORED]]
    assert batch["weight"].tolist() == [1.0, 2.0]
    assert batch["logged"].isnan().tolist() == [[True] * 5, [True, False, False, False, True]]
    assert batch["logged"][1, 1:4].tolist() == [-1.0, -2.0, -3.0]


def test_only_completion_tokens_are_scored(base: Base) -> None:
    with torch.no_grad():
        scored = score_completions(base.model, Collator(0)(ROWS))

    assert scored.start == 1
    assert scored.mask.tolist() == [[0, 0, 1, 1], [1, 1, 1, 0]]
    assert scored.logprobs[scored.mask == 0].tolist() == [0.0, 0.0, 0.0]


def test_scores_are_those_of_the_model_alone_with_a_row(base: Base) -> None:
    with torch.no_grad():
        scored = score_completions(base.model, Collator(0)(ROWS))
        logits = base.model(input_ids=torch.tensor([[5, 6, 7, 8, 9]])).logits[0]
    alone = torch.log_softmax(logits, -1)

    expected = [float(alone[2, 8]), float(alone[3, 9])]  # what follows 5 6 7, and 5 6 7 8
    assert scored.logprobs[0, 2:].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_row_scores_alike_in_any_batch(base: Base) -> None:
    together = row_scores(base.model, ROWS, batch=2, pad=0)
    one_by_one = row_scores(base.model, ROWS, batch=1, pad=0)

    assert together == pytest.approx(one_by_one, abs=1e-5)
    assert not base.model.training


def test_validation_is_a_mean_over_tokens_and_a_difference_of_two(base: Base) -> None:
    best, worst = ROWS
    scores = row_scores(base.model, ROWS, batch=2, pad=0)

    found = validate(base.model, Validation([best, worst], [best], [worst]), batch=2, pad=0)

    assert found == {
        "validation_logprob": pytest.approx((scores[best] + scores[worst]) / 5),
        "validation_gap": pytest.approx(scores[best] / 2 - scores[worst] / 3),
    }
    assert validate(base.model, Validation([], [], []), batch=2, pad=0) == {}


def test_a_turn_ends_as_the_template_ends_it(base: Base) -> None:
    chat = ChatEncoder(base.tokenizer)
    prompt, answer = (Message(role="user", content="Hi"),), (Message(role="assistant", content="Yes"),)

    example = chat.example(prompt, answer)
    tokenizer: Any = base.tokenizer  # its own types allow for lists of texts

    assert tokenizer.decode(example.prompt) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(example.completion) == "Yes<|im_end|>"
    whole = tokenizer.apply_chat_template(
        [message.model_dump() for message in (*prompt, *answer)], tokenize=False
    )
    assert tokenizer.decode([*example.prompt, *example.completion]) + "\n" == whole


def test_where_the_template_marks_no_end_the_text_ends(base: Base) -> None:
    from copy import deepcopy

    tokenizer = deepcopy(base.tokenizer)
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"

    assert ChatEncoder(tokenizer).end == tokenizer.eos_token_id
