"""Recipes on disk: found by name or file, changed by `key=value`, checked, and written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from asr_gate.corpus.strict import read_yaml_text
from asr_gate.tracking.redact import redact
from asr_gate.train.files import write_file
from asr_gate.train.recipes.model import FAMILIES
from asr_gate.train.recipes.scalars import SCALARS, expand
from asr_gate.train.recipes.schema import Recipe
from asr_gate.train.recipes.section import AUTO, RecipeError

RECIPES = Path(__file__).parent

ELSEWHERE = frozenset({"wandb", "logging", "budget"})
"""Sections of a recipe that say where a run is reported, and do not change it."""

OWN_AUTO = frozenset({"device", "data.hold_out_by", "model.kernels"})
"""Keys of which `auto` is a value like others; of the rest it leaves the number to the machine."""

FREE = (
    "checkpoints.*",
    "device",
    "sharding",
    "threads",
    "data.workers",
    "data.cache_gib",
    "data.audio_cache_gib",
    "evaluation.every_hours",
    "evaluation.every_steps",
    "evaluation.batch_seconds",
    "evaluation.target_wer",
    "model.kernels",
    "model.compile",
    "phases.*.gradient_checkpointing",
)
"""Keys that may change when a run is resumed, as patterns: they decide how fast, in how much memory
or how often, and of a result at most the last digits."""


def names() -> list[str]:
    """Names of the recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load(recipe: str, overrides: Sequence[str] = ()) -> tuple[str, Recipe]:
    """Read a recipe by name or from a YAML file, and apply `key.sub=value` overrides in order.

    Instead of a dotted key one of `scalars.SCALARS` may stand.

    Returns:
        The recipe's short name (the file's stem) and the recipe.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown key, or a value that does not fit.
    """
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(recipe, names(), n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise RecipeError(
            f"{recipe}: no such recipe; {meant}there are {', '.join(names())}, or name a YAML file"
        )
    # The first pass fills in the defaults, so that an override may set any key of the schema.
    complete = _validate(_read(path), recipe).model_dump()
    for override in overrides:
        _override(complete, override)
    return path.stem, _validate(complete, recipe)


def write(path: Path, recipe: Recipe, said: Sequence[str] = ()) -> None:
    """Write a recipe, with its overrides and defaults, as a file that `load` reads.

    Args:
        path: of the file.
        recipe: what it holds.
        said: lines of a comment at its top.

    Raises:
        UserError: the disk is full or not writable.
    """
    import yaml

    # A recipe cannot name a host; `load` would refuse the file. Whether W&B is on is for whoever
    # runs it to say.
    elsewhere = {"base_url", "enabled", "entity"}
    plain = redact(recipe.model_dump(mode="json", exclude={"wandb": elsewhere}))
    comment = "".join(f"# {line}\n" for line in said)
    text = comment + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    write_file(path, text.encode())


def overridden(overrides: Sequence[str], section: str) -> set[str]:
    """The keys of a section that the overrides set: `wandb.tags=[a]` sets `tags`."""
    keys = (override.partition("=")[0].split(".") for override in overrides)
    return {parts[1] for parts in keys if parts[0] == section and len(parts) > 1}


def origins(recipe: str, overrides: Sequence[str] = ()) -> dict[str, tuple[Any, str]]:
    """Every value of a recipe by its dotted key, with its origin.

    Errors as in `load`.
    """
    name, loaded = load(recipe, overrides)
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    written = dict(_values(_read(path)))
    given = {override.partition("=")[0] for override in overrides}
    for key in given & SCALARS.keys():
        value = 1 if key == "learning_rate" else loaded.epochs
        given |= expand(loaded.model_dump(), key, value).keys()

    def origin(key: str) -> str:
        # A list is one value, and an override may name a part of it.
        if any(f"{key}.".startswith(f"{one}.") or one.startswith(f"{key}.") for one in given):
            return "command line"
        inside = any(one == key or one.startswith(f"{key}.") for one in written)
        return f"recipe {name}" if inside else "default"

    return {key: (value, origin(key)) for key, value in _values(loaded.model_dump(mode="json"))}


def differences(name: str, ran: Recipe) -> dict[str, Any] | None:
    """What a run set otherwise than the recipe of its name, by dotted key; items of lists too.

    Without what says only where a run is reported, and what the recipe leaves to the machine.

    Args:
        name: of the recipe.
        ran: the recipe as it ran.

    Returns:
        None: no recipe of that name comes with the project.
    """
    if name not in names():
        return None
    given = load(name)[1]
    theirs = dict(_leaves(given.model_dump(mode="json")))
    return {
        key: ours
        for key, (ours, _) in changes(ran, given).items()
        if theirs.get(key) != AUTO or key in OWN_AUTO
    }


def changes(ours: Recipe, theirs: Recipe) -> dict[str, tuple[Any, Any]]:
    """Both values of each key that differs, by its dotted key; None where a side has no such key.

    Without what says only where a run is reported.
    """
    one, other = (
        dict(_leaves(recipe.model_dump(mode="json", exclude=set(ELSEWHERE))))
        for recipe in (ours, theirs)
    )
    return {
        key: (one.get(key), other.get(key))
        for key in one | other
        if key not in one or key not in other or one[key] != other[key]
    }


def is_free(key: str) -> bool:
    """Whether a dotted key is one of `FREE`."""
    return any(fnmatchcase(key, pattern) for pattern in FREE)


def chosen(before: Recipe, after: Recipe) -> dict[str, Any]:
    """What `auto` became, by dotted key; items of lists too."""
    ours, theirs = (dict(_leaves(one.model_dump(mode="json"))) for one in (before, after))
    return {key: theirs[key] for key, value in ours.items() if value == AUTO != theirs[key]}


def _leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key, those within lists too."""
    if isinstance(content, list) and content:
        content = dict(enumerate(content))
    if not isinstance(content, dict) or not content:
        yield prefix, content
        return
    for name, value in content.items():
        yield from _leaves(value, f"{prefix}.{name}" if prefix else str(name))


def _values(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key; a list is one value."""
    if not isinstance(content, dict) or not content:
        yield prefix, content
        return
    for name, value in content.items():
        yield from _values(value, f"{prefix}.{name}" if prefix else str(name))


def _read(path: Path) -> Any:
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        content = OmegaConf.to_container(OmegaConf.create(read_yaml_text(path)), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        raise RecipeError(f"{path}: not a recipe: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: not a recipe: nested too deeply") from error
    _refuse_interpolation(content, str(path))
    return content


def _refuse_interpolation(content: Any, where: str) -> None:
    """A recipe may come from anybody, and `${oc.env:…}` would put secrets into runs and files."""
    if isinstance(content, str) and "${" in content:
        raise RecipeError(
            f"{where}: {content!r}: a recipe holds plain values; write the value itself"
        )
    parts = content.values() if isinstance(content, dict) else content
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        return
    for part in parts:
        _refuse_interpolation(part, where)


def _validate(content: Any, origin: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        faults = (
            ": ".join(
                part
                for part in (
                    ".".join(_keys_of(fault["loc"])),
                    fault["msg"].removeprefix("Value error, "),
                )
                if part
            )
            for fault in error.errors()
        )
        raise RecipeError(f"{origin}: {'; '.join(faults)}") from error


def _keys_of(location: tuple[int | str, ...]) -> list[str]:
    """The keys of a recipe that an error is about; pydantic names the family among them."""
    return [
        str(part)
        for place, part in enumerate(location)
        if not (place == 1 and location[0] == "model" and part in FAMILIES)
    ]


def _override(content: dict[str, Any], override: str) -> None:
    """Set one `key.sub=value` in place; the key must exist."""
    key, equals, _ = override.partition("=")
    if not equals:
        raise RecipeError(f"{override}: an override has the form key=value, e.g. seed=7")
    if key in SCALARS:
        for dotted, one in expand(content, key, _value(override)).items():
            node, last = _place(content, dotted)
            node[last] = one
    else:
        node, last = _place(content, key)
        node[last] = _value(override)


def _place(content: dict[str, Any], key: str) -> tuple[Any, str | int]:
    """Where a dotted key stands: the list or mapping that holds it, and its name in there."""
    node: Any = {"": content}
    last: str | int = ""
    for part in key.split("."):
        node = node[last]
        if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            last = int(part)
        elif isinstance(node, dict) and part in node:
            last = part
        else:
            there = [*([] if "." in key else SCALARS), *_keys(content)]
            near = _nearest(key, there)
            raise RecipeError(f"{key}: the recipe has no such key; the nearest is {near}")
    return node, last


def _value(override: str) -> Any:
    """The value of a `key=value`."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    key, _, text = override.partition("=")
    try:
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise RecipeError(f"{override}: not a value: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise RecipeError(f"{key}: not a value: nested too deeply") from error
    _refuse_interpolation(value, key)
    assert isinstance(value, dict)
    return value["value"]


def _nearest(key: str, keys: Sequence[str]) -> str:
    """The key of a recipe that was most likely meant, with N and M for numbers in lists.

    By its last part, wherever it stands, then by the initials of that (`lr`), then as a whole.
    """
    last = key.rpartition(".")[2]
    by_last: dict[str, str] = {}
    for one in keys:
        by_last.setdefault(one.rpartition(".")[2], one)
    initials = {"".join(word[0] for word in name.split("_") if word): name for name in by_last}
    near = (
        [name for name in by_last if name == last]
        or ([initials[last]] if len(last) > 1 and last in initials else [])
        or difflib.get_close_matches(last, by_last, n=1, cutoff=0.8)
    )
    found = by_last[near[0]] if near else difflib.get_close_matches(key, keys, 1, cutoff=0.0)[0]
    for letter in "NM":
        found = re.sub(r"(?<=\.)\d+(?=\.|$)", letter, found, count=1)
    return found


def _keys(content: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a recipe, sections and values alike."""
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    else:
        return
    for name, value in items:
        yield f"{prefix}{name}"
        yield from _keys(value, f"{prefix}{name}.")
