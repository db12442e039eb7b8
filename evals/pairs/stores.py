"""Stores that hold a past: one is filled, every way of ranking works in a copy of it."""

import shutil
from pathlib import Path

from ...face import Limner
from ...records import content_hash
from ...settings import Settings
from ...tools.space import load_space
from ...tools.waiting import wait_for
from ..portraits.painters import EXTRACTIVE
from ..portraits.portraits import LOCK, alone_in, hash_of, settings_of_store
from ..portraits.studio import FILLED, fill_store
from ..splits import Past
from ..workspace import Workspace


def copy_store(settings: Settings, past: Past, workspace: Workspace, folder: Path) -> None:
    """Put a store that holds the past into a folder that has none, by filling one once and copying it.

    Args:
        settings: With the encoder that the store's index is for.
        past: What it holds.
        workspace: Where stores lie.
        folder: Gets the copy.
    """
    if (folder / FILLED).exists():
        return
    way = content_hash(settings.embedder, settings.critic.space and load_space(settings.critic.space).name)
    base = workspace.folder / "pairs" / f"{past.card.name}-base-{hash_of(past)[:8]}{way[:8]}"
    with alone_in(base, workspace):
        if not (base / FILLED).exists():
            wait_for(_fill(settings_of_store(settings, base, EXTRACTIVE), past, workspace))
        draft = folder.with_name(f"{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(base, draft, ignore=shutil.ignore_patterns(LOCK))
    for path in sorted(
        draft.iterdir(), key=lambda path: path.name == FILLED
    ):  # the mark of a whole store last
        if (folder / path.name).is_dir():  # of a copy that was killed half way
            shutil.rmtree(folder / path.name)
        path.replace(folder / path.name)
    draft.rmdir()


async def _fill(settings: Settings, past: Past, workspace: Workspace) -> None:
    async with Limner(settings) as limner:
        await fill_store(limner, past, workspace)
