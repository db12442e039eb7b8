"""The suites there are, in the order of a report: what is predicted, what is answered, what portraits are like, what it took."""

from collections.abc import Mapping
from typing import NamedTuple


class SuiteEntry(NamedTuple):
    """A suite: where it is, and what it asks."""

    place: str
    """`module:class` under `suites`."""

    question: str
    example: str
    """A command that runs it."""

    @property
    def help(self) -> str:
        """What its command says of itself."""
        return f"{self.question}\n\nExample:  {self.example}"


SUITES: Mapping[str, SuiteEntry] = {
    "sequential": SuiteEntry(
        "sequential:Sequential",
        "What will each user choose next, out of the whole catalogue?",
        "limner eval sequential --data beauty/ --system seqknn --system mine.py::Mine --out results",
    ),
    "transfer": SuiteEntry(
        "transfer:Transfer",
        "Fit on the first data set, ask on the others, without any of their ids.",
        "limner eval transfer --data games/ --data office/ --system history --out results",
    ),
    "rating": SuiteEntry(
        "rating:Rating",
        "Which rating will each user give?",
        "limner eval rating --data movies/ --split global-time --out results",
    ),
    "pairs": SuiteEntry(
        "pairs:Pairs",
        "Which of a few items will each user choose, and what will it be rated?",
        "limner eval pairs --data movies/ --users 300 --set sampling=hard --out results",
    ),
    "qa": SuiteEntry(
        "qa:Qa",
        "Can a chat model answer for a user, given nothing, the raw history or a portrait?",
        "limner eval qa --data office/ --users 100 --out results",
    ),
    "profile": SuiteEntry(
        "profile:Profiles",
        "Are portraits grounded, specific, short and in the user's language?",
        "limner eval profile --data office/ --users 100 --out results",
    ),
    "junk": SuiteEntry(
        "junk:Junk",
        "Does what is noted of users rest on its own evidence?",
        "limner eval junk --data prefeval/ --set cues=200 --set judge=gpt-5-mini --out results",
    ),
    "cost": SuiteEntry(
        "cost:CostSuite",
        "Calls, tokens, seconds and money a user and a recommendation, against quality.",
        "limner eval cost --data office/ --system seqknn --system history --out results",
    ),
    "cards": SuiteEntry(
        "cards:Cards",
        "Are item cards written many at a time as good as those of three calls an item?",
        "limner eval cards --data beauty/ --set items=100 --set judge=gpt-5-mini --out results",
    ),
}
