"""What the screen remembers: what was used last, in bounded memory, and the same as without remembering."""

from collections import Counter

from limner.tools.privacy.remembered import Remembered


def _counted(asked: Counter[str], *, most: int, letters: int) -> Remembered[str, str]:
    def double(rule: str, text: str) -> str:
        asked[f"{rule}{text}"] += 1
        return text if rule == "same" else text * 2

    return Remembered(double, most=most, letters=letters)


def test_what_is_remembered_is_not_asked_for_again_and_rules_are_told_apart() -> None:
    asked = Counter[str]()
    double = _counted(asked, most=9, letters=999)

    assert [double("x", "ab"), double("x", "ab"), double("y", "ab")] == ["abab"] * 3
    assert asked == {"xab": 1, "yab": 1}


def test_what_was_used_last_stays_when_there_are_too_many() -> None:
    asked = Counter[str]()
    double = _counted(asked, most=2, letters=999)

    for text in ("a", "b", "a", "c", "a", "b"):  # "b" has to go for "c"
        double("x", text)

    assert asked == {"xa": 1, "xb": 2, "xc": 1}
    assert len(double) == 2


def test_long_texts_push_each_other_out_before_their_number_is_reached() -> None:
    double = _counted(Counter(), most=9, letters=100)

    for letter in "abcd":
        double("x", letter * 20)  # 20 and 40 letters: two of them are more than 100

    assert (len(double), double.letters) == (1, 60)


def test_a_text_that_comes_back_as_it_was_is_counted_once() -> None:
    double = _counted(Counter(), most=9, letters=100)

    double("same", "a" * 30)

    assert double.letters == 30


def test_a_text_longer_than_everything_is_returned_and_not_kept() -> None:
    double = _counted(Counter(), most=9, letters=10)

    assert double("x", "a" * 50) == "a" * 100
    assert (len(double), double.letters) == (0, 0)
