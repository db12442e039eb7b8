"""Exported profilers in the models folder, where `limner/NAME` finds them."""

import shutil
from pathlib import Path

from ...errors import InputError
from ...tools.profilers import DESCRIPTION, read_description
from ...tools.weights import KNOWN
from ...tools.whole_files import new_folder


def install(exported: Path, name: str, models_dir: Path, *, replace: bool = False) -> Path:
    """Copy an exported profiler into the models folder, whole or not at all; return its folder there.

    Args:
        exported: Folder that `export` wrote.
        name: `NAME` of `limner/NAME` from then on.
        models_dir: Folder that weights lie in.
        replace: Whether an installed profiler of this name gives way.

    Raises:
        BrokenProfilerError: The folder describes nothing that can be served.
        InputError: The name is taken.
    """
    check_name(name)
    check_free(name, models_dir, replace=replace)
    description = read_description(exported)
    wanted = [description.weights, description.adapter, description.card, DESCRIPTION]
    target, old, new = models_dir / name, models_dir / f".{name}.old", models_dir / f".{name}.new"
    shutil.rmtree(new, ignore_errors=True)  # of an installation that was killed
    with new_folder(new) as folder:
        for file in filter(None, wanted):
            shutil.copyfile(exported / file, folder / file)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def check_name(name: str) -> None:
    """Refuse what no profiler can be called.

    Raises:
        InputError: It is no plain file name, or that of known weights.
    """
    if Path(name).name != name or name.startswith(".") or any(known.name == name for known in KNOWN):
        raise InputError(f"`name` {name!r} cannot be a profiler's; choose one like `my-profiler`")


def check_free(name: str, models_dir: Path, *, replace: bool) -> None:
    """Refuse a name that is taken.

    Raises:
        InputError: Something else is called so.
    """
    if (models_dir / f"{name}.gguf").exists():
        raise InputError(f"`name` {name!r} is that of {models_dir / name}.gguf; choose another one")
    taken = models_dir / name
    if taken.exists() and not (replace and (taken / DESCRIPTION).is_file()):
        raise InputError(f"`name` {name!r} is taken by {taken}; choose another one, or replace it")
