"""What an audit will take, before it is made: `asr audit --dry-run`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr_gate.audit.engine.ledger import Progress
from asr_gate.audit.engine.shards import cut
from asr_gate.audit.prepare import Prepared, Settings, prepare
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.sample.lot import lot
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance

MEASURED: Seconds = 60.0
"""So long a part of the sample is measured, beside the first shard."""
ON_CPU: Seconds = 5.0
"""Of `batch_seconds` of a shard here where a CPU measures: there nothing depends on it, and small
shards end near the minute."""
MACHINES = (4, 16)
"""For so many machines, too, the time is given."""
HOUR = 3600.0


@dataclass(frozen=True)
class Preview:
    """What an audit will take. Fields are in the order of `--json`."""

    aligner: str
    device: str
    utterances: int
    seconds: Seconds
    """Of all audio that can be read."""
    unreadable: int
    """Utterances without a length in manifest or header."""
    sample: int
    """Utterances that will be measured; with --until-decided at most so many."""
    sample_seconds: Seconds
    at_most: bool
    """Whether the audit may end earlier."""
    measured: int
    """Utterances that the rate was measured on."""
    measured_seconds: Seconds
    """Of audio in them."""
    rate: float
    """Seconds of audio measured in a second."""
    preparation: Seconds
    """To read the corpus, load the model and draw the sample; every machine has to."""
    measuring: Seconds
    """On this machine."""
    shards: int
    """No more machines than that can share the work."""
    price: float | None
    """Of this machine an hour; None: not given."""

    @property
    def total(self) -> Seconds:
        """On this machine; report and page come on top."""
        return self.preparation + self.measuring

    @property
    def cost(self) -> float | None:
        """Of this machine; None: no price is given."""
        return None if self.price is None else self.total / HOUR * self.price

    def on(self, machines: int) -> Seconds:
        """Time with so many machines like this one, each of which prepares by itself."""
        return self.preparation + self.measuring / min(machines, max(1, self.shards))

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        others = {f"on_{n}_machines": round(self.on(n), 1) for n in MACHINES}
        return asdict(self) | {"total": self.total, "cost": self.cost} | others


def preview(
    corpus: Corpus,
    settings: Settings,
    progress: Progress,
    *,
    began: float,
    price: float | None,
    clock: Callable[[], float] = time.monotonic,
) -> Preview:
    """Draw the sample as the audit would, and measure a minute of it; nothing is written.

    The first shard is measured and not counted: model and kernels are loaded in it. Where the
    sample is one shard, it counts.

    Args:
        corpus: as `asr_gate.corpus` read it.
        settings: of the audit.
        progress: who is told.
        began: when the corpus began to be read, by `clock`.
        price: of this machine an hour.
        clock: seconds.

    Raises:
        UserError: as for `audit`; or nothing of the sample can be read.
    """
    prepared = prepare(corpus, settings, progress)
    plan, lengths = prepared.plan, prepared.lengths
    ready = clock()
    readable = [u for u in plan.sample if lengths[u.id]]
    if not readable:
        raise UserError("no audio of the sample can be read: there is nothing to measure a rate on")
    found = _measure(prepared, readable, progress, clock)
    sample_seconds = sum(lengths[u.id] for u in plan.sample)
    passes = 1 if settings.adapt is None else 2
    training = 60 * (settings.adapt or 0.0)
    return Preview(
        aligner=settings.aligner,
        device=prepared.model.device,
        utterances=len(corpus.utterances),
        seconds=sum(lengths.values()),
        unreadable=sum(not length for length in lengths.values()),
        sample=len(plan.sample),
        sample_seconds=sample_seconds,
        at_most=settings.until_decided,
        measured=found.utterances,
        measured_seconds=found.seconds,
        rate=found.seconds / found.took,
        preparation=ready - began,
        measuring=passes * sample_seconds * found.took / found.seconds + training,
        shards=len(prepared.shards(plan.sample)),
        price=price,
    )


@dataclass(frozen=True)
class _Minute:
    utterances: int
    seconds: Seconds
    took: Seconds


def _measure(
    prepared: Prepared,
    readable: Sequence[Utterance],
    progress: Progress,
    clock: Callable[[], float],
) -> _Minute:
    """Measure rows of the sample, drawn by lot, as the audit would, until a minute is over."""
    drawn = sorted(readable, key=lambda u: lot("dry run", u.id))
    batch = ON_CPU if prepared.model.device == "cpu" else prepared.settings.batch_seconds
    shards = list(cut(drawn, batch, prepared.lengths))
    with prepared.search(progress.say) as search:
        work = prepared.work(prepared.model, prepared.plan.sample, search)
        measurer = work.measurer(prepared.model, None)
        try:
            progress.say(f"measures a part of the sample, for {MEASURED:.0f} s or so")
            progress.start(len(readable), 0)
            began = ended = clock()
            rows: list[Measured] = []
            for number, more in enumerate(measurer.each((one.rows, {}) for one in shards)):
                ended = clock()
                progress.advance(len(more), sum(row.duration for row in more))
                if number == 0 and len(shards) > 1:
                    began = ended
                    continue
                rows += more
                if ended - began >= MEASURED:
                    break
        finally:
            measurer.stop()
    return _Minute(len(rows), sum(prepared.lengths[row.id] for row in rows), ended - began)
