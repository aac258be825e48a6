"""`asr audit --dry-run`: what an audit will take."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import one_interrupt, show
from asr_gate.corpus.text.plain import plain

if TYPE_CHECKING:
    from asr_gate.audit.pipeline import Settings
    from asr_gate.audit.preview import Preview
    from asr_gate.cli.project import Reading


def show_preview(source: Reading, settings: Settings, price: float | None, as_json: bool) -> int:
    """Measure a part of the sample, print what the whole will take, and write nothing."""
    from asr_gate.audit.preview import preview
    from asr_gate.cli.progress import AuditProgress

    began = time.monotonic()
    with one_interrupt():
        try:
            with AuditProgress("measuring", "measured") as progress:
                found = preview(source.read(), settings, progress, began=began, price=price)
        except KeyboardInterrupt:
            click.echo("asr: interrupted; nothing was written", err=True)
            return 130
    show(lambda: click.echo(json.dumps(found.as_json(), indent=2) if as_json else table(found)))
    return 0


def table(found: Preview) -> str:
    from asr_gate.audit.preview import MACHINES

    most = "at most " if found.at_most else ""
    unreadable = f"; of {found.unreadable:,} no length is known" if found.unreadable else ""
    lines = [
        f"corpus     {found.utterances:,} utterances, {_duration(found.seconds)} of audio"
        f"{unreadable}",
        f"sample     {most}{found.sample:,} utterances, {_duration(found.sample_seconds)}, with "
        "the controls that are planted in them",
        f"rate       {found.rate:.1f} x real time by {plain(found.aligner)} on {found.device}, "
        f"measured on {found.measured:,} utterances, {_duration(found.measured_seconds)}",
        f"time       {most}{_duration(found.total)}: {_duration(found.preparation)} to prepare, "
        f"{_duration(found.measuring)} to measure; the report comes on top",
    ]
    others = [n for n in MACHINES if n <= found.shards]
    if others:
        times = ", ".join(f"{n} machines {_duration(found.on(n))}" for n in others)
        lines.append(f"           with --shard or --engine ray: {times}")
    if found.cost is not None:
        lines.append(f"cost       {most}{found.cost:.2f} at {found.price:g} an hour")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    """As people say it: 12 s, 3.5 min, 14.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
