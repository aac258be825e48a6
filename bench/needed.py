"""What a measurement cannot do without: speech and a model that are not part of the project."""

from __future__ import annotations

import argparse
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"


class Missing(SystemExit):
    """They are not there; the message names what, and the option."""


def speech_and_model(purpose: str | None) -> tuple[Path, str]:
    """The manifest and the acoustic model that the command line names, or those of development.

    Args:
        purpose: of the measurement; its first line is for `--help`.

    Raises:
        Missing: one of them is not there.
    """
    return _found(_parser(purpose).parse_args())


def hebrew_too(purpose: str | None) -> tuple[Path, str, str]:
    """As `speech_and_model`, and the Hebrew model: a folder's, or the one of the project.

    Raises:
        Missing: one of them is not there.
    """
    parser = _parser(purpose)
    parser.add_argument("--hebrew", type=Path, metavar="FOLDER", help="a Hebrew embedded model")
    arguments = parser.parse_args()
    return (
        *_found(arguments),
        "embedded" if arguments.hebrew is None else f"embedded:{arguments.hebrew.resolve()}",
    )


def _parser(purpose: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=purpose.splitlines()[0] if purpose else None)
    parser.add_argument("--data", type=Path, default=SHARED / "speech" / "manifest.jsonl")
    parser.add_argument(
        "--aligner", default=f"nemo:{SHARED / 'models' / 'quartznet15x5-en'}", metavar="SPEC"
    )
    return parser


def _found(arguments: argparse.Namespace) -> tuple[Path, str]:
    data: Path = arguments.data.resolve()
    if not data.is_file():
        raise Missing(f"{data}: no such manifest; name one of speech with --data")
    kind, _, folder = arguments.aligner.partition(":")
    if kind == "nemo" and not Path(folder).is_dir():
        raise Missing(f"{folder}: no such model; name one with --aligner")
    return data, arguments.aligner
