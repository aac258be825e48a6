"""The commands of `docs/first-corpus.md` and what they print, remade.

Run: python -m bench.first_corpus
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.docs import replace_figures
from bench.week import MANIFESTS, build

PAGE = Path(__file__).parents[1] / "docs" / "first-corpus.md"
WIDTH = "80"
"""Columns of the terminal."""

COMMANDS = {
    "init": (
        *MANIFESTS,
        *("--audio-root", "data", "--language", "en", "--aligner", "embedded", "--yes"),
    ),
    "audit": ("--all",),
    "findings": ("--domain", "phone"),
    "clean-dry-run": ("--dry-run",),
    "clean": ("--fix", "--drop", "D001,D004", "--write-settings"),
    "audit-again": ("--name", "cleaned"),
    "train": ("round2-tiny", "--dry-run"),
}
"""By the name of their block on the page, which begins with that of the command."""


def command_of(name: str) -> list[str]:
    """The words after `asr`."""
    return [name.partition("-")[0], *COMMANDS[name]]


def walk(folder: Path, run: Callable[[list[str]], str]) -> dict[str, str]:
    """Run all commands in order on the corpus in `folder`.

    Args:
        folder: where `build` wrote the corpus.
        run: runs `asr` there with these words and returns what it prints.

    Returns:
        By the name of a block: its lines on the page.
    """
    blocks: dict[str, str] = {}
    for name in COMMANDS:
        blocks[name] = _indented(run(command_of(name)))
        if name == "init":
            blocks["settings"] = _indented((folder / "asr.toml").read_text())
    return blocks


def _indented(printed: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in printed.strip("\n").splitlines())


def main() -> None:
    """Make the corpus, run the commands, and put what they print on the page."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build(folder)
        environment = {
            **os.environ,
            "COLUMNS": WIDTH,
            "WANDB_DISABLED": "true",
            "XDG_STATE_HOME": str(folder / "state"),
        }

        def run(words: list[str]) -> str:
            asr = str(Path(sys.executable).parent / "asr")
            done = subprocess.run(
                [asr, *words], cwd=folder, env=environment, capture_output=True, text=True
            )
            # The first audit says STOP.
            if done.returncode not in (0, 20):
                sys.exit(done.stderr)
            return done.stdout

        for name, block in walk(folder, run).items():
            replace_figures(PAGE, name, block)


if __name__ == "__main__":
    main()
