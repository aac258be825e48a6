"""The corpus that `asr.toml` names, written by a command."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular, write_atomically

_KEY = re.compile(r"\s*manifests\s*=")
_TABLE = re.compile(r"\s*\[\s*corpus\s*\]\s*(#.*)?$")


def write_manifests(file: Path, manifests: Sequence[str]) -> None:
    """Name manifests as `corpus.manifests`; every other line of the file stays as it is.

    Args:
        file: `asr.toml`; a new one is made if there is none.
        manifests: as they are named from its folder.

    Raises:
        UserError: it cannot be read or written, or the key is written in a way that this cannot
            change.
    """
    line = f"manifests = [{', '.join(json.dumps(one, ensure_ascii=False) for one in manifests)}]\n"
    try:
        text = ""
        if os.path.lexists(file):
            text = read_regular(file, SETTINGS_LIMIT).decode("utf-8-sig")
        before = tomllib.loads(text)
        new = _with_line(text, line)
        if not _changes_only_manifests(before, new, manifests):
            raise UserError(f"{file}: cannot be changed; write under [corpus]: {line.strip()}")
        write_atomically(file, new.encode())
    except OSError as error:
        raise UserError(f"{file}: cannot be read or written ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def _changes_only_manifests(before: dict[str, Any], new: str, manifests: Sequence[str]) -> bool:
    """Whether the new content says what the old one said, but for the manifests."""
    corpus = before.get("corpus", {})
    try:
        return isinstance(corpus, dict) and tomllib.loads(new) == before | {
            "corpus": corpus | {"manifests": list(manifests)}
        }
    except (ValueError, RecursionError):
        return False


def _with_line(text: str, line: str) -> str:
    """The text with the line in the place of `manifests`, or first in the table `corpus`."""
    lines = text.splitlines(keepends=True)
    table = next((n for n, one in enumerate(lines) if _TABLE.match(one)), None)
    if table is None:
        gap = "\n" if text else ""
        return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{gap}[corpus]\n{line}"
    lines[table] = lines[table].rstrip("\r\n") + "\n"
    for start in range(table + 1, len(lines)):
        if lines[start].lstrip().startswith("["):
            break
        if _KEY.match(lines[start]):
            end = _end_of_value(lines, start)
            return "".join([*lines[:start], line, *lines[end:]])
    return "".join([*lines[: table + 1], line, *lines[table + 1 :]])


def _end_of_value(lines: Sequence[str], start: int) -> int:
    """One past the last line of a key's value, which may stand on several."""
    for end in range(start + 1, len(lines) + 1):
        try:
            tomllib.loads("".join(lines[start:end]))
        except ValueError:
            continue
        return end
    return start + 1
