"""The report as its reader gets it: one page, read back with an HTML parser."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from limner.models import Claim, Facet, Profile, RecentEvent, Rollout
from limner.records import Interaction, Item, Usage
from limner.serve.report import write_report

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
VOID = {"meta", "link", "img", "br", "hr", "input"}
HOSTILE = "</p><script src=x>alert(1)</script><img src=x onerror=alert(1)> \"quoted' {{ 7 * 7 }}"


@dataclass
class Element:
    """A tag with its attributes and the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: tuple[str, ...] = ()


@dataclass
class Page(HTMLParser):
    """A page taken apart; a tag that is closed out of order or left open is an error."""

    elements: list[Element] = field(default_factory=list[Element])
    open: list[Element] = field(default_factory=list[Element])

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        inside = tuple(element.attributes.get("id", element.tag) for element in self.open)
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, inside=inside))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open and close an element."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be this one."""
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        """Add the text to every open element."""
        for element in self.open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of this tag that have these attributes; `class_` stands for `class`."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}.items()
        return [e for e in self.elements if e.tag == tag and wanted <= e.attributes.items()]


def words(text: str) -> str:
    return " ".join(text.split())


def event(number: int, text: str | None = None, **changes: object) -> Interaction:
    fields = {
        "user_id": "ada",
        "item_id": f"i{number}",
        "event_id": f"e{number}",
        "rating": 4.0,
        "text": text,
    }
    at = NOW - timedelta(days=10 - number)
    return Interaction.model_validate({"kind": "review", "at": at, **fields, **changes})


def profile(**changes: object) -> Profile:
    fields: dict[str, object] = {
        "user_id": "ada",
        "version": 3,
        "parent_version": 2,
        "as_of": NOW,
        "text": "Ada likes long trains and short books.",
        "likes": ("Loves trains.", "Reads short books."),
        "dislikes": ("Bored by boats.",),
        "facets": (Facet(name="rail", text="Loves trains."),),
        "claims": (
            Claim(text="Loves trains.", evidence=("e1", "e2"), confidence=0.8125),
            Claim(text="Bored by boats.", evidence=("e3",), confidence=0.5),
        ),
        "recent": (RecentEvent(event_id="e3", item_id="i3", title="Boat Book", kind="rating", at=NOW),),
        "language": "en",
        "source": "model",
        "reward": 0.625,
        "usage": Usage(calls=4, cached_calls=1, prompt_tokens=3000, completion_tokens=500, seconds=7.25),
        "model": "limner/tiny",
        "prompt_versions": {"draft_profiles": 2},
        "critic_version": "critic-1",
        "fingerprint": "f",
        "created_at": NOW,
    }
    return Profile.model_validate(fields | changes)


def draft(number: int, draft_ix: int, rewards: dict[str, float], **changes: object) -> Rollout:
    fields: dict[str, object] = {
        "rollout_id": f"r{number}-{draft_ix}",
        "run_id": "run",
        "user_id": "ada",
        "round": number,
        "draft_ix": draft_ix,
        "group_key": "g",
        "messages": (),
        "completion": "",
        "profile_text": "text",
        "finish_reason": "stop",
        "backend": "limner/tiny",
        "model_rev": "1",
        "temperature": 0.8,
        "top_p": 1.0,
        "selected": False,
        "selection_propensity": 0.0,
        "rewards": rewards,
        "critic_version": "critic-1",
        "as_of": NOW,
        "held": (),
        "neg_seed": 1,
        "prompt_id": "draft_profiles",
        "prompt_version": 2,
        "usage": Usage(prompt_tokens=1000, completion_tokens=200),
        "at": NOW,
    }
    return Rollout.model_validate(fields | changes)


DRAFTS = (
    draft(-1, 0, {"rank": 0.5, "ground": 1.0, "total": 0.5}),
    draft(0, 0, {"rank": 0.4, "total": 0.375}),
    draft(0, 1, {"rank": 0.55, "total": 0.5625}),
    draft(0, 2, {"leak": 1.0, "total": -1.0}),
    draft(0, 3, {}),
    draft(1, 0, {"rank": 0.7, "total": 0.625}, selected=True),
)
EVENTS = (event(1, "All aboard!"), event(2), event(3, "Seasick by page two.", rating=1.0))
ITEMS = (
    Item(item_id="i1", title="Night Train"),
    Item(item_id="i2", title="Signal Box"),
    Item(item_id="i3", title="Boat Book"),
)


