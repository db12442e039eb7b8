"""`Limner.recommend` on a real store and index in a folder; only the model is scripted."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner import Filters, Limner, LimnerSync, Recommendations
from limner.agents.recommend import recommend_keeping
from limner.cards import ItemCard
from limner.errors import InputError, UnknownUserError
from limner.settings import Settings, load_settings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.recommender.recommender_build import Held, Material, fit_weights
from limner.tools.scripted import Scripted, ScriptedChat

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
SHELVES = {
    "garden": ("roses", "compost", "orchids", "hedges", "ferns", "tulips"),
    "sky": ("comets", "nebulae", "planets", "meteors", "eclipses", "telescopes"),
}
ITEMS = [
    {"item_id": word, "title": f"The book of {word}", "categories": [shelf], "tags": [word, shelf]}
    for shelf, words in SHELVES.items()
    for word in words
]


def answer(request: ChatRequest) -> Scripted:
    """Foresee telescopes."""
    assert request.purpose == "next_item_words"
    return {"item": "A book of telescopes about the sky"}


def happened(user: str, words: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"item_id": word, "kind": "purchase", "at": START + timedelta(days=day), "event_id": f"{user}-{word}"}
        for day, word in enumerate(words)
    ]


def settings_in(folder: Path, **groups: Any) -> Settings:
    return load_settings(store=folder, embedder="hashing", drafting={"style": "free"}, **groups)


async def fill(limner: Limner) -> None:
    """Ten gardeners and ten stargazers go through their shelf in order; ada and bo are at its third book."""
    await limner.add_items(ITEMS)
    for shelf, words in SHELVES.items():
        for number in range(10):
            user = f"{shelf}-{number}"
            await limner.record(user, happened(user, words[:5]))
    await limner.record("ada", happened("ada", SHELVES["garden"][:3]))
    await limner.record("bo", happened("bo", SHELVES["sky"][:3]))


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat(answer)


@pytest.fixture
async def limner(tmp_path: Path, chat: ScriptedChat) -> AsyncIterator[Limner]:
    async with Limner(settings_in(tmp_path / "store"), chat=chat, clock=ManualClock(NOW)) as opened:
        await fill(opened)
        yield opened


def ids(found: Recommendations) -> list[str]:
    return [one.item_id for one in found.items]


async def test_what_followed_in_others_sequences_comes_first_and_says_why(
    limner: Limner, chat: ScriptedChat
) -> None:
    ada, bo = await limner.recommend("ada", k=2), await limner.recommend("bo", k=2)

    assert ids(ada) == ["hedges", "ferns"]
    assert ids(bo) == ["meteors", "eclipses"]
    first = ada.items[0]
    assert (first.place, first.title) == (1, "The book of hedges")
    assert sum(first.shares.values()) == pytest.approx(1, abs=1e-3)
    assert first.because == first.reasons[0].text
    [reason] = [reason for reason in first.reasons if reason.signal == "sequence"]
    # The newest book, right before hedges in everybody's order, says most; the one before it less.
    assert reason.evidence == ("ada-orchids", "ada-compost")
    assert reason.text == "Chosen along with “The book of orchids” and “The book of compost”."
    assert chat.requests == []


async def test_what_the_user_disliked_is_no_reason(limner: Limner) -> None:
    rated = [
        {"item_id": word, "kind": "rating", "rating": rating, "at": START + timedelta(days=day)}
        for day, (word, rating) in enumerate((("roses", 5), ("compost", 5), ("orchids", 1)))
    ]
    await limner.record("cleo", rated)

    found = await limner.recommend("cleo", k=3)

    told = {event_id for one in found.items for reason in one.reasons for event_id in reason.evidence}
    history = {event.event_id: event.item_id for event in await limner.history("cleo")}
    assert {history[event_id] for event_id in told} == {"roses", "compost"}
    assert not any("orchids" in reason.text for one in found.items for reason in one.reasons)


async def test_before_anybody_chose_anything_the_order_says_so(limner: Limner) -> None:
    found = await limner.recommend("ada", k=2, as_of=START - timedelta(days=1))

    assert found.notes == ("nobody had chosen anything by then, so the order means nothing",)


async def test_nobody_is_told_who_the_others_are(limner: Limner) -> None:
    told = (await limner.recommend("ada", k=5)).model_dump_json()

    assert not any(f"{shelf}-" in told for shelf in SHELVES)


async def test_nothing_at_or_after_the_moment_is_recommended_from(limner: Limner) -> None:
    cut = START + timedelta(days=30)
    before = await limner.recommend("ada", k=9, as_of=cut)
    for number in range(30):  # a canary: everybody runs from orchids to telescopes, at the moment itself
        user = f"late-{number}"
        await limner.record(
            user, [{"item_id": "orchids", "kind": "purchase", "at": cut, "event_id": f"a{number}"}]
        )
        await limner.record(
            user, [{"item_id": "telescopes", "kind": "purchase", "at": cut, "event_id": f"b{number}"}]
        )

    after = await limner.recommend("ada", k=9, as_of=cut)
    today = await limner.recommend("ada", k=9)

    assert after == before
    assert (
        "telescopes" not in ids(before)[:4] and "telescopes" in ids(today)[:3]
    )  # the canary sings where it may


async def test_filters_leave_out_what_they_name(limner: Limner) -> None:
    had = await limner.recommend("ada", k=12, filters=Filters(had=False))
    new = await limner.recommend("ada", k=12)
    sky = await limner.recommend("ada", k=12, filters=Filters(categories={"SKY"}))
    other = await limner.recommend("ada", k=12, filters=Filters(without={"sky"}, unavailable={"hedges"}))
    short = await limner.recommend(
        "ada", k=12, filters=Filters(available=lambda item: item.title.endswith("ferns"))
    )

    assert set(ids(had)) == {word for words in SHELVES.values() for word in words}
    assert set(ids(new)) == set(ids(had)) - set(SHELVES["garden"][:3])
    assert set(ids(sky)) == set(SHELVES["sky"])
    assert set(ids(other)) == {"ferns", "tulips"}
    assert (
        ids(short) == ["ferns"] and "1 of the catalogue's 12 items are left behind the filters" in short.notes
    )


async def test_an_item_that_nobody_ever_chose_is_reached_by_its_words(limner: Limner) -> None:
    found = ids(await limner.recommend("ada", k=9))

    # Tulips and telescopes are both new; only one of them shares words with what ada had.
    assert found.index("tulips") < found.index("telescopes")


async def test_a_user_without_a_history_gets_what_many_chose_lately_with_a_note(limner: Limner) -> None:
    await limner.record("new", [{"kind": "message", "at": START, "text": "hello"}])

    found = await limner.recommend("new", k=12, generate=True)

    assert "nothing the user had is in the catalogue" in found.notes[0]
    assert "nothing is known from which" in found.notes[1] and found.usage.calls == 0
    assert set(ids(found)[-2:]) == {"tulips", "telescopes"}  # nobody chose them
    assert {tuple(one.shares) for one in found.items[:5]} == {("trend",)}


async def test_a_store_in_which_nobody_chose_anything_still_answers(tmp_path: Path) -> None:
    async with Limner(settings_in(tmp_path), chat=ScriptedChat(), clock=ManualClock(NOW)) as limner:
        await limner.add_items(ITEMS)
        await limner.record("new", [{"kind": "message", "at": START, "text": "hello"}])

        found = await limner.recommend("new", k=3)

    assert len(found.items) == 3 and not found.calibrated


async def test_what_a_portrait_says_speaks_for_items_with_its_evidence(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, model="none")
    async with Limner(settings, clock=ManualClock(NOW)) as limner:
        await fill(limner)
        drawn = await limner.profile("ada")

        found = await limner.recommend("ada", k=3)
        earlier = await limner.recommend("ada", k=3, as_of=START + timedelta(days=30))

    told = [reason for one in found.items for reason in one.reasons if reason.signal == "profile"]
    assert told and set(told[0].evidence) <= {"ada-roses", "ada-compost", "ada-orchids"}
    assert told[0].evidence and any(claim.text in told[0].text for claim in drawn.claims)
    # The portrait was drawn for a later moment: it says nothing of an earlier one.
    assert not any("profile" in one.shares for one in earlier.items)


async def test_diversity_brings_in_the_other_shelf(limner: Limner) -> None:
    near = await limner.recommend("ada", k=3, diversity=0.0)
    far = await limner.recommend("ada", k=3, diversity=0.9)

    assert ids(near)[0] == ids(far)[0]
    assert set(ids(near)) == {"hedges", "ferns", "tulips"}
    assert set(ids(far)) & set(SHELVES["sky"])


async def test_unknown_users_and_bad_numbers_are_refused(limner: Limner) -> None:
    with pytest.raises(UnknownUserError, match="'nobody'"):
        await limner.recommend("nobody")
    with pytest.raises(InputError, match="`k` must be from 1 to 1000, got 0"):
        await limner.recommend("ada", k=0)
    with pytest.raises(InputError, match=r"`diversity` must be from 0 to 1, got 1\.5"):
        await limner.recommend("ada", diversity=1.5)
    with pytest.raises(InputError, match="`rerank` must be from 0 to 1000, got -1"):
        await limner.recommend("ada", rerank=-1)


async def test_an_empty_catalogue_is_refused(tmp_path: Path) -> None:
    async with Limner(settings_in(tmp_path), chat=ScriptedChat(), clock=ManualClock(NOW)) as limner:
        await limner.record("ada", happened("ada", ("roses",)))

        with pytest.raises(InputError, match="the catalogue is empty"):
            await limner.recommend("ada")


async def test_the_index_is_kept_until_something_changes(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "store" / "recommender" / "default.npz"
    first = await limner.recommend("ada")
    written = path.stat().st_mtime_ns
    again = await limner.recommend("bo")
    assert (again.index, path.stat().st_mtime_ns) == (first.index, written)
    async with Limner(settings_in(tmp_path / "store"), chat=ScriptedChat(), clock=ManualClock(NOW)) as other:
        assert await other.recommend("ada") == first
    assert path.stat().st_mtime_ns == written

    await limner.record("ada", happened("ada", ("comets",)))
    changed = await limner.recommend("ada")
    assert changed.index != first.index

    await limner.add_items([{"item_id": "moss", "title": "The book of moss", "categories": ["garden"]}])
    assert "moss" in ids(await limner.recommend("ada", k=12))


class TickingClock(ManualClock):
    """A clock that never shows the same moment twice, as real ones do."""

    def now(self) -> datetime:
        """Move on by a second."""
        self.advance(1)
        return super().now()


async def test_the_index_is_kept_while_time_passes(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with Limner(settings, chat=ScriptedChat(), clock=TickingClock(NOW)) as limner:
        await fill(limner)
        first = await limner.recommend("ada")
        back = await limner.recommend("ada", as_of=START + timedelta(days=3))
        second, third = await limner.recommend("bo"), await limner.recommend("ada")

        assert first.index == second.index == third.index != back.index
        assert await limner.recommend("ada", as_of=START + timedelta(days=3)) == back
    async with Limner(settings, chat=ScriptedChat(), clock=TickingClock(NOW + timedelta(days=1))) as other:
        assert (await other.recommend("ada")).index == first.index


async def test_an_index_never_answers_an_earlier_moment_whatever_the_counts_say(limner: Limner) -> None:
    cut = START + timedelta(days=30)
    late = [{"item_id": "telescopes", "kind": "purchase", "at": cut + timedelta(days=1), "event_id": "late"}]
    await limner.record("ada", late)
    before = await limner.recommend("ada", k=9, as_of=cut)
    today = await limner.recommend("ada", k=9)
    # One choice of the past comes in late: there are as many before the cut now as the index of today holds.
    await limner.record("bo", [{"item_id": "comets", "kind": "view", "at": cut - timedelta(days=9)}])

    after = await limner.recommend("ada", k=9, as_of=cut)

    assert after.index not in (before.index, today.index)
    assert "telescopes" in ids(after)


async def test_no_tenant_reads_the_index_of_another(tmp_path: Path) -> None:
    cut = START + timedelta(days=30)
    found: dict[str, Recommendations] = {}
    for tenant, shelf in (("shop", "garden"), ("shop-past", "sky")):
        settings = settings_in(tmp_path, tenant=tenant)
        async with Limner(settings, chat=ScriptedChat(), clock=ManualClock(NOW)) as limner:
            await limner.add_items(ITEMS)
            for number in range(10):
                await limner.record(f"u{number}", happened(f"u{number}", SHELVES[shelf][:5]))
            await limner.record("new", [{"kind": "message", "at": START, "text": "hello"}])
            await limner.recommend("new")  # so that the past has a file of its own
            found[tenant] = await limner.recommend("new", k=1, as_of=cut)

    assert ids(found["shop"])[0] in SHELVES["garden"] and ids(found["shop-past"])[0] in SHELVES["sky"]
    written = {path.name for path in (tmp_path / "recommender").iterdir()}
    assert written == {"shop.npz", "shop.past.npz", "shop-past.npz", "shop-past.past.npz"}


async def test_messages_do_not_crowd_out_what_the_user_had(limner: Limner) -> None:
    before = await limner.recommend("ada", k=3)
    chatter = [
        {"kind": "message", "at": START + timedelta(days=9, seconds=second), "text": f"hello {second}"}
        for second in range(220)
    ]
    await limner.record("ada", chatter)

    after = await limner.recommend("ada", k=3)

    assert (ids(after), after.notes) == (ids(before), before.notes) == (["hedges", "ferns", "tulips"], ())


async def test_what_the_model_wrote_is_logged_even_if_nobody_can_read_it(tmp_path: Path) -> None:
    chat = ScriptedChat(lambda request: {"thing": "A book"})
    async with Limner(settings_in(tmp_path), chat=chat, clock=ManualClock(NOW)) as limner:
        await fill(limner)
        found = await limner.recommend("ada", k=2, generate=True, outcome="telescopes")
        rollouts = [rollout async for rollout in limner.rollouts()]

    assert (ids(found), found.drafts) == (["hedges", "ferns"], ())
    assert found.notes == ("the model wrote no next item",)
    assert [(rollout.selected, rollout.rewards["total"]) for rollout in rollouts] == [(False, 0.0)] * 3


async def test_no_card_that_read_a_held_back_choice_speaks_where_weights_are_fitted(
    limner: Limner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item, read in (("ferns", "garden-0-ferns"), ("roses", "garden-0-roses"), ("moons", "")):
        card = ItemCard(
            item_id=item,
            liked_by=f"Suits people who like {item}.",
            disliked_by=f"Not for people who avoid {item}.",
            feature=f"Stands out for {item}.",
            read=(read,) if read else (),  # shown to the writer, and cited nowhere
            as_of=START + timedelta(days=20),
            language="en",
            source="model",
            fingerprint=item,
            created_at=NOW,
        )
        await limner.doors.store.put_cards([card])
    await limner.add_items([{"item_id": "moons", "title": "The book of moons"}])
    seen: list[Material] = []

    def spy(material: Material, held: Held) -> Any:
        seen.append(material)
        return fit_weights(material, held)

    monkeypatch.setattr(recommend_keeping, "fit_weights", spy)
    await limner.recommend("ada")

    [material] = seen
    assert material.cards is not None
    # Ferns are the last book of every gardener, so that somebody's choice of them is held back.
    assert [material.items[number].item_id for number in material.cards.items.tolist()] == ["moons", "roses"]


async def test_a_share_of_new_choices_may_be_missing_if_the_settings_say_so(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, recommend={"stale": 0.5})
    async with Limner(settings, chat=ScriptedChat(), clock=ManualClock(NOW)) as limner:
        await fill(limner)
        first = await limner.recommend("ada")
        await limner.record("ada", happened("ada", ("comets",)))

        second = await limner.recommend("ada")

    assert second.index == first.index
    assert "comets" not in ids(second)  # the user's own history is never stale


async def test_a_killed_build_leaves_the_old_index(
    limner: Limner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store" / "recommender" / "default.npz"
    await limner.recommend("ada")
    whole = path.read_bytes()
    await limner.record("ada", happened("ada", ("comets",)))

    def die(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", die)
    with pytest.raises(BaseException):  # noqa: B017  # whatever asyncio makes of an interrupt
        await limner.recommend("ada")

    assert path.read_bytes() == whole
    assert [entry.name for entry in path.parent.iterdir()] == ["default.npz"]


async def test_a_damaged_index_is_built_anew(limner: Limner, tmp_path: Path) -> None:
    first = await limner.recommend("ada")
    path = tmp_path / "store" / "recommender" / "default.npz"
    path.write_bytes(path.read_bytes()[:1000])

    async with Limner(settings_in(tmp_path / "store"), chat=ScriptedChat(), clock=ManualClock(NOW)) as other:
        assert await other.recommend("ada") == first


async def test_what_the_model_foresees_is_grounded_in_the_catalogue_and_logged(limner: Limner) -> None:
    plain = await limner.recommend("ada", k=9)
    found = await limner.recommend("ada", k=9, generate=True, outcome="telescopes")

    assert found.drafts == ("A book of telescopes about the sky",) * 3
    assert ids(found).index("telescopes") < ids(plain).index("telescopes")
    [one] = [one for one in found.items if one.item_id == "telescopes"]
    assert "generated" in one.shares
    rollouts = [rollout async for rollout in limner.rollouts()]
    assert [rollout.prompt_id for rollout in rollouts] == ["next_item_words"] * 3
    # Nothing is nearer to the words than the telescopes themselves: NDCG is 1 / log2(1 + 1).
    assert [rollout.rewards["rank"] for rollout in rollouts] == [1.0] * 3
    assert "telescopes" not in str(rollouts[0].messages)


async def test_a_budget_that_is_spent_leaves_the_signals_alone(limner: Limner, chat: ScriptedChat) -> None:
    budget = Budget(load_settings(budget={"calls": 1}).budget)

    found = await limner.recommend("ada", k=2, generate=True, budget=budget)

    assert len(chat.requests) == 1
    assert ids(found) == ["hedges", "ferns"]
    assert len(found.drafts) == 1


async def test_pairs_that_the_budget_cannot_pay_leave_the_order_with_a_note(
    limner: Limner, chat: ScriptedChat
) -> None:
    budget = Budget(load_settings(budget={"tokens": 1}).budget)

    found = await limner.recommend("ada", k=2, rerank=4, budget=budget)

    assert ids(found) == ["hedges", "ferns"]
    assert found.notes[0].startswith("not ranked again by pairs: ")
    assert chat.requests == []


async def test_many_users_stream_with_their_errors(limner: Limner) -> None:
    outcomes = {one.user_id: one async for one in limner.recommend_many(["ada", "nobody", "bo"], k=1)}

    assert isinstance(outcomes["nobody"].error, UnknownUserError)
    alone = await limner.recommend("ada", k=1, explain=False)
    assert outcomes["ada"].recommendations == alone
    everybody = [one.user_id async for one in limner.recommend_many(k=1)]
    assert len(everybody) == 22


def test_the_plain_twin_says_the_same(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def asynchronous() -> Recommendations:
        async with Limner(settings, chat=ScriptedChat(), clock=ManualClock(NOW)) as limner:
            await fill(limner)
            return await limner.recommend("ada")

    expected = asyncio.run(asynchronous())
    with LimnerSync(settings, chat=ScriptedChat(), clock=ManualClock(NOW)) as twin:
        assert twin.recommend("ada") == expected
        [one] = twin.recommend_many(["ada"], explain=True)
        assert one.recommendations == expected


Invoke = Callable[..., Any]


def test_the_command_prints_a_document_a_line_for_everybody(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from limner.cli import app

    async def prepare() -> None:
        async with Limner(settings_in(tmp_path), chat=ScriptedChat()) as limner:
            await fill(limner)
            await limner.add_items(
                [{"item_id": "[x]", "title": "Steel [/bold] hedges", "categories": ["iron"]}]
            )

    asyncio.run(prepare())
    runner = CliRunner(env={"LIMNER_EMBEDDER": "hashing", "LIMNER_MODEL": "none"})
    one = runner.invoke(app, ["recommend", "ada", "-k", "2", "--json", "--store", str(tmp_path)])
    every = runner.invoke(app, ["recommend", "--all", "-k", "1", "--store", str(tmp_path)])
    table = runner.invoke(app, ["recommend", "ada", "--store", str(tmp_path)])
    marked = runner.invoke(app, ["recommend", "ada", "--category", "iron", "--store", str(tmp_path)])
    neither = runner.invoke(app, ["recommend", "--store", str(tmp_path)])

    assert [row["item_id"] for row in json.loads(one.stdout)["items"]] == ["hedges", "ferns"]
    lines = [json.loads(line) for line in every.stdout.splitlines()]
    assert len(lines) == 22 and all(len(line["items"]) == 1 for line in lines)
    assert "book of hedges" in table.stdout
    assert "[/bold]" in marked.stdout and "[x]" in marked.stdout  # titles are data, not markup
    assert neither.exit_code == 1 and "name one user, or give --all" in neither.stderr
