"""The gallery in a real Chromium: the ways people take through it, and what a browser would complain about."""

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self
from urllib.parse import quote, urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from limner.serve.http.app import create_app
from limner.serve.http.rooms import Rooms
from limner.settings import Settings
from limner.tools.clock import ManualClock
from limner.tools.keys import KeyRing
from limner.tools.scripted import ScriptedChat

VIEWS = ("user", "rewards", "map", "group", "pair", "versions", "forget")
NARROW = 360


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of the system."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        opened = playwright.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()


class Live:
    """A gallery behind a socket of this machine, in a thread of its own."""

    def __init__(self, settings: Settings, chat: ScriptedChat, clock: ManualClock, role: str | None) -> None:
        self.key = ""
        self._made = settings, chat, clock, role
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._socket.getsockname()[1]}/gallery"
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._server: uvicorn.Server | None = None
        self._ready = threading.Event()

    async def _serve(self) -> None:
        settings, chat, clock, role = self._made
        async with Rooms(settings, chat=chat, clock=clock) as rooms:
            if role:
                _, self.key = await KeyRing(rooms.shared.store.engine, clock).add(settings.tenant, role)
            app = create_app(settings, rooms=rooms)
            self._server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
            self._ready.set()  # the socket listens already: whoever comes early waits in its queue
            await self._server.serve(sockets=[self._socket])

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop, and wait until everything is closed."""
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(60)
        self._socket.close()


@pytest.fixture
def live(settings: Settings, chat: ScriptedChat, clock: ManualClock) -> Iterator[Live]:
    """A gallery without keys."""
    with Live(settings, chat, clock, None) as opened:
        yield opened


Look = Callable[..., Page]


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Open a page; at the end no console has said an error, and nothing left the machine."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_it(**options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]  # passed on as they are
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: _check_host(request.url, complaints))
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def _check_host(url: str, complaints: list[str]) -> None:
    if urlsplit(url).hostname != "127.0.0.1":
        complaints.append(f"asked {url}")


def test_a_user_is_found_and_each_claim_unfolds_what_it_rests_on(live: Live, look: Look) -> None:
    page = look()
    page.goto(live.base)
    page.get_by_label("User id starts with").fill("a")
    page.get_by_role("button", name="Find").click()
    assert page.locator(".wall a").all_inner_texts() == ["ada"]

    page.get_by_role("link", name="ada").click()
    claim = page.locator("details.claim").first
    evidence = claim.locator(".quote").first
    assert not evidence.is_visible()
    claim.locator("summary").click()

    assert evidence.is_visible()
    assert "Lovely, says ada." in evidence.inner_text()
    assert evidence.locator("time").get_attribute("datetime", timeout=1000) is not None
    for name in ("Rewards", "Map", "Group", "Pairs", "Versions", "Forget", "Portrait"):
        page.get_by_role("navigation", name="About this user").get_by_role("link", name=name).click()
        assert page.locator("[aria-current=page]").inner_text() == name
        assert page.get_by_role("heading", level=1).inner_text() == "ada"


def test_a_claim_is_corrected_and_the_receipt_shows_what_changed(live: Live, look: Look) -> None:
    page = look()
    page.goto(f"{live.base}/user?id=ada")
    old = page.locator("details.claim .says").first.inner_text()
    page.locator("details.claim summary").first.click()
    page.get_by_role("link", name="Correct this claim").first.click()
    page.get_by_label("New sentence").fill("Grows violets & <b>ivy</b>.")
    assert page.get_by_label("Say this instead").is_checked()  # typing chose it
    page.get_by_role("button", name="Publish the correction").click()
    assert page.url.startswith(f"{live.base}/correct?")  # the browser asks for the tick first
    page.get_by_label("Yes, publish this correction").check()
    page.get_by_role("button", name="Publish the correction").click()

    page.get_by_role("heading", name="Published as version 2").wait_for()
    assert "violets" in " ".join(page.locator("ins").all_inner_texts())
    page.get_by_role("link", name="Back to the portrait").click()
    assert "Grows violets & <b>ivy</b>." in page.locator(".portrait .text").inner_text()
    assert old not in page.locator(".portrait .text").inner_text()


def test_an_item_is_forgotten_and_then_the_user_each_with_a_receipt(live: Live, look: Look) -> None:
    page = look()
    page.goto(f"{live.base}/forget?id=ada")
    page.get_by_role("link", name="Forget… Comets").click()
    page.get_by_label("Yes, forget this item for this user").check()
    page.get_by_role("button", name="Forget this item").click()
    page.get_by_role("heading", name="The item is forgotten").wait_for()
    page.get_by_role("row", name="interactions 1", exact=True).wait_for()

    page.get_by_role("link", name="Back to the user").click()
    page.get_by_role("link", name="Forget", exact=True).click()
    assert page.get_by_role("link", name="Forget… Comets").count() == 0
    page.get_by_label("To confirm, type the user id ada").fill("ada")
    page.get_by_role("button", name="Forget this user").click()
    page.get_by_role("heading", name="The user is forgotten").wait_for()
    page.get_by_role("row", name="interactions 8", exact=True).wait_for()  # of nine, one went before

    page.get_by_role("link", name="Back to the gallery").click()
    assert "ada" not in page.locator(".wall a").all_inner_texts()


def test_a_single_event_is_forgotten_with_a_receipt(live: Live, look: Look) -> None:
    page = look()
    page.goto(f"{live.base}/forget?id=ada")
    page.get_by_role("link", name="Forget… the event of 2026-03-04: Comets").click()
    assert "Lovely, says ada." in page.locator(".quote").inner_text()
    page.get_by_label("Yes, forget this event for this user").check()
    page.get_by_role("button", name="Forget this event").click()

    page.get_by_role("heading", name="The event is forgotten").wait_for()
    page.get_by_role("row", name="interactions 1", exact=True).wait_for()
    page.get_by_role("link", name="Back to the user").click()
    assert "8 events" in page.locator(".facts-line").inner_text()


@pytest.mark.parametrize("width", [NARROW, 1280])
def test_the_whole_map_is_seen_and_its_numbers_can_be_read(live: Live, look: Look, width: int) -> None:
    page = look(viewport={"width": width, "height": 740})
    page.goto(f"{live.base}/map?id=ada")
    marks = page.locator(".spot").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"
    )
    numbers = page.locator(".mark-rec text").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().height)"
    )

    assert marks
    assert all(left >= 0 and right <= width for left, right in marks)
    assert min(numbers) > 9  # pixels
    assert page.locator(".regions:visible").count() <= 1


def test_everything_works_without_scripts(live: Live, look: Look) -> None:
    page = look(java_script_enabled=False)
    page.goto(f"{live.base}/pair?id=bo&q=planets")
    page.get_by_role("link", name="Planets").click()
    page.get_by_role("button", name="Draw this pair").click()

    page.get_by_role("heading", name="The person, for this item").wait_for()
    page.goto(f"{live.base}/forget?id=bo")
    page.get_by_label("To confirm, type").fill("bo")
    page.get_by_role("button", name="Forget this user").click()
    page.get_by_role("heading", name="The user is forgotten").wait_for()


def test_the_whole_way_can_be_gone_by_keyboard_and_the_focus_is_always_seen(live: Live, look: Look) -> None:
    page = look()

    def press_until(name: str) -> None:
        """Press Tab until something of this name has the focus; all before it must show theirs."""
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                """() => { const at = document.activeElement; const after = getComputedStyle(at, '::after');
                const own = getComputedStyle(at); const box = at.getBoundingClientRect();
                const shown = (style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
                return { words: (at.getAttribute('aria-label') || at.innerText || at.id).trim(),
                         seen: (shown(own) || shown(after)) && box.width > 0 && box.right > 0 }; }"""
            )
            assert focused["seen"], focused
            if focused["words"].startswith(name):
                return
        raise AssertionError(f"{name} cannot be reached")

    page.goto(live.base)
    press_until("Skip to the content")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    press_until("ada")
    page.keyboard.press("Enter")
    page.wait_for_url("**/user?id=ada")
    press_until(page.locator("details.claim .says").first.inner_text())
    page.keyboard.press("Enter")
    assert page.locator("details.claim[open]").count() == 1
    press_until("Correct this claim")
    page.keyboard.press("Enter")
    page.wait_for_url("**/correct?**")
    press_until("sure")
    page.keyboard.press("Space")
    press_until("Publish the correction")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Published as version 2").wait_for()


def test_nothing_scrolls_sideways_on_a_narrow_phone_and_targets_are_large_enough(
    live: Live, look: Look, hostile: str
) -> None:
    page = look(viewport={"width": NARROW, "height": 740}, is_mobile=True, has_touch=True)
    paths = ["", *(f"/{view}?id=ada" for view in VIEWS), f"/user?id={quote(hostile, safe='')}"]
    paths += ["/pair?id=ada&item=roses", "/correct?id=ada&claim=0&version=1", "/forget?id=ada&item=roses"]
    for path in paths:
        page.goto(live.base + path)
        for one in page.locator("details > summary").all():
            one.click()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= NARROW, (path, width)
        # WCAG 2.2, 2.5.8: 24 by 24 CSS pixels, links within a sentence excepted.
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, summary, select, .button, .tabs a, .wall li, .mark')]
            .map((at) => [at.innerText, at.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.width < 24 || box.height < 24)).map(([words]) => words)"""
        )
        assert small == [], path