def report(
    folder: Path,
    *profiles: Profile,
    rollouts: Mapping[str, Sequence[Rollout]] | None = None,
    events: Sequence[Interaction] = EVENTS,
    items: Sequence[Item] = ITEMS,
    title: str = "Portraits",
) -> tuple[Page, str]:
    path = folder / "report.html"
    write_report(
        path,
        profiles=profiles,
        rollouts={"ada": DRAFTS} if rollouts is None else rollouts,
        interactions={entry.event_id: entry for entry in events},
        items={item.item_id: item for item in items},
        title=title,
        notes=("Made for a test.",),
    )
    html = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page, html


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page, html = report(tmp_path, profile())
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    links = [element.attributes["href"] for element in page.elements if "href" in element.attributes]

    assert not any(mark in html for mark in ("http://", "https://", "src=", "<script", "url(", "@import"))
    assert policy[0].attributes["content"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert len(set(ids)) == len(ids)
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)


def test_the_page_has_landmarks_headings_in_order_and_named_drawings(tmp_path: Path) -> None:
    page, _ = report(tmp_path, profile(), profile(user_id="bob"))
    levels = [int(element.tag[1]) for element in page.elements if re.fullmatch(r"h\d", element.tag)]
    ids = {element.attributes.get("id") for element in page.elements}
    named = [
        name for element in page.elements for name in element.attributes.get("aria-labelledby", "").split()
    ]

    assert [len(page.all(tag)) for tag in ("main", "nav", "footer", "h1", "article")] == [1, 1, 1, 1, 2]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert set(named) <= ids
    assert all(svg.attributes["role"] == "img" for svg in page.all("svg"))


def test_a_claim_unfolds_its_evidence_in_the_users_words(tmp_path: Path) -> None:
    page, _ = report(tmp_path, profile(language="fr"))
    claims = [words(details.text) for details in page.all("details")]

    assert claims[0] == (
        "Loves trains. rail · support 0.81 "
        "Night Train rated 4, 2025-02-20 All aboard! Signal Box rated 4, 2025-02-21"
    )
    assert claims[1] == "Bored by boats. support 0.50 Boat Book rated 1, 2025-02-22 Seasick by page two."
    assert page.all("blockquote", lang="fr")[0].text == "All aboard!"
    assert page.all("p", class_="portrait", lang="fr")[0].text == "Ada likes long trains and short books."


def test_every_sentence_stands_once_under_the_way_it_points(tmp_path: Path) -> None:
    page, _ = report(tmp_path, profile())
    article = words(page.all("article")[0].text)

    assert article.index("Drawn to") < article.index("Loves trains.") < article.index("Reads short books.")
    assert article.index("Put off by") < article.index("Bored by boats.") < article.index("Lately")
    assert [article.count(text) for text in ("Loves trains.", "Reads short books.", "Bored by boats.")] == [
        1
    ] * 3


def test_evidence_of_one_sentence_in_two_claims_is_shown_together(tmp_path: Path) -> None:
    claims = (
        Claim(text="Loves trains.", evidence=("e1", "e2"), confidence=0.25),
        Claim(text="Loves trains.", evidence=("e2", "e3"), confidence=0.75),
    )
    page, _ = report(tmp_path, profile(claims=claims))

    details = words(page.all("details")[0].text)

    assert "support 0.75" in details
    assert [details.count(title) for title in ("Night Train", "Signal Box", "Boat Book")] == [1, 1, 1]


def test_evidence_that_is_missing_or_has_no_item_says_so(tmp_path: Path) -> None:
    claims = (Claim(text="Loves trains.", evidence=("e1", "gone", "e2"), confidence=0.5),)
    events = (event(1, "Trains please", item_id=None, kind="message", rating=None), event(2, item_id="new"))
    page, _ = report(tmp_path, profile(claims=claims), events=events)

    details = words(page.all("details")[0].text)

    assert "Message said, 2025-02-20 Trains please" in details
    assert "Event gone not part of this report" in details
    assert "Item without a title rated 4, 2025-02-21" in details


