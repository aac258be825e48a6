"""JSON, TOML and YAML from strangers: bounded, and with one meaning only."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular

DEEPEST = 50
"""Lists and mappings within each other in a YAML file."""


def parse_json(content: str | bytes) -> Any:
    """Parse JSON; a key that stands twice in an object is an error, not "the last one wins".

    Raises:
        ValueError: not JSON, a key that stands twice, or nested too deeply.
    """
    try:
        if isinstance(content, str) and not content.startswith("\ufeff"):
            return _DECODER.decode(content)
        return json.loads(content, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} stands twice in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
"""Made once: `json.loads` makes one for each line of a manifest."""


def read_json(path: Path, limit: int = SETTINGS_LIMIT) -> Any:
    """Read a JSON file.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `limit` bytes.
        ValueError: as `parse_json`; also bytes that are not UTF-8.
    """
    return parse_json(read_regular(path, limit))


def read_toml(path: Path, *, shell_pipe: bool = False) -> dict[str, Any]:
    """Read a TOML file that somebody wrote by hand.

    Args:
        path: the file.
        shell_pipe: as for `read_regular`.

    Raises:
        OSError: it cannot be read, is no regular file, or is too large.
        ValueError: not TOML, or not UTF-8.
    """
    try:
        content = read_regular(path, SETTINGS_LIMIT, shell_pipe=shell_pipe)
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_yaml_text(path: Path) -> str:
    """Read a YAML file as text that holds no aliases, which can stand for endless content.

    Raises:
        OSError: it cannot be read, is no regular file, or is too large.
        ValueError: it holds an alias, or is not UTF-8.
        yaml.YAMLError: not YAML.
    """
    import yaml

    text = read_regular(path, SETTINGS_LIMIT).decode("utf-8")
    depth = 0
    # libyaml's parser, where it is; both take a time that grows with the square of the depth.
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        where = event.start_mark.line + 1 if event.start_mark else "?"
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {where}: aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {where}: nested too deeply")
    return text