def test_the_page_is_dark_where_dark_is_wanted_and_still_where_motion_is_not(live: Live, look: Look) -> None:
    def shade(page: Page) -> float:
        page.goto(f"{live.base}/user?id=ada")
        red, green, blue = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
        )
        return float(red + green + blue)

    moving = (
        "[...document.querySelectorAll('*')].some((at) => ['', '::before', '::after'].some((part) => "
        "['transitionDuration', 'animationDuration'].some((name) => "
        "parseFloat(getComputedStyle(at, part || null)[name]) > 0)))"
    )
    light, dark = look(color_scheme="light"), look(color_scheme="dark", reduced_motion="reduce")

    assert shade(light) > 3 * 200
    assert shade(dark) < 3 * 50
    assert light.evaluate(moving)
    assert not dark.evaluate(moving)


def test_what_a_mark_of_the_map_is_called_is_told_and_stands_in_a_table_too(live: Live, look: Look) -> None:
    page = look()
    page.goto(f"{live.base}/map?id=ada")
    mark = page.locator(".mark-rec").first
    name = mark.locator("title").text_content() or ""
    mark.locator("circle").dispatch_event("pointerover")  # another mark may lie over it

    assert page.locator(".pointed").inner_text() == name
    page.get_by_text("All marks as a table").click()
    page.get_by_role("rowheader", name=name.partition(". ")[2], exact=True).wait_for()


def test_markup_that_people_wrote_does_nothing(live: Live, look: Look, hostile: str) -> None:
    page = look()
    for view in VIEWS:
        page.goto(f"{live.base}/{view}?id={quote(hostile, safe='')}")
        assert page.title().startswith(("Portrait", "Rewards", "Map", "Group", "Pairs", "Versions", "Forget"))
        assert page.locator("main img").count() == 0
        assert page.get_by_role("heading", level=1).inner_text() == hostile


def test_a_key_is_typed_once_and_no_script_can_read_what_is_kept(
    settings: Settings, chat: ScriptedChat, clock: ManualClock, look: Look
) -> None:
    with Live(settings, chat, clock, "read") as live:
        page = look()
        page.goto(f"{live.base}/user?id=ada")
        page.get_by_label("API key").fill(live.key)
        page.get_by_role("button", name="Sign in").click()

        assert page.url == f"{live.base}/user?id=ada"
        assert page.evaluate("document.cookie") == ""
        assert page.get_by_role("link", name="Correct this claim").count() == 0
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{live.base}/user?id=ada")
        page.get_by_role("heading", name="Sign in").wait_for()