def test_the_plot_marks_the_published_draft_and_names_every_dot(tmp_path: Path) -> None:
    page, _ = report(tmp_path, profile())
    dots = [title.text for title in page.all("title") if title.inside[-1] == "g" and "user-1" in title.inside]
    published = [e for e in page.all("g") if "published" in e.attributes["class"].split()]

    assert dots == [
        "extractive floor: 0.500",
        "first draft 1: 0.375",
        "first draft 2: 0.562",
        "first draft 3: -1.000, leaked or unreadable",
        "revision 1, draft 1: 0.625, published",
    ]
    assert [words(element.text) for element in published] == [f"{dots[-1]} published"]
    verdict = (
        "revision 1, draft 1. +0.125 over the extractive floor. 1 leaked or could not be read (crosses)."
    )
    assert f"Published: {verdict} 1 of 6 drafts could not be scored." in words(page.all("article")[0].text)


def test_the_tables_hold_the_numbers_of_the_plot(tmp_path: Path) -> None:
    page, _ = report(tmp_path, profile())
    rows = [words(row.text) for row in page.all("tr") if "user-1" in row.inside]
    flat = [cell.text for cell in page.all("td")]
    triples = [flat[index : index + 3] for index in range(len(flat))]

    assert "first draft 4" in " ".join(rows)
    # floor, best first draft (the second, .5625), published; a term that is missing is a dash
    assert ["0.500", "0.550", "0.700"] in triples
    assert ["1.000", "—", "—"] in triples
    assert ["0.500", "0.562", "0.625"] in triples
    assert ["0.625", "0.8", "1,200"] in triples


def test_the_top_says_who_wrote_what_it_gained_and_what_it_cost(tmp_path: Path) -> None:
    second = profile(user_id="bob", source="extractive", model=None, usage=Usage(calls=1200, cost=0.25))
    rollouts = {
        "ada": (
            draft(-1, 0, {"total": 0.5}),
            draft(0, 0, {"total": 0.3}),
            draft(0, 1, {"total": 0.5}),
            draft(1, 0, {"total": 0.7}, selected=True),
        ),
        "bob": (draft(-1, 0, {"total": 0.2}, selected=True), draft(0, 0, {"total": 0.1})),
    }
    page, _ = report(tmp_path, profile(), second, rollouts=rollouts)
    figures = [words(entry.text) for entry in page.all("dd")][:6]
    means = [words(row.text) for row in page.all("tr")][1:5]

    assert figures[:3] == ["2", "50% 1 of 2", "1,204 and 1 from cache"]
    assert figures[3:] == ["3,500 500 written", "7.2 s summed over calls", "$0.2500"]
    # floor (.5 + .2) / 2, first (.4 + .1) / 2, published (.7 + .2) / 2, gain (.2 + 0) / 2; the half-width
    # for two values is 1.96 * |a - b| / sqrt(2) / sqrt(2) = .98 * |a - b|
    assert means == [
        "extractive floor0.3500.2942",
        "first draft, mean0.2500.2942",
        "published0.4500.4902",
        "gain over the floor+0.1000.1962",
    ]


def test_a_user_without_all_three_rewards_is_left_out_of_the_means(tmp_path: Path) -> None:
    page, html = report(tmp_path, profile(), profile(user_id="bob", reward=None, critic_version="critic-2"))

    assert "1 of 2 users lack one of the three rewards and are left out." in words(html)
    assert "graded by different critics: their rewards do not compare" in words(html)
    assert words(page.all("tr")[1].text).endswith("1")


def test_a_profile_without_reward_says_why_and_draws_no_plot(tmp_path: Path) -> None:
    page, _ = report(tmp_path, profile(reward=None, reward_terms={}), rollouts={})

    assert page.all("svg") == []
    assert "too short to hold anything back" in page.all("article")[0].text
    assert "Ada likes long trains" in page.all("article")[0].text


def test_a_profile_whose_drafts_are_not_at_hand_shows_its_own_terms(tmp_path: Path) -> None:
    page, _ = report(tmp_path, profile(reward_terms={"rank": 0.75}), rollouts={})

    assert [words(row.text) for row in page.all("tr")][1:] == [
        "ranks the held-back items——0.750",
        "total——0.625",
    ]


