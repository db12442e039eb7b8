"""Commands of privacy: `forget`, `correct`, `export user`."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple, TextIO

import typer

from ..errors import InputError
from ..face import Limner
from ..models import Profile
from ..receipts import Receipt
from ..settings import Settings
from .common import JsonOption, StoreOption, fail, out, print_json, run, say, settings_for, wants_json

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "y": timedelta(days=365)}


class _Wanted(NamedTuple):
    """What a command line asks to forget."""

    words: str
    """In words, for the question before it is done."""

    scrub: bool
    user_id: str | None = None
    item: str | None = None
    event: str | None = None
    before: datetime | None = None

    async def forget(self, settings: Settings, *, dry_run: bool) -> Receipt:
        """Forget it, or only count."""
        how = {"dry_run": dry_run, "scrub": self.scrub}
        async with Limner(settings) as limner:
            if self.user_id is not None:
                return await limner.forget(self.user_id, item_id=self.item, event_id=self.event, **how)
            if self.item is not None:
                return await limner.forget_item(self.item, **how)
            if self.before is not None:
                return await limner.forget_older(self.before, **how)
            return await limner.forget_tenant(**how)


def forget(
    user_id: Annotated[str | None, typer.Argument(metavar="[USER]", help="Whom to forget.")] = None,
    item: Annotated[
        str | None,
        typer.Option("--item", help="Only what the user did with this item; without a user the item itself."),
    ] = None,
    event: Annotated[str | None, typer.Option("--event", help="Only this interaction of the user.")] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="AGE", help="Every interaction older than 365d, 52w, 1y or 12h."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="All that is held for the tenant.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish what was interrupted or left for later.")
    ] = False,
    later: Annotated[
        bool, typer.Option("--later", help="Leave rewriting the files to `limner forget --resume`.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go; touch nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget a user, an item, an interaction or what is old, everywhere, and print a receipt.

    Examples:  limner forget ada --dry-run  ·  limner forget ada --item b7 --yes  ·  limner forget --older-than 365d
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    if resume:
        return _resume(settings, as_json)
    try:
        wanted = _wanted(user_id, item, event, older_than, everything, scrub=not later)
    except InputError as error:
        fail(error, as_json=as_json)
    if not (yes or dry_run):
        if as_json:
            fail(InputError("add --yes to forget, or --dry-run to see what would go"), as_json=True)
        preview = run(lambda: wanted.forget(settings, dry_run=True), as_json=False)
        _show(preview, wanted.words)
        typer.confirm(_question(preview, wanted.words), abort=True)
    receipt = run(
        lambda: wanted.forget(settings, dry_run=dry_run), as_json=as_json, resume="limner forget --resume"
    )
    if as_json:
        return print_json(receipt.model_dump(mode="json"))
    _show(receipt, wanted.words)


def correct(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="Whose portrait.")],
    claim: Annotated[str, typer.Argument(help="Number of the claim, from 0, or its words.")],
    remove: Annotated[bool, typer.Option("--remove", help="It is wrong; leave it out.")] = False,
    replace: Annotated[str | None, typer.Option("--replace", help="What is right instead.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, in the user's words.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Correct a claim of a user's newest portrait, for good.

    Examples:  limner correct ada 2 --remove  ·  limner correct ada 0 --replace "Enjoys chamber music."
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)
    which = int(claim) if claim.isdecimal() else claim

    async def work() -> Profile:
        async with Limner(settings) as limner:
            return await limner.correct(user_id, which, remove=remove, replace=replace, reason=reason)

    profile = run(work, as_json=as_json)
    if as_json:
        return print_json(profile.model_dump(mode="json"))
    say(f"version {profile.version}")
    for number, each in enumerate(profile.claims):
        say(f"{number}  {each.text}")


def export_user(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="Whose data.")],
    path: Annotated[Path, typer.Option("--out", help="JSON file to write.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything that is held about a user to a JSON file.

    Example:  limner export user ada --out ada.json
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def work() -> dict[str, int]:
        from ..tools.whole_files import whole_file

        async with Limner(settings) as limner:
            with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
                return await _write(limner, user_id, file)

    counts = run(work, as_json=as_json)
    if as_json:
        return print_json({"file": str(path), "rows": counts})
    say(f"{path}: " + ", ".join(f"{count:,} {place}" for place, count in counts.items()))


async def _write(limner: Limner, user_id: str, file: TextIO) -> dict[str, int]:
    """Write what `Limner.export_user` returns, a row at a time; return how many rows each table has."""
    counts: dict[str, int] = {}
    head = {"user_id": user_id, "tenant": limner.settings.tenant, "at": datetime.now(UTC).isoformat()}
    file.write(json.dumps(head, ensure_ascii=False)[:-1])
    async for place, row in limner.stream_user(user_id):
        start = ",\n" if place in counts else f"{']' if counts else ''},\n{json.dumps(place)}: [\n"
        file.write(start + json.dumps(row, ensure_ascii=False))
        counts[place] = counts.get(place, 0) + 1
    file.write("]}\n")
    return counts


def _resume(settings: Settings, as_json: bool) -> None:
    async def work() -> int:
        async with Limner(settings) as limner:
            return limner.resumed + await limner.resume_forgets()

    count = run(work, as_json=as_json, resume="limner forget --resume")
    if as_json:
        return print_json({"finished": count})
    say(f"{count} forgets finished" if count else "nothing was left to finish")


def _wanted(
    user_id: str | None,
    item: str | None,
    event: str | None,
    older_than: str | None,
    everything: bool,
    *,
    scrub: bool,
) -> _Wanted:
    """Read what is to be forgotten.

    Raises:
        InputError: Nothing is named, or things that do not go together.
    """
    given = [user_id or item, older_than, everything or None]
    if sum(value is not None for value in given) != 1 or (event is not None and (user_id is None or item)):
        raise InputError(
            "name a user (with --item or --event for a part), --item ITEM, --older-than AGE, --everything or --resume"
        )
    if user_id is not None:
        part = (
            f"what user {user_id!r} did with item {item!r}"
            if item
            else f"event {event!r} of user {user_id!r}"
        )
        whole = f"user {user_id!r}"
        return _Wanted(part if item or event else whole, scrub, user_id, item, event)
    if item is not None:
        return _Wanted(f"item {item!r} and what anybody did with it", scrub, item=item)
    if older_than is not None:
        before = datetime.now(UTC) - _age(older_than)
        told = before.isoformat(timespec="minutes")
        return _Wanted(f"every interaction before {told}", scrub, before=before)
    return _Wanted("EVERYTHING of this tenant", scrub)


def _age(text: str) -> timedelta:
    """Read an age.

    Raises:
        InputError: It is none.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})([hdwy])", text.strip())
    if found is None:
        raise InputError(f"--older-than {text!r} is no age; write 365d, 52w, 1y or 12h")
    return int(found[1]) * _UNITS[found[2]]


def _question(preview: Receipt, words: str) -> str:
    """Return what is asked before anything is forgotten: where nothing is held, only the mark is left to make."""
    if preview.removed:
        return f"Forget {words}? This cannot be undone."
    return f"Mark {words} as forgotten all the same, so that an old file does not bring it in?"


def _show(receipt: Receipt, words: str) -> None:
    from rich.table import Table

    table = Table("place", "would go" if receipt.dry_run else "removed")
    for place, count in receipt.removed.items():
        table.add_row(place, f"{count:,}")
    if receipt.removed:
        out.print(table)
    elif receipt.user_id is None and receipt.item_id is None:
        say("Nothing is held.")
    else:
        say(f"Nothing is held of {words}{'; are the ids spelt right?' if receipt.dry_run else '.'}")
    for place, reason in receipt.kept.items():
        say(f"{'would stay' if receipt.dry_run else 'stays'}: {place}: {reason}")
    if not receipt.finished:
        say("the files are not rewritten yet: run `limner forget --resume`")
