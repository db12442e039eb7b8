"""Command `demo`: portraits of invented people, in the terminal and as a page."""

import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LimnerError, SettingsError
from ..face import Limner
from ..models import Profile, Rollout
from ..records import Interaction, Item, Usage
from .common import JsonOption, ModelOption, fail, note, out, print_json, run, settings_for, wants_json
from .portraits import evidence_titles, print_profile
from .progress import BatchProgress, index_progress

_MARK = ".limner-demo"
_SHOWN = 4
_USERS = 6


def demo(
    users: Annotated[
        int, typer.Option("--users", min=1, help="How many of the invented users to draw.")
    ] = _USERS,
    model: ModelOption = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder of the demo's store and page.")] = Path(
        "limner-demo"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Go on from an earlier demo in the folder.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw portraits of an invented sample with the embedded model. Needs no key and no network.

    Example:  limner demo --users 24
    """
    as_json = wants_json(as_json)
    store = folder / "store"
    if not keep:
        _clear(store, as_json)
    # Invented people must never land in a database that the environment or `limner.toml` names.
    settings = settings_for(store, model=model, tenant="default").model_copy(
        update={"database_url": None, "chroma_url": None}
    )

    async def work() -> list[Profile]:
        async with Limner(settings) as limner:
            await _import_sample(limner)
            with index_progress() as progress:
                await limner.prepare(progress)
            chosen = [user async for user in limner.users()][:users]
            profiles = await _draw(limner, chosen, as_json)
            await _write_page(limner, folder / "report.html", profiles)
            return profiles

    profiles = run(work, as_json=as_json, resume=f"limner demo --keep --users {users} --out {folder}")
    if as_json:
        print_json([profile.model_dump(mode="json") for profile in profiles])
    else:
        _print_summary(profiles, folder)


def _clear(store: Path, as_json: bool) -> None:
    """Delete an earlier demo's store, and nothing else."""
    if store.exists() and not (store / _MARK).exists():
        fail(
            SettingsError("out", f"{store} exists and is no demo's store; choose another --out"),
            as_json=as_json,
        )
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    (store / _MARK).touch()


async def _import_sample(limner: Limner) -> None:
    with as_file(files("limner") / "sample") as sample:
        for name in ("items.jsonl", "interactions.jsonl"):
            await limner.import_file(sample / name)


async def _draw(limner: Limner, users: list[str], as_json: bool) -> list[Profile]:
    drawn: dict[str, Profile] = {}
    failed: LimnerError | None = None
    with BatchProgress("Drawing invented people", len(users)) as progress:
        async for outcome in limner.profiles(users):
            progress.advance(outcome)
            failed = failed or outcome.error
            if outcome.profile:
                drawn[outcome.user_id] = outcome.profile
                if not as_json and len(drawn) <= _SHOWN:
                    print_profile(outcome.profile, await evidence_titles(limner.doors.store, outcome.profile))
    if failed and not drawn:
        raise failed
    return [drawn[user] for user in users if user in drawn]


async def _write_page(limner: Limner, path: Path, profiles: list[Profile]) -> None:
    from ..serve.report import write_report

    rollouts: dict[str, list[Rollout]] = {}
    async for rollout in limner.rollouts():
        rollouts.setdefault(rollout.user_id, []).append(rollout)
    interactions: dict[str, Interaction] = {}
    for profile in profiles:
        for event in await limner.history(profile.user_id):
            interactions[event.event_id] = event
    wanted = {event.item_id for event in interactions.values() if event.item_id}
    items: dict[str, Item] = await limner.items(sorted(wanted))
    write_report(
        path,
        profiles=profiles,
        rollouts=rollouts,
        interactions=interactions,
        items=items,
        title="Portraits of invented people",
        notes=["Everybody and everything here is invented; the sample comes with Limner."],
    )


def _print_summary(profiles: list[Profile], folder: Path) -> None:
    spent = Usage.total(profile.usage for profile in profiles)
    by_model = sum(profile.source == "model" for profile in profiles)
    out.print(
        f"{len(profiles)} portraits, {by_model} written by the model and {len(profiles) - by_model} extractive · "
        f"{spent.calls} calls, {spent.tokens:,} tokens, ${spent.cost:.2f}",
        highlight=False,
    )
    out.print(
        f"All of them, with evidence and rewards: {folder / 'report.html'}", highlight=False, soft_wrap=True
    )
    note(
        f"Next: {_typed()} show --store {folder / 'store'} {profiles[0].user_id}  ·  {_typed()} import YOUR.jsonl"
        if profiles
        else "Nothing was drawn."
    )


def _typed() -> str:
    """Return how to call this program: by its name where the shell finds it, else as it was called."""
    return "limner" if shutil.which("limner") else sys.argv[0]
