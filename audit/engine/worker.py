"""A worker: measures one shard after the other, wherever it runs, with a model that it loads once.

What it is given holds all that the measurements depend on, so that any worker gives the same; and
it says on what kind of machine it runs, where that is not the driver's.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from asr_gate.audit.acoustic import load_model
from asr_gate.audit.acoustic.interface import ModelInfo, Precision
from asr_gate.audit.controls.plant import Planting
from asr_gate.audit.engine.keys import code_version, processors
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.shards import Shard
from asr_gate.audit.engine.work import Work
from asr_gate.audit.pairing.search import TextSearch
from asr_gate.audit.pairing.texts import TextFile, text_file
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.digests import Method
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import ABSENT, Fingerprint
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance


@dataclass(frozen=True)
class Setup:
    """What a worker needs, whatever it measures."""

    aligner: str
    language: str | None
    device: str
    precision: Precision
    romanize: bool
    model: ModelInfo
    """Which must come out, but for what it was trained on."""
    code: Mapping[str, str]
    """Version of what measures, on the driver."""
    corpus: Corpus
    """Ids, texts and languages of the rows whose texts are searched."""
    files: Sequence[TextFile]
    """More texts, which must lie on each machine under the same path."""
    keep: bool
    """Whether the index of the texts is kept between audits."""
    audio: Method
    """How the digests of the audio were made."""
    batch_seconds: Seconds
    detector: Detector
    """What tells speech from other sound."""
    folder: Path
    """Where the driver runs, and what relative paths are relative to."""


@dataclass(frozen=True)
class Task:
    """A shard, with what is measured of it."""

    shard: Shard
    kept: Mapping[str, Measured]
    """What is measured of it already, by id."""
    transcripts: Mapping[str, Transcript]
    plantings: Mapping[str, Planting]
    compared: Collection[str]
    sounds: Mapping[str, str]
    """Digests of the audio, by id."""


def task_of(work: Work, shard: Shard, kept: Mapping[str, Measured]) -> Task:
    """What a worker is given of a shard: the corpus may be too large to send to each."""
    ids = [row.id for row in shard.rows]
    return Task(
        shard,
        {i: kept[i] for i in ids if i in kept},
        {i: work.transcripts[i] for i in ids},
        {i: work.plantings[i] for i in ids if i in work.plantings},
        {i for i in ids if i in work.compared},
        {i: work.identity.sounds[i] for i in ids},
    )


def searched(corpus: Corpus) -> Corpus:
    """A corpus with what is searched of it alone: no worker needs all audio."""
    rows, others = (
        [Utterance(row.id, row.text, Path(), "", "", lang=row.lang) for row in some]
        for some in (corpus.utterances, corpus.others)
    )
    return Corpus(rows, [str(Path(one).absolute()) for one in corpus.manifests], others=others)


def _same_there(file: TextFile) -> TextFile:
    """A file of texts on this machine.

    Raises:
        UserError: it is not there, or another.
    """
    found = text_file(Path(file.name))
    if found.digest != file.digest:
        raise UserError(f"--texts {file.name} is another file there")
    return found


class Worker:
    """Measures shards in a process of its own."""

    def __init__(self, setup: Setup, cores: int) -> None:
        """Nothing is loaded yet.

        Args:
            setup: what to measure with.
            cores: that may be used.
        """
        self._setup = setup
        self._cores = cores
        # Of one shard at a time.
        self._transcripts: dict[str, Transcript] = {}
        self._plantings: dict[str, Planting] = {}
        self._compared: set[str] = set()
        self._sounds: dict[str, str] = {}

    def open(self) -> list[str]:
        """Load the model; the kinds of processors here.

        Raises:
            UserError: the model cannot be loaded here, or what is installed here would measure
                something else than the driver expects.
        """
        setup = self._setup
        with suppress(OSError):  # it need not be there, if all paths are absolute
            os.chdir(setup.folder)
        different = [n for n, version in code_version().items() if setup.code.get(n) != version]
        if different:
            raise UserError(
                f"another version is installed there of {', '.join(different)}; install the same "
                "on all machines"
            )
        model = load_model(
            setup.aligner,
            language=setup.language,
            device=setup.device,
            precision=setup.precision,
            romanize=setup.romanize,
        )
        if replace(model.info, trained=None) != setup.model:
            raise UserError(f"--aligner {setup.aligner} is another model there")
        self._search = TextSearch(
            model,
            setup.corpus,
            [_same_there(file) for file in setup.files],
            made_by=setup.code,
            keep=setup.keep,
            say=lambda _: None,
        )
        self._measurer = Measurer(
            model,
            self._transcripts,
            self._plantings,
            setup.batch_seconds,
            Fingerprint("", {}, {}, setup.audio, self._sounds),
            None,
            self._search,
            self._compared,
            self._cores,
            setup.detector,
        )
        return processors()

    def close(self) -> None:
        """Remove what is not kept of the index of texts."""
        self._search.close()

    def measure(self, task: Task) -> list[Measured]:
        """What is missing of a shard.

        Raises:
            UserError: audio that the driver has read is not there: it is not the row's fault.
        """
        for own, given in (
            (self._transcripts, task.transcripts),
            (self._plantings, task.plantings),
            (self._sounds, task.sounds),
        ):
            own.clear()
            own.update(given)  # type: ignore[arg-type]
        self._compared.clear()
        self._compared.update(task.compared)
        rows = self._measurer.measure(task.shard.rows, task.kept)
        for u, row in zip(task.shard.rows, rows, strict=True):
            there = task.sounds[u.id] not in ABSENT
            if row.fault and there and isinstance(u.audio, Path) and not os.path.lexists(u.audio):
                raise UserError(
                    f"{u.audio} is not there; all machines need the audio under the same path"
                )
        return [row for row in rows if row.id not in task.kept]
