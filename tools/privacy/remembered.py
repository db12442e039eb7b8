"""Remember what came of texts: the newest ones, and only so many letters of them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Rule = TypeVar("Rule", bound=Hashable)
Result = TypeVar("Result", bound=str | bool)


class Remembered(Generic[Rule, Result]):
    """A function of a rule and a text that remembers what it returned; safe to use from several threads.

    A bound on the number of texts alone bounds no memory: a single text may have a hundred thousand letters.

    Args:
        function: Depends on its arguments alone.
        most: Texts that are remembered at most.
        letters: Letters of texts and results together that are remembered at most.
    """

    def __init__(self, function: Callable[[Rule, str], Result], *, most: int, letters: int) -> None:
        self._function, self._most, self._most_letters = function, most, letters
        self._known: OrderedDict[tuple[Rule, str], Result] = OrderedDict()
        self._lock = threading.Lock()
        self.letters = 0
        """Letters that are remembered."""

    def __call__(self, rule: Rule, text: str) -> Result:
        """Return what the function returns.

        Examples:
            >>> shout = Remembered(lambda rule, text: text.upper(), most=2, letters=100)
            >>> [shout("", word) for word in ("a", "b", "a", "c")], len(shout), shout.letters
            (['A', 'B', 'A', 'C'], 2, 4)
        """
        key = (rule, text)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        result = self._function(rule, text)
        with self._lock:
            if key not in self._known:
                self._known[key] = result
                self.letters += _letters(text, result)
            while len(self._known) > self._most or self.letters > self._most_letters:
                (_, oldest), gone = self._known.popitem(last=False)
                self.letters -= _letters(oldest, gone)
        return result

    def __len__(self) -> int:
        """Return how many texts are remembered."""
        return len(self._known)


def _letters(text: str, result: str | bool) -> int:
    """Count what is kept; a text that came back as it was is kept once."""
    return len(text) + (len(result) if isinstance(result, str) and result is not text else 0)
