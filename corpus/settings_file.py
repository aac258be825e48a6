"""Settings that people write as TOML: a mistake is one line, with its place and the nearest key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular

LINES = 500
"""Lines in which a key is looked for: files by hand are shorter, and the time grows as a square."""

Model = TypeVar("Model", bound=BaseModel)
Keys = Sequence[str | int]


def read_settings(path: Path, model: type[Model], *, missing: str = "no such file") -> Model:
    """Read a file and check it.

    Args:
        path: the file.
        model: what it may say; keys that it does not have are refused.
        missing: what to say if there is no such file.

    Raises:
        UserError: missing, not TOML, an unknown key, or a value that does not fit; names the line.
    """
    text, content = read_content(path, missing=missing)
    return checked(path, text, content, model)


def read_content(
    path: Path, *, missing: str = "no such file", shell_pipe: bool = False
) -> tuple[str, dict[str, Any]]:
    """Text and content of a file; `shell_pipe` as for `read_regular`.

    Raises:
        UserError: missing, or not TOML.
    """
    try:
        text = read_regular(path, SETTINGS_LIMIT, shell_pipe=shell_pipe).decode("utf-8-sig")
        return text, tomllib.loads(text)
    except FileNotFoundError as error:
        raise UserError(f"{path}: {missing}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise UserError(f"{path}: not TOML (nested too deeply)") from error
    except ValueError as error:
        raise UserError(f"{path}: not TOML ({error}); texts stand in quotes") from error


def checked(path: Path, text: str, content: Mapping[str, Any], model: type[Model]) -> Model:
    """What a file says, or what it says with other values beside it.

    Raises:
        UserError: an unknown key, or a value that does not fit; names the line.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # A key that is misspelt comes before the one that is missing for it.
        fault = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        raise UserError(f"{_place(path, text, fault['loc'])}: {_told(fault, model)}") from error


def line_of(path: Path, *keys: str | int) -> str:
    """`FILE:LINE` of a key, for messages about its value; the file alone where it is gone."""
    try:
        text = read_regular(path, SETTINGS_LIMIT).decode("utf-8-sig")
    except (OSError, ValueError):
        return str(path)
    return _place(path, text, keys)


def _place(path: Path, text: str, loc: Keys) -> str:
    line = _line(text, loc)
    return str(path) if line is None else f"{path}:{line}"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key that there is, in order; those of a list's entries under its own."""
    for name, field in model.model_fields.items():
        inner = [field.annotation, *get_args(field.annotation)]
        models = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
        if not models or field.annotation is not models[0]:
            yield f"{prefix}{name}"
        for one in models:
            yield from keys(one, f"{prefix}{name}.")


def _told(fault: Any, model: type[BaseModel]) -> str:
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"{where} is missing"
    if fault["type"] in ("model_type", "dict_type") and set(map(type, fault["loc"])) == {str}:
        return f"{where}: a section of keys, written [{where}], is expected"
    if fault["type"] != "extra_forbidden":
        what = str(fault["msg"]).removeprefix("Value error, ")
        return f"{where}: {what}" if where else what
    known = list(keys(model))
    plain = _plain(fault["loc"], model)
    section, _, last = plain.rpartition(".")
    tables = dict.fromkeys(key.partition(".")[0] for key in known if "." in key)
    there = [key for key in known if key.rpartition(".")[0] == section]
    if not section:
        there = [f"[{name}]" if name in tables else name for name in model.model_fields]
    by_last = {key.rpartition(".")[2]: key for key in reversed(known)}
    near = (
        [f"[{one}]" for one in difflib.get_close_matches(plain, tables, n=1) if not section]
        or difflib.get_close_matches(plain, known, n=1)
        or [by_last[one] for one in difflib.get_close_matches(last, by_last, n=1)]
    )
    meant = f"; the nearest is {near[0]}" if near else ""
    return f"{where}: there is no such key{meant}; there are {', '.join(there)}"


def _plain(loc: Keys, model: type[BaseModel]) -> str:
    """A dotted key without numbers of entries, and without names that the file chose."""
    known = {key for whole in keys(model) for key in _beginnings(whole)}
    parts: list[str] = []
    for part in loc[:-1]:
        if ".".join([*parts, str(part)]) in known:
            parts.append(str(part))
    return ".".join([*parts, str(loc[-1])])


def _beginnings(key: str) -> Iterator[str]:
    parts = key.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _line(text: str, loc: Keys) -> int | None:
    """The line on which a key begins, or what it is missing in; None: not found.

    tomllib tells no lines. A file that is cut before the key is whole without it.
    """
    lines = text.splitlines(keepends=True)[:LINES]
    for length in range(len(loc), 0, -1):
        whole = 0
        for number in range(1, len(lines) + 1):
            try:
                found = tomllib.loads("".join(lines[:number]))
            except (ValueError, RecursionError):
                continue  # within a value of several lines
            if _holds(found, loc[:length]):
                return whole + 1
            whole = number
    return None


def _holds(content: Any, loc: Keys) -> bool:
    for key in loc:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