def test_only_the_latest_run_counts_and_pairs_do_not(tmp_path: Path) -> None:
    old = [draft(0, 0, {"total": 0.9}, run_id="old", at=NOW - timedelta(days=1), selected=True)]
    pairs = [draft(0, 0, {"total": 0.8}, run_id="pair", item_id="i1", at=NOW + timedelta(days=1))]
    page, html = report(tmp_path, profile(), rollouts={"ada": [*pairs, *old, *DRAFTS]})

    assert "0.900" not in html
    assert "0.800" not in html
    assert sum("dot" in element.attributes["class"].split() for element in page.all("g")) == 5 + 3


def test_no_profiles_give_a_page_that_says_so(tmp_path: Path) -> None:
    page, _ = report(tmp_path)

    assert "There are no portraits to show." in words(page.all("main")[0].text)
    assert page.all("article") == page.all("nav") == page.all("svg") == []
    assert words(page.all("dd")[1].text) == "— 0 of 0"


def test_hostile_text_stays_text_wherever_it_comes_from(tmp_path: Path) -> None:
    rail = f"Loves trains. {HOSTILE}"
    hostile = profile(
        user_id=HOSTILE,
        text=HOSTILE,
        language=HOSTILE,
        likes=(rail,),
        facets=(Facet(name=HOSTILE, text=rail),),
        claims=(Claim(text=rail, evidence=("e1", HOSTILE), confidence=1.0),),
        recent=(RecentEvent(event_id="e1", item_id="i1", title=HOSTILE, kind="view", at=NOW),),
        notes=(HOSTILE,),
        model=HOSTILE,
        prompt_versions={HOSTILE: 1},
        critic_version=HOSTILE,
    )
    drafts = [draft(0, 0, {HOSTILE: 0.5, "total": 0.5}, selected=True)]
    page, html = report(
        tmp_path,
        hostile,
        rollouts={HOSTILE: drafts},
        events=(event(1, HOSTILE),),
        items=(Item(item_id="i1", title=HOSTILE),),
        title=HOSTILE,
    )

    assert "<script" not in html
    assert page.all("img") == []
    assert all(not name.startswith("on") and name != "src" for e in page.elements for name in e.attributes)
    assert page.all("h1")[0].text == HOSTILE
    assert page.all("blockquote")[0].text == HOSTILE
    # title (twice), user id (index and heading), text, language is an attribute, sentence and theme,
    # evidence: title, words, missing id; recent title, note, model, prompt, critic, reward term
    assert page.elements[0].text.count("{{ 7 * 7 }}") == 16


def test_text_of_any_kind_survives_and_control_characters_do_not(tmp_path: Path) -> None:
    page, html = report(tmp_path, profile(text="שלום 🚂 first\nsecond\x00\x08"))

    assert page.all("p", class_="portrait")[0].text == "שלום 🚂 first\nsecond"
    assert not set(html) & {chr(code) for code in range(32) if chr(code) not in "\t\n\r"}


def test_the_page_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    report(tmp_path / "deep" / "folder", profile())
    report(tmp_path / "deep" / "folder", profile(text="A later portrait."))

    assert [path.name for path in (tmp_path / "deep" / "folder").iterdir()] == ["report.html"]
    assert "A later portrait." in (tmp_path / "deep" / "folder" / "report.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()

    with pytest.raises(OSError, match=r"report\.html"):
        report(tmp_path, profile())

    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def luminance(colour: str) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance ."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_colour_contrasts_with_every_ground_in_light_and_dark(tmp_path: Path) -> None:
    _, html = report(tmp_path, profile())
    names = re.findall(r"--(\w+): (#[0-9a-f]{6})", html)
    schemes = [dict(names[: len(names) // 2]), dict(names[len(names) // 2 :])]

    for scheme in schemes:
        assert scheme.keys() == {"paper", "sheet", "ink", "quiet", "line", "accent", "cool", "wash"}
        for text in ("ink", "quiet", "accent", "cool"):
            for ground in ("paper", "sheet", "wash"):
                bright, dark = sorted((luminance(scheme[text]), luminance(scheme[ground])), reverse=True)
                assert (bright + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
