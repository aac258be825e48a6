"""`asr transcribe`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Literal

import click

from asr_gate.cli.main import debug_option, show

if TYPE_CHECKING:
    from asr_gate.train.evaluation.transcribe import Transcript

SUBTITLE = 7.0
"""Longest subtitle, in seconds: what a reader can follow."""


@click.command(
    "transcribe",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      asr transcribe runs/round2/final call.mp3 --language he
      asr transcribe runs/round2/final talk.flac --srt > talk.srt
    """,
)
@click.argument("checkpoint")
@click.argument("audio", nargs=-1, required=True, metavar="AUDIO...")
@click.option(
    "--language",
    metavar="CODE",
    help="Language that is spoken.  [default: of asr.toml, or as the model recognises it]",
)
@click.option("--json", "form", flag_value="json", help="Print one JSON object a file.")
@click.option("--srt", "form", flag_value="srt", help="Print subtitles; for one file.")
@click.option(
    "--batch-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Padded audio in one batch.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@debug_option
def command(
    checkpoint: str,
    audio: tuple[str, ...],
    language: str | None,
    form: Literal["json", "srt"] | None,
    batch_seconds: float,
    device: Literal["auto", "cpu", "cuda"],
) -> int:
    """Write down what CHECKPOINT hears in audio files, of up to two hours each.

    CHECKPOINT is a folder or hub id. A recording is cut at pauses into stretches of speech of at
    most 30 seconds (subtitles: 7). Of several files each line begins with the file's name.

    Exit codes: 0 all were transcribed; 2 bad usage, or a file could not be read (the others are).
    """
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.cli.project import load_project
    from asr_gate.corpus.text.plain import plain
    from asr_gate.train.evaluation.transcribe import LONGEST, Unread, transcribe

    if form == "srt" and len(audio) > 1:
        raise click.UsageError("--srt is for one audio file; call it once for each")
    # While the bar is shown, what is printed goes where the bar is: to standard error.
    out = None if sys.stdout.isatty() else sys.stdout
    unread = 0
    with AuditProgress("transcribing", "transcribed", "files") as progress:
        progress.start(len(audio), 0)
        for heard in transcribe(
            checkpoint,
            audio,
            language=language or load_project().corpus.language,
            longest=SUBTITLE if form == "srt" else LONGEST,
            batch_seconds=batch_seconds,
            device=device,
            advance=progress.advance,
        ):
            if isinstance(heard, Unread):
                unread += 1
                click.echo(f"asr: {plain(heard.reason)}", err=True)
                continue
            _warn(heard)
            text = _written(heard, form, several=len(audio) > 1)
            show(partial(click.echo, text, file=out, nl=form != "srt"))
    return 2 if unread else 0


def _warn(heard: Transcript) -> None:
    """Say what a reader of the text should know."""
    from asr_gate.corpus.text.plain import plain

    name = plain(heard.audio)
    if not heard.segments:
        click.echo(f"{name}: no speech found", err=True)
    for segment in heard.segments:
        if not segment.finished:
            click.echo(
                f"{name}: {segment.start:.2f}-{segment.end:.2f} s: the transcript ran on and was "
                "ended",
                err=True,
            )


def _written(heard: Transcript, form: Literal["json", "srt"] | None, *, several: bool) -> str:
    from asr_gate.corpus.text.plain import plain

    if form == "json":
        return json.dumps({**asdict(heard), "text": heard.text}, ensure_ascii=False)
    if form == "srt":
        return _as_subtitles(heard)
    return (f"{plain(heard.audio)}\t" if several else "") + plain(heard.text)


def _as_subtitles(heard: Transcript) -> str:
    import pysubs2

    subtitles = pysubs2.SSAFile()
    subtitles.events = [
        pysubs2.SSAEvent(start=round(1000 * one.start), end=round(1000 * one.end), text=one.text)
        for one in heard.segments
        if one.text
    ]
    # Otherwise a text in braces would be taken for a command, and left out.
    return str(subtitles.to_string("srt", keep_ssa_tags=True))
