"""The error tree: what was wrong with its value, what to do, a stable code, and it pickles."""

import pickle
import re
from collections.abc import Iterator

import pytest

from limner import errors
from limner.errors import LimnerError

SAMPLES: list[tuple[LimnerError, str, str]] = [
    (
        errors.BadRowError("a.jsonl", 7, "rating", "not a number: 'x'"),
        "a.jsonl:7: `rating`",
        "not a number: 'x'",
    ),
    (errors.UnknownFormatError("a.xls", "use CSV, JSONL or Parquet"), "a.xls", "use CSV"),
    (errors.UnknownUserError("u7"), "user_id='u7'", "record or import interactions first"),
    (errors.NoPortraitError("u7"), "user_id='u7' has events", "draw one first"),
    (errors.UnknownClaimError("u7", "9", 3), "user_id='u7' has 3 claims and 9", "give a claim's number"),
    (errors.ForgottenMeanwhileError(3), "was forgotten while it was made", "ask again"),
    (errors.UnknownItemError("i7"), "item_id='i7'", "import its item file first"),
    (
        errors.EmptyHistoryError("u7", "2024-05-01"),
        "user_id='u7' has 0 interactions before 2024-05-01",
        "use a later",
    ),
    (errors.NoTextError("user_id='u7'"), "user_id='u7' has no text", "import the item file"),
    (
        errors.TooFewUsersError(2, 5),
        "2 users have items that can be compared, 5 are needed",
        "import the item file",
    ),
    (
        errors.MigrationError("shop", "items", 9, 8),
        "the index of tenant 'shop' holds 8 items that are not the 9",
        "then the same command again",
    ),
    (
        errors.NoGroupsError("2026-03-01"),
        "no refresh has found groups at or before 2026-03-01",
        "limner refresh",
    ),
    (errors.SettingsError("chat.timeout", "must be > 0, got -1"), "`chat.timeout`", "must be > 0, got -1"),
    (
        errors.CriticVersionError("c2", {"c1": 7}),
        "critic 'c2' was asked for, but the log was graded by 'c1' (7 drafts)",
        "grade the drafts again",
    ),
    (
        errors.EmptySplitError(5, {"equal": 5, "single": 0}),
        "left of 5 drafts (dropped: equal 5)",
        "loosen the filter",
    ),
    (
        errors.ExamChangedError("u7", "2026-03-01", "the seed is 3, not 4"),
        "user_id='u7' at 2026-03-01 cannot be graded as it was: the seed is 3, not 4",
        "run `limner distill prepare`",
    ),
    (
        errors.TooFewLessonsError(3, 20),
        "3 users have two or more interactions in the past, 20 are needed",
        "a space taught on other data",
    ),
    (
        errors.SpaceFileError("a.space", "cannot be read: no such file"),
        "a.space: cannot be read: no such file",
        "`limner distill embed`",
    ),
    (
        errors.TooFewExamplesError(3, 20),
        "3 users have a pair with a known outcome, 20 are needed",
        "`limner distill pairs`",
    ),
    (
        errors.ScorerFileError("a.scorer", "cannot be read: no such file"),
        "a.scorer: cannot be read: no such file",
        "`limner distill scorer`",
    ),
    (
        errors.WrongScorerError("scorer-1", "minilm-1", "mpnet-2"),
        "scorer-1 was taught on encoder 'minilm-1', but 'mpnet-2' is configured",
        "teach a scorer",
    ),
    (
        errors.WrongSpaceError("space-1", "minilm-1", "mpnet-2"),
        "space-1 was taught on encoder 'minilm-1', but 'mpnet-2' is configured",
        "teach a space",
    ),
    (
        errors.ModelUnavailableError("gpt", 4, "timeout"),
        "model='gpt' failed 4 times, last: timeout",
        "check the model",
    ),
    (errors.ModelOutputError("gpt", "no JSON", "Sure! Here"), "model='gpt'", "(no JSON): 'Sure! Here'"),
    (errors.PriceUnknownError("gpt"), "model='gpt' has no known price", "set `chat.price_per_million`"),
    (errors.BudgetExceededError("tokens", 100, 90.0, 20), "100 tokens has 10 left", "raise `budget.tokens`"),
    (errors.UnknownWeightsError("x", ("a", "b")), "model 'x' is unknown", "`limner models list` names a, b"),
    (
        errors.WeightsMissingError("minilm", "m/minilm"),
        "'minilm' are not at m/minilm",
        "`limner models fetch minilm`",
    ),
    (
        errors.ChecksumError("m/x.gguf", "aa", "bb"),
        "m/x.gguf: sha256 is bb, wanted aa",
        "delete the file and run",
    ),
    (
        errors.StoreError("sqlite:///x", "is locked; close the other"),
        "sqlite:///x",
        "is locked; close the other",
    ),
    (errors.StoreNotEmptyError("sqlite:///x"), "store sqlite:///x is not empty", "--replace"),
    (
        errors.BackupDamagedError("a.tar", "it was cut short"),
        "a.tar cannot be restored: it was cut short",
        "take another",
    ),
    (
        errors.EncoderChangedError("items", "a", "b"),
        "items was indexed with encoder 'a', but 'b'",
        "`limner reindex`",
    ),
    (
        errors.LeakError("past", "u7", "i3", 12, 10),
        "user_id='u7' on item_id='i3' at 12 is not before as_of=10",
        "earlier events only",
    ),
    (
        errors.SystemFailedError("mine", "fit", "KeyError", "'x'", "/a/mine.py:7"),
        "system 'mine' failed in `fit` at /a/mine.py:7: KeyError: 'x'",
        "correct the system and repeat",
    ),
    (errors.MissingExtraError("torch", "encoders"), "torch", "pip install 'limner[encoders]'"),
]


def _tree(kind: type[LimnerError] = LimnerError) -> Iterator[type[LimnerError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child)


def _ids(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, LimnerError) else None


@pytest.mark.parametrize(("error", "value", "way_out"), SAMPLES, ids=_ids)
def test_the_text_names_the_value_and_the_way_out(error: LimnerError, value: str, way_out: str) -> None:
    assert value in str(error)
    assert way_out in str(error)


@pytest.mark.parametrize(("error", "_value", "_way_out"), SAMPLES, ids=_ids)
def test_an_error_survives_pickling(error: LimnerError, _value: str, _way_out: str) -> None:
    copy: LimnerError = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert (copy.args, vars(copy), str(copy)) == (error.args, vars(error), str(error))
    assert vars(copy)  # the values are attributes, not only words


def test_every_error_that_can_be_raised_is_tried_here() -> None:
    branches = {kind for kind in _tree() if "__init__" not in vars(kind)}
    tried = {type(error) for error, _, _ in SAMPLES}

    assert tried == set(_tree()) - branches


def test_codes_are_unique_and_belong_to_one_class_each() -> None:
    kinds = list(_tree())

    assert all("code" in vars(kind) for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(re.fullmatch(r"[a-z_]+", kind.code) for kind in kinds)


def test_the_drawing_in_the_module_names_every_error() -> None:
    drawn = re.findall(r"\b[A-Z]\w+Error\b", errors.__doc__ or "")

    assert sorted(drawn) == sorted(kind.__name__ for kind in _tree())


def test_a_long_answer_is_cut_in_the_text_but_kept_on_the_error() -> None:
    error = errors.ModelOutputError("gpt", "no JSON", "x" * 500)

    assert "x" * 200 in str(error)
    assert "x" * 201 not in str(error)
    assert error.text == "x" * 500
