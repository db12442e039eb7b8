"""Room for lines, kept by counting each line once.

A text of lines has about as many tokens as its lines together: tokenizers do not join words across lines. Counting the
whole text again for every line that might still fit is what a context would mostly cost. So lines are chosen by their
own counts, and the text that comes of it is counted once more; whoever chooses takes lines back until it fits.
"""

from ...tools.tokens import TokenCounter

_LIST = "- "


class Room:
    """Room for so many tokens.

    Args:
        counter: Counts tokens.
        tokens: How many there are.
    """

    def __init__(self, counter: TokenCounter, tokens: int) -> None:
        self._counter, self._left = counter, tokens
        self._headings: set[str] = set()

    def take(self, *lines: str) -> bool:
        """Take room for lines, each with its end; false, and nothing is taken, if there is too little."""
        needed = sum(self._counter.count(line) + 1 for line in lines)
        if needed > self._left:
            return False
        self._left -= needed
        return True

    def take_listed(self, line: str, heading: str) -> bool:
        """Take room for a line of a list, and for the heading of the list if it is the first."""
        fresh = heading and heading not in self._headings
        fits = self.take(f"{_LIST}{line}" if heading else line, *([heading] if fresh else []))
        if fits:
            self._headings.add(heading)
        return fits


class CountedOnce:
    """A counter that counts each text once, for as long as one context is put together; nothing outlives that.

    Args:
        counter: Counts tokens.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        self._counts: dict[str, int] = {}

    @property
    def name(self) -> str:
        """Whose tokens they are."""
        return self._counter.name

    def count(self, text: str) -> int:
        """Return how many tokens a text is."""
        if text not in self._counts:
            self._counts[text] = self._counter.count(text)
        return self._counts[text]
