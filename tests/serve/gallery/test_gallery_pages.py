"""The gallery over HTTP: who gets in, what a page may contain, and what a form may do."""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from limner.serve.gallery.session import COOKIE
from limner.serve.http.app import create_app
from limner.serve.http.rooms import Rooms
from limner.settings import Settings
from limner.tools.clock import ManualClock
from limner.tools.keys import KeyRing
from limner.tools.scripted import ScriptedChat

VIEWS = ("user", "rewards", "map", "group", "pair", "versions", "forget")
ASSETS = ("gallery.css", "gallery.js", "mark.svg")


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """A running gallery and a browser without a screen."""

    app: FastAPI
    rooms: Rooms
    client: httpx.AsyncClient
    keys: Mapping[str, str]
    """Role to a key's words."""

    async def page(self, path: str, **words: str) -> str:
        """Return a page that must be there."""
        answer = await self.client.get(f"/gallery/{path}" if path else "/gallery", params=words)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def sign_in(self, role: str) -> None:
        """Type the key of a role."""
        answer = await self.client.post("/gallery/login", data={"key": self.keys[role]})
        assert answer.status_code == 303, answer.text


OpenGallery = Callable[..., AbstractAsyncContextManager[Gallery]]


@pytest.fixture
def open_gallery(settings: Settings, chat: ScriptedChat, clock: ManualClock) -> OpenGallery:
    """Open the gallery over a filled store where `ada` is drawn; with roles there is a key for each, else none."""

    @asynccontextmanager
    async def open_it(*roles: str) -> AsyncGenerator[Gallery]:
        async with Rooms(settings, chat=chat, clock=clock) as rooms:
            ring = KeyRing(rooms.shared.store.engine, clock)
            keys = {role: (await ring.add(settings.tenant, role))[1] for role in roles}
            app = create_app(settings, rooms=rooms)
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
            ):
                yield Gallery(app=app, rooms=rooms, client=client, keys=keys)

    return open_it


