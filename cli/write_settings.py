"""The corpus that `asr.toml` names, written by a command."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular, write_atomically
from asr_gate.corpus.labels import matches_manifest


def write_manifests(file: Path, manifests: Mapping[str, Sequence[str]]) -> None:
    """Name other manifests as `corpus.manifests`; all else in the file stays, comments too.

    Rules for the manifests before are written for those after as well: without them rows would lose
    their domains and splits.

    Args:
        file: `asr.toml`; a new one is made if there is none.
        manifests: by the name of each that was there before, those in its place.

    Raises:
        UserError: it cannot be read or written.
    """
    import tomlkit

    try:
        there = os.path.lexists(file)
        text = read_regular(file, SETTINGS_LIMIT).decode("utf-8-sig") if there else ""
        content = tomlkit.parse(text)
        corpus = content.setdefault("corpus", tomlkit.table())
        corpus["manifests"] = [name for names in manifests.values() for name in names]
        rules = corpus.get("rules", [])
        both = _for_both(rules, manifests)
        if len(both) > len(rules):  # else they stay as they are written, with their comments
            corpus["rules"] = both
        write_atomically(file, tomlkit.dumps(content).encode())
    except OSError as error:
        raise UserError(f"{file}: cannot be read or written ({error.strerror})") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def name_instead(file: Path, written: Iterable[tuple[str, Path]]) -> None:
    """Name in `asr.toml` what was written from each manifest, in the manifest's place.

    Args:
        file: `asr.toml`.
        written: manifests, and what was written from them.

    Raises:
        UserError: as `write_manifests`.
    """
    names: dict[str, list[str]] = {}
    for manifest, path in written:
        names.setdefault(manifest, []).append(str(path))
    write_manifests(file, names)


def last_lines(
    file: Path,
    named: Sequence[str],
    manifests: Iterable[str],
    what: str,
    following: str,
    *,
    wrote: bool,
) -> list[str]:
    """What a command says at the end, after it wrote a corpus again: of `asr.toml`, and what next.

    Args:
        file: `asr.toml`.
        named: the manifests that it named before.
        manifests: that were written again.
        what: was done to the corpus: `cleaned`.
        following: the command that audits it.
        wrote: whether the file names the result now.
    """
    lines = ["", "Next: audit it again, since it is other data now:", f"  {following}"]
    if wrote:
        return [f"{file} names the {what} corpus", *lines]
    if still := ", ".join(one for one in manifests if one in named):
        said = f"{file} still names {still}; --write-settings puts the {what} corpus there"
        return [said, *lines]
    return lines


def _for_both(
    rules: Iterable[Mapping[str, Any]], manifests: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """The rules, each that speaks of a manifest followed by the same for those in its place."""
    written: list[dict[str, Any]] = []
    for rule in rules:
        written.append(dict(rule))
        pattern = rule.get("manifest")
        if pattern is None:
            continue
        for before, after in manifests.items():
            if matches_manifest(pattern, before):
                written += [
                    {**rule, "manifest": glob.escape(name)}
                    for name in after
                    if not matches_manifest(pattern, name)
                ]
    return written
