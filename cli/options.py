"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def corpus_options(command: Any) -> Any:
    """`--audio-root` and `--split`, as the audit was given them."""
    command = click.option("--split", help="As given to asr audit.")(command)
    return click.option(
        "--audio-root", type=click.Path(path_type=Path), help="As given to asr audit."
    )(command)


def trust_options(command: Any) -> Any:
    """`--policy` and `--verify-key`: what a report must show before it is relied on."""
    command = click.option(
        "--verify-key",
        type=click.Path(path_type=Path),
        help="Public key (Ed25519, PEM) that must have signed the report.",
    )(command)
    return click.option(
        "--policy",
        type=click.Path(path_type=Path),
        help="Policy file under which the report must have been judged.",
    )(command)