class Tags(HTMLParser):
    """A page as its tags: names with attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.words += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """Return the attributes of every tag of a name that has these."""
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]

    def text(self) -> str:
        """Return the words with single spaces."""
        return " ".join(self.words.split())


async def every_page(gallery: Gallery, user: str) -> dict[str, str]:
    """Return every page that looks at one user, and the list."""
    pages = {"people": await gallery.page("")}
    for view in VIEWS:
        pages[view] = await gallery.page(view, id=user)
    pages["pair with"] = await gallery.page("pair", id=user, item="roses")
    pages["search"] = await gallery.page("pair", id=user, q=user)
    pages["forget item"] = await gallery.page("forget", id=user, item="roses")
    pages["forget event"] = await gallery.page("forget", id=user, event=f"{user}-0")
    return pages


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page)
    assert found, "the page has no form that changes anything"
    return found[1]


def named(user: str, page: str) -> bool:
    """Whether a page names a user, as a word: a digest may hold the same letters."""
    return re.search(rf"\b{user}\b", page) is not None


async def send(gallery: Gallery, path: str, words: dict[str, Any], form: dict[str, str]) -> httpx.Response:
    answer: httpx.Response = await gallery.client.post(f"/gallery/{path}", params=words, data=form)
    return answer


# Who gets in


async def test_without_keys_the_gallery_is_open_and_with_them_it_asks_for_one(
    open_gallery: OpenGallery,
) -> None:
    async with open_gallery() as gallery:
        assert (await gallery.client.get("/gallery")).status_code == 200
    async with open_gallery("read") as gallery:
        for path in ("", *(f"/{view}?id=ada" for view in VIEWS)):
            answer = await gallery.client.get(f"/gallery{path}")
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/gallery/login?next=%2Fgallery")
            assert not named("ada", answer.text)


async def test_a_key_typed_once_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(
    open_gallery: OpenGallery,
) -> None:
    async with open_gallery("read") as gallery:
        answer = await gallery.client.post(
            "/gallery/login", data={"key": gallery.keys["read"], "next": "/gallery/user?id=ada"}
        )
        assert answer.headers["location"] == "/gallery/user?id=ada"
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/gallery"} <= {
            part.strip() for part in cookie.split(";")
        }
        assert gallery.keys["read"].rpartition("_")[2] not in cookie
        assert "ada" in await gallery.page("")


async def test_signing_in_leads_nowhere_else(open_gallery: OpenGallery) -> None:
    async with open_gallery("read") as gallery:
        for elsewhere in ("https://evil.example/", "//evil.example", "/galleryevil", "/v1/users", ""):
            form = {"key": gallery.keys["read"], "next": elsewhere}
            answer = await gallery.client.post("/gallery/login", data=form)
            assert answer.headers["location"] == "/gallery", elsewhere


async def test_a_wrong_key_opens_nothing_and_is_not_repeated(open_gallery: OpenGallery) -> None:
    async with open_gallery("read") as gallery:
        wrong = gallery.keys["read"][:-1] + "?"
        answer = await gallery.client.post("/gallery/login", data={"key": wrong})

        assert answer.status_code == 401
        assert wrong not in answer.text
        assert "set-cookie" not in answer.headers


async def test_a_session_ends_with_its_key_and_with_a_changed_cookie(open_gallery: OpenGallery) -> None:
    async with open_gallery("read", "admin") as gallery:
        await gallery.sign_in("admin")
        good = gallery.client.cookies[COOKIE]
        head, _, signature = good.rpartition(".")
        key_id, expires, nonce = head.split(".")
        forged = [
            f"{key_id}.{int(expires) + 1}.{nonce}.{signature}",
            f"{gallery.keys['read'].split('_')[1]}.{expires}.{nonce}.{signature}",
            f"{head}.{signature[:-1]}",
            "open.anything",
            "...",
        ]
        for cookie in forged:
            gallery.client.cookies.set(COOKIE, cookie, domain="127.0.0.1", path="/gallery")
            assert (await gallery.client.get("/gallery")).status_code == 303, cookie
        gallery.client.cookies.set(COOKIE, good, domain="127.0.0.1", path="/gallery")
        assert (await gallery.client.get("/gallery")).status_code == 200

        await gallery.app.state.gate.ring.revoke(key_id)
        assert (await gallery.client.get("/gallery")).status_code == 303


async def test_a_session_ends_after_half_a_day(open_gallery: OpenGallery, clock: ManualClock) -> None:
    async with open_gallery("read") as gallery:
        await gallery.sign_in("read")
        clock.advance(12 * 3600 - 1)
        assert (await gallery.client.get("/gallery")).status_code == 200
        clock.advance(1)
        assert (await gallery.client.get("/gallery")).status_code == 303


async def test_signing_out_ends_the_session(open_gallery: OpenGallery) -> None:
    async with open_gallery("read") as gallery:
        await gallery.sign_in("read")
        answer = await send(gallery, "logout", {}, {"token": token_in(await gallery.page(""))})

        assert answer.headers["location"] == "/gallery/login"
        assert (await gallery.client.get("/gallery")).status_code == 303


# What a form may do


CHANGES: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ("draw", {"id": "bo"}, {}),
    ("pair", {"id": "ada", "item": "roses"}, {}),
    ("correct", {"id": "ada", "claim": 0, "version": 1}, {"how": "remove", "sure": "yes"}),
    ("forget-item", {"id": "ada", "item": "roses"}, {"sure": "yes"}),
    ("forget-event", {"id": "ada", "event": "ada-0"}, {"sure": "yes"}),
    ("forget-user", {"id": "ada"}, {"typed": "ada"}),
)


async def test_nothing_changes_without_a_token_of_our_own_page(
    open_gallery: OpenGallery, chat: ScriptedChat
) -> None:
    async with open_gallery() as gallery:
        good = token_in(await gallery.page("forget", id="ada"))
        foreign = ({"origin": "http://127.0.0.1:9"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"})
        for path, words, form in CHANGES:
            for token in ("", "0" * 64, good[::-1]):
                assert (await send(gallery, path, words, {**form, "token": token})).status_code in (403, 422)
            for headers in foreign:
                answer = await gallery.client.post(
                    f"/gallery/{path}", params=words, data={**form, "token": good}, headers=headers
                )
                assert answer.status_code == 403, (path, headers)
        await nothing_changed(gallery)
        assert chat.requests == []


async def test_a_key_that_may_only_read_is_offered_no_change_and_can_make_none(
    open_gallery: OpenGallery,
) -> None:
    async with open_gallery("read") as gallery:
        await gallery.sign_in("read")
        token = token_in(await gallery.page(""))  # of the form that signs out
        pages = "".join((await every_page(gallery, "ada")).values())
        for path, words, form in CHANGES:
            answer = await send(gallery, path, words, {**form, "token": token})
            assert answer.status_code == 403, path
            assert f'action="/gallery/{path}?' not in pages
        assert 'action="/gallery/logout"' in pages
        await nothing_changed(gallery)


async def nothing_changed(gallery: Gallery) -> None:
    """Check that `ada` has all her events and the portrait that was drawn, and `bo` none."""
    async with gallery.rooms.limner("default") as limner:
        assert len(await limner.history("ada")) == 9
        drawn = await limner.stored_profile("ada")
        assert drawn is not None
        assert drawn.version == 1
        assert await limner.stored_profile("bo") is None
        assert await limner.doors.store.pair("ada", "roses") is None


async def test_a_user_is_forgotten_only_by_an_administrator(open_gallery: OpenGallery) -> None:
    async with open_gallery("write") as gallery:
        await gallery.sign_in("write")
        page = await gallery.page("forget", id="ada")
        answer = await send(gallery, "forget-user", {"id": "ada"}, {"typed": "ada", "token": token_in(page)})

        assert "role <q>admin</q>" in page
        assert answer.status_code == 403
        await nothing_changed(gallery)


async def test_changes_are_refused_until_they_are_confirmed(open_gallery: OpenGallery) -> None:
    async with open_gallery() as gallery:
        token = {"token": token_in(await gallery.page("forget", id="ada"))}
        unconfirmed: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
            ("correct", {"id": "ada", "claim": 0, "version": 1}, {"how": "remove"}),
            (
                "correct",
                {"id": "ada", "claim": 0, "version": 1},
                {"how": "replace", "words": " ", "sure": "yes"},
            ),
            ("forget-item", {"id": "ada", "item": "roses"}, {}),
            ("forget-event", {"id": "ada", "event": "ada-0"}, {}),
            ("forget-user", {"id": "ada"}, {"typed": "Ada"}),
        )
        for path, words, form in unconfirmed:
            answer = await send(gallery, path, words, {**form, **token})
            assert answer.status_code == 422, path
            assert 'role="alert"' in answer.text
            assert "nothing was changed" in answer.text
        await nothing_changed(gallery)


async def test_a_correction_is_published_as_a_version_and_shown_as_a_diff(open_gallery: OpenGallery) -> None:
    async with open_gallery() as gallery:
        page = await gallery.page("correct", id="ada", claim="0", version="1")
        form = {"how": "replace", "words": "Prefers violets.", "sure": "yes", "token": token_in(page)}

        answer = await send(gallery, "correct", {"id": "ada", "claim": 0, "version": 1}, form)

        assert answer.status_code == 200
        assert "Published as version 2" in answer.text
        assert "<ins>" in answer.text
        assert "<del>" in answer.text
        portrait = await gallery.page("user", id="ada")
        assert "Prefers violets." in portrait
        async with gallery.rooms.limner("default") as limner:
            corrected = await limner.stored_profile("ada")
        assert corrected is not None
        assert "Prefers violets." in corrected.text
        again = await send(gallery, "correct", {"id": "ada", "claim": 0, "version": 1}, form)
        assert again.status_code == 422  # version 1 is no longer what is shown
        assert "has changed meanwhile" in again.text


async def test_forgetting_an_item_says_before_what_would_go_and_after_what_went(
    open_gallery: OpenGallery,
) -> None:
    async with open_gallery() as gallery:
        before = await gallery.page("forget", id="ada", item="roses")
        answer = await send(
            gallery, "forget-item", {"id": "ada", "item": "roses"}, {"sure": "yes", "token": token_in(before)}
        )

        assert answer.status_code == 200
        said, receipt = Tags(before).text(), Tags(answer.text).text()
        assert re.search(r"interactions ?1 ", said)
        assert re.search(r"interactions ?1 ", receipt)
        assert "Roses" not in receipt  # it names nothing of what was forgotten
        async with gallery.rooms.limner("default") as limner:
            assert "roses" not in {event.item_id for event in await limner.history("ada")}
            assert "roses" in {event.item_id for event in await limner.history("bo")}


async def test_a_single_message_is_forgotten_and_all_else_stays(open_gallery: OpenGallery) -> None:
    said = {"kind": "message", "at": "2026-04-01", "text": "My knee hurts.", "event_id": "m1"}
    async with open_gallery() as gallery:
        async with gallery.rooms.limner("default") as limner:
            await limner.record("ada", [said])
        offered = Tags(await gallery.page("forget", id="ada"))
        assert offered.all("a", href="/gallery/forget?id=ada&event=m1")
        before = await gallery.page("forget", id="ada", event="m1")
        form = {"sure": "yes", "token": token_in(before)}

        answer = await send(gallery, "forget-event", {"id": "ada", "event": "m1"}, form)
        again = await send(gallery, "forget-event", {"id": "ada", "event": "m1"}, form)

        assert "My knee hurts." in before
        assert re.search(r"interactions ?1 ", Tags(before).text())
        assert answer.status_code == 200
        assert re.search(r"interactions ?1 ", Tags(answer.text).text())
        assert "knee" not in answer.text
        assert again.status_code == 404
        async with gallery.rooms.limner("default") as limner:
            assert [event.event_id for event in await limner.history("ada")] == [f"ada-{n}" for n in range(9)]


async def test_evidence_leads_to_forgetting_it_alone(open_gallery: OpenGallery) -> None:
    async with open_gallery() as gallery:
        page = Tags(await gallery.page("user", id="ada"))

        async with gallery.rooms.limner("default") as limner:
            drawn = await limner.stored_profile("ada")
        assert drawn is not None
        for event_id in drawn.claims[0].evidence:
            assert page.all("a", href=f"/gallery/forget?id=ada&event={event_id}")


async def test_older_events_are_a_page_further(open_gallery: OpenGallery) -> None:
    more = [
        {"kind": "message", "at": f"2026-04-{day:02}", "text": f"Day {day}.", "event_id": f"m{day:02}"}
        for day in range(1, 19)
    ]

    def events_on(page: Tags) -> list[str]:
        links = [parse_qs(urlsplit(tag["href"]).query) for tag in page.all("a")]
        return [words["event"][0] for words in links if "event" in words]

    async with open_gallery() as gallery:
        async with gallery.rooms.limner("default") as limner:
            await limner.record("ada", more)
        first = Tags(await gallery.page("forget", id="ada"))
        (older,) = first.all("a", rel="next")
        second = Tags((await gallery.client.get(older["href"])).text)

        # 18 messages and 9 reviews, newest first, 20 a page.
        newest = [f"m{day:02}" for day in range(18, 0, -1)] + [f"ada-{n}" for n in range(8, -1, -1)]
        assert events_on(first) == newest[:20]
        assert events_on(second) == newest[20:]
        assert second.all("a", rel="next") == []
        assert (await gallery.client.get("/gallery/forget?id=ada&before=nonsense")).status_code == 422


async def test_forgetting_a_user_ends_every_page_about_the_user(open_gallery: OpenGallery) -> None:
    async with open_gallery() as gallery:
        page = await gallery.page("forget", id="ada")
        answer = await send(
            gallery, "forget-user", {"id": "ada"}, {"typed": " ada ", "token": token_in(page)}
        )

        assert answer.status_code == 200
        assert "interactions" in answer.text
        assert not named("ada", await gallery.page(""))
        for view in VIEWS:
            assert (await gallery.client.get(f"/gallery/{view}?id=ada")).status_code == 404


async def test_drawing_says_its_cost_first_and_asks_the_model_only_by_its_button(
    open_gallery: OpenGallery, chat: ScriptedChat
) -> None:
    async with open_gallery() as gallery:
        asked = len(chat.requests)
        portrait, pair = (
            await gallery.page("user", id="bo"),
            await gallery.page("pair", id="bo", item="roses"),
        )
        assert "Drawing asks" in portrait
        assert "Drawing asks" in pair
        assert len(chat.requests) == asked

        drawn = await send(gallery, "pair", {"id": "bo", "item": "roses"}, {"token": token_in(pair)})

        assert drawn.headers["location"] == "/gallery/pair?id=bo&item=roses"
        assert len(chat.requests) > asked
        async with gallery.rooms.limner("default") as limner:
            stored = await limner.doors.store.pair("bo", "roses")
        assert stored is not None
        assert stored.item.profile in await gallery.page("pair", id="bo", item="roses")


# What a page may contain


async def test_whatever_people_wrote_reaches_the_page_as_text(
    open_gallery: OpenGallery, hostile: str
) -> None:
    async with open_gallery() as gallery:
        async with gallery.rooms.limner("default") as limner:
            await limner.profile(hostile)
        pages = await every_page(gallery, hostile)
        pages["hostile pair"] = await gallery.page("pair", id=hostile, item=hostile)

        for name, page in pages.items():
            taken = Tags(page)
            assert [tag["src"] for tag in taken.all("script")] == [
                tag["src"] for tag in Tags(pages["people"]).all("script")
            ], name
            assert taken.all("img") == [], name
            assert "{{ 7 * 7 }}" in taken.words, name  # as it was written, neither run nor dropped
            assert "alert(1)" in taken.words, name


async def test_pages_carry_no_code_or_style_of_their_own_and_load_only_from_here(
    open_gallery: OpenGallery,
) -> None:
    async with open_gallery() as gallery:
        for name, page in (await every_page(gallery, "ada")).items():
            taken = Tags(page)
            for tag, attributes in taken.tags:
                assert "style" not in attributes, (name, tag)
                assert not [key for key in attributes if key.startswith("on")], (name, tag)
                for key in ("src", "href", "action"):
                    address = attributes.get(key, "/gallery")
                    assert address.startswith(("/gallery", "#")), (name, tag, address)
            assert taken.all("style") == []
            assert all("src" in script for script in taken.all("script"))


async def test_every_answer_has_a_strict_policy_and_is_kept_by_nobody(open_gallery: OpenGallery) -> None:
    async with open_gallery() as gallery:
        for path in ("/gallery", "/gallery/user?id=ada", "/gallery/user?id=nobody", "/gallery/user"):
            headers = (await gallery.client.get(path)).headers
            policy = dict(
                part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
            )
            assert policy.pop("default-src") == "'none'"
            assert set(policy.values()) <= {"'self'", "'none'"}
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "same-origin"


async def test_files_of_the_page_may_be_kept_for_good_and_nothing_else_is_sent(
    open_gallery: OpenGallery,
) -> None:
    async with open_gallery() as gallery:
        page = Tags(await gallery.page(""))
        addresses = [tag["href"] for tag in page.all("link")] + [tag["src"] for tag in page.all("script")]
        for address in addresses:
            answer = await gallery.client.get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        assert {address.split("/")[-1].split("?")[0] for address in addresses} == set(ASSETS)
        for name in ("routes.py", "base.html.jinja", "..%2Fpages.py", "%2e%2e/pages.py"):
            assert (await gallery.client.get(f"/gallery/static/{name}")).status_code == 404


async def test_what_goes_wrong_is_a_page_too(open_gallery: OpenGallery) -> None:
    wrong = (
        ("user?id=nobody", 404, "Not found"),
        ("pair?id=ada&item=nothing", 404, "Not found"),
        ("forget?id=ada&item=lamps", 404, "Not found"),
        ("forget?id=ada&event=bo-0", 404, "Not found"),
        ("nothing/of/the/kind", 404, "no such page"),
        ("user", 422, "That cannot be"),
        ("versions?id=ada&old=x", 422, "That cannot be"),
        ("versions?id=ada&old=7", 422, "no version 7"),
        ("correct?id=ada&claim=99&version=1", 422, "has changed meanwhile"),
    )
    async with open_gallery() as gallery:
        for path, status, words in wrong:
            answer = await gallery.client.get(f"/gallery/{path}")
            assert answer.status_code == status, path
            assert answer.headers["content-type"].startswith("text/html")
            assert words in answer.text
            assert 'href="/gallery"' in answer.text


async def test_a_tenant_sees_nobody_of_another(open_gallery: OpenGallery) -> None:
    async with open_gallery("admin") as gallery:
        _, other = await gallery.app.state.gate.ring.add("elsewhere", "admin")
        await gallery.client.post("/gallery/login", data={"key": other})

        assert not named("ada", await gallery.page(""))
        for view in VIEWS:
            assert (await gallery.client.get(f"/gallery/{view}?id=ada")).status_code == 404


# Whether everybody can use it


def heading_levels(page: Tags) -> list[int]:
    return [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]


async def test_headings_are_in_order_and_fields_and_drawings_have_names(open_gallery: OpenGallery) -> None:
    async with open_gallery() as gallery:
        pages = await every_page(gallery, "ada")
        pages["correct"] = await gallery.page("correct", id="ada", claim="0", version="1")
        for name, page in pages.items():
            taken = Tags(page)
            levels = heading_levels(taken)
            assert levels.count(1) == levels.index(1) + 1 == 1, name
            assert all(below <= above + 1 for above, below in pairwise(levels)), (name, levels)
            ids = [attributes["id"] for _, attributes in taken.tags if "id" in attributes]
            assert len(ids) == len(set(ids)), name
            labelled = {label["for"] for label in taken.all("label")}
            fields = [tag for kind in ("input", "select", "textarea") for tag in taken.all(kind)]
            assert {tag["id"] for tag in fields if tag.get("type") != "hidden"} <= labelled, name
            for drawing in taken.all("svg"):
                assert drawing.get("aria-hidden") or {"aria-label", "aria-labelledby"} & drawing.keys(), name
            for attributes in (attributes for _, attributes in taken.tags):
                named = attributes.get("aria-labelledby", "") + " " + attributes.get("aria-describedby", "")
                assert set(named.split()) <= set(ids), (name, named)
            assert taken.all("a", href="#main")
            assert taken.all("main", id="main")
            assert taken.all("html", lang="en")


def palettes(css: str) -> Iterator[dict[str, str]]:
    """Yield the colours of the light page, and of the dark one."""
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", css, re.DOTALL)[:2]
    first = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    yield first
    yield first | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_colours_contrast_as_wcag_aa_asks_in_light_and_dark(root: Path) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    words = [
        (ink, ground) for ink in ("ink", "quiet", "accent", "cool") for ground in ("paper", "sheet", "wash")
    ]
    words += [("on-accent", "accent"), ("ink", "came"), ("ink", "went"), ("on-accent", "accent")]
    edges = [("edge", "sheet"), ("edge", "paper"), ("cool", "sheet"), ("accent", "paper")]
    schemes = list(palettes((root / "serve" / "gallery" / "gallery.css").read_text("utf-8")))

    assert schemes[0]["paper"] != schemes[1]["paper"]
    for colours in schemes:
        for ink, ground in words:
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for edge, ground in edges:
            assert contrast(colours[edge], colours[ground]) >= 3.0, (edge, ground)
