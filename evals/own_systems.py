"""Systems of one's own: a class in a file, or in a module that can be imported."""

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.abc import Loader
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from ..errors import LimnerError, SettingsError
from ..faults import first_fault
from ..records import content_hash
from .failing import failing_in
from .options import unknown
from .system import System
from .workspace import Workspace


def build_own(place: str, name: str, options: Mapping[str, str], workspace: Workspace) -> System:
    """Make a system of a class that the user wrote.

    Args:
        place: A path that ends in `.py`, or the name of a module.
        name: The class.
        options: Keyword arguments as typed; read as the constructor declares them.
        workspace: Given to a parameter called `workspace`.

    Raises:
        SettingsError: There is no such class, it is no system, or an option does not fit.
        SystemFailedError: Its file or its constructor raises.
    """
    spec = f"{place}::{name}"
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    made = getattr(module, name, None)
    if not isinstance(made, type):
        classes = tuple(key for key, value in vars(module).items() if inspect.isclass(value))
        raise SettingsError(spec, unknown(name, classes, f"classes of {place}"))
    parameters = _parameters(made)
    arguments: dict[str, object] = {
        key: _read(spec, key, value, parameters) for key, value in options.items()
    }
    if "workspace" in parameters:
        arguments["workspace"] = workspace
    try:
        inspect.signature(made).bind(**arguments)
    except TypeError as error:
        raise SettingsError(spec, f"cannot be made: {error}") from error
    with failing_in(spec, "__init__"):
        system: Any = made(**arguments)
    missing = [part for part in ("name", "fit", "score") if not hasattr(system, part)]
    if missing:
        raise SettingsError(spec, f"is no system; it lacks {', '.join(missing)} (see `limner.evals.system`)")
    found: System = system
    return found


def _load_file(place: str) -> ModuleType:
    path = Path(place).resolve()
    if not path.is_file():
        raise SettingsError(place, "there is no such file")
    name = f"limner_own_{path.stem}_{content_hash(str(path))[:8]}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None  # the name ends in `.py`
    module = importlib.util.module_from_spec(found)
    # Dataclasses and pickle look a class's module up by name.
    sys.modules[name] = module
    try:
        with failing_in(place, "import"):
            _run(found.loader, module, place)
    except LimnerError:
        del sys.modules[name]
        raise
    return module


def _run(loader: Loader, module: ModuleType, place: str) -> None:
    try:
        loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise SettingsError(place, f"cannot be imported: {error}") from error


def _load_module(place: str) -> ModuleType:
    with failing_in(place, "import"):
        try:
            return import_module(place)
        except (ImportError, SyntaxError, ValueError) as error:
            raise SettingsError(
                place, f"cannot be imported: {error}; give a path that ends in `.py`?"
            ) from error


def _parameters(made: type) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(made, eval_str=True)
    except NameError:  # an annotation that only type checkers can resolve
        found = inspect.signature(made)
    return dict(found.parameters)


def _read(spec: str, key: str, value: str, parameters: Mapping[str, inspect.Parameter]) -> object:
    """Read a value as its parameter declares it; as text where nothing is declared."""
    free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if key not in parameters and not free:
        known = tuple(name for name in parameters if name != "workspace")
        raise SettingsError(f"{spec}:{key}", unknown(key, known, "options"))
    declared = parameters[key].annotation if key in parameters else inspect.Parameter.empty
    if declared is inspect.Parameter.empty or isinstance(declared, str):
        return value
    try:
        return TypeAdapter[object](declared).validate_python(value)
    except ValidationError as error:
        raise SettingsError(f"{spec}:{key}", f"{first_fault(error).reason}, got {value!r}") from error
    except PydanticSchemaGenerationError:
        return value
