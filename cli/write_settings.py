"""The corpus that `asr.toml` names, written by a command."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular, write_atomically


def write_manifests(file: Path, manifests: Sequence[str]) -> None:
    """Name manifests as `corpus.manifests`; all else in the file stays as it is, comments too.

    Args:
        file: `asr.toml`; a new one is made if there is none.
        manifests: as they are named from its folder.

    Raises:
        UserError: it cannot be read or written.
    """
    import tomlkit

    try:
        there = os.path.lexists(file)
        text = read_regular(file, SETTINGS_LIMIT).decode("utf-8-sig") if there else ""
        content = tomlkit.parse(text)
        content.setdefault("corpus", tomlkit.table())["manifests"] = list(manifests)
        write_atomically(file, tomlkit.dumps(content).encode())
    except OSError as error:
        raise UserError(f"{file}: cannot be read or written ({error.strerror})") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
