"""What a model was trained on, by the records of its runs, and whether it was tested on that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_gate.audit.gate import WANDB, NoVerdict, downloaded, read_report
from asr_gate.audit.gate.admission import rows_of
from asr_gate.audit.gate.read import check_tables
from asr_gate.audit.gate.remote import on_disk
from asr_gate.audit.records.report import REPORT_FILE, Report
from asr_gate.corpus.fingerprint import ABSENT, Fingerprint, fingerprint
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus
from asr_gate.train.record import RUN_FILE, RunRecord, read_record

GENERATIONS = 20
"""Runs that one was trained after another, at most."""
PREFIX = 16
"""Letters of an audio digest that a row digest holds."""


@dataclass(frozen=True)
class Ancestor:
    """A run that the model comes from, and the audit that it rests on."""

    run: Path
    record: RunRecord
    name: str
    """Of the report, for messages."""
    report: Report
    sounds: Mapping[str, str]
    """Ids of the rows that it trained on or that chose its checkpoint, by the digest of their
    audio, as far as a row digest holds it."""


def lineage(checkpoint: Path, report: str | None = None) -> Iterator[Ancestor]:
    """The run that made a checkpoint, then the run that made what it started from, and so on.

    Args:
        checkpoint: folder in the folder of a run.
        report: of the first run, where it is no longer where the run's record says.

    Raises:
        UserError: the checkpoint is not of a run, or a record cannot be read.
        NoVerdict: a report is missing, altered, or not the one that the run rests on.
    """
    folder: Path | None = checkpoint
    for _ in range(GENERATIONS):
        if folder is None:
            return
        run = folder.resolve().parent
        record = read_record(run)
        yield _ancestor(run, record, report or record.plan.report)
        report = None
        source = record.config.model.pretrained
        folder = Path(source) if source and _is_of_run(Path(source)) else None


def _is_of_run(checkpoint: Path) -> bool:
    """Whether a checkpoint lies in the folder of a run; of others nothing is known."""
    return (checkpoint.resolve().parent / RUN_FILE).is_file()


def _ancestor(run: Path, record: RunRecord, name: str) -> Ancestor:
    with _report_file(name) as file:
        found = read_report(file)
        check_tables(found, file.parent)
        if found.digest != record.phase0.digest:
            raise NoVerdict(
                f"{name}: is not the audit that {run} rests on (digest {record.phase0.digest[:19]}"
                "…); name that one with --report"
            )
        rows = rows_of(found, file.parent)
    if rows is None:
        raise NoVerdict(
            f"{name}: the digests of its rows are not beside it, so that nothing says what {run} "
            "was trained on; name the audit's folder with --report"
        )
    plan = record.plan
    unused = {*plan.test, *plan.set_aside, *plan.excluded, *(one.id for one in plan.refused)}
    sounds = {
        row.audio: id
        for id, row in rows.items()
        if row is not None and id not in unused and row.audio not in ABSENT
    }
    if own := plan.own.get("validation"):
        corpus = read_corpus(own.manifests)
        now = fingerprint(corpus, audio=found.dataset.fingerprint_audio, cached=False)
        if now.digest != own.fingerprint:
            raise NoVerdict(
                f"{', '.join(own.manifests)}: changed since {run} chose its best checkpoint on it; "
                "restore it"
            )
        sounds |= {sound[:PREFIX]: id for id, sound in now.sounds.items()}
    return Ancestor(run, record, name, found, sounds)


@contextlib.contextmanager
def _report_file(name: str) -> Iterator[Path]:
    if name.startswith(WANDB):
        with downloaded(name) as file:
            yield file
        return
    path = on_disk(name)
    yield path / REPORT_FILE if path.is_dir() else path


class Seen:
    """Test rows, hashed as each audit hashed its rows."""

    def __init__(self, corpus: Corpus) -> None:
        """Take the rows of one test set."""
        self._corpus = corpus
        self._fingerprints: dict[str, Fingerprint] = {}

    def require_apart(self, ancestor: Ancestor) -> None:
        """Refuse rows that a run trained on, or whose scores chose its checkpoint, by their audio.

        A recording of which any part was used counts as used.

        Raises:
            NoVerdict: there are such rows, or audio that cannot be read.
        """
        method = ancestor.report.dataset.fingerprint_audio
        if method not in self._fingerprints:
            self._fingerprints[method] = fingerprint(self._corpus, audio=method, cached=False)
        sounds = self._fingerprints[method].sounds
        origins = {row.id: row.origin for row in self._corpus.utterances}
        if gone := [id for id, sound in sounds.items() if sound in ABSENT]:
            raise NoVerdict(
                f"{origins[gone[0]]}: '{gone[0]}': its audio cannot be read, so that nothing says "
                "whether it was trained on"
            )
        used = [id for id, sound in sounds.items() if sound[:PREFIX] in ancestor.sounds]
        if used:
            row = ancestor.sounds[sounds[used[0]][:PREFIX]]
            many = f"{len(used)} of the {len(sounds)} rows"
            raise NoVerdict(
                f"{origins[used[0]]}: '{used[0]}' has the audio of '{row}', which {ancestor.run} "
                f"was trained or chosen on; take what is so out of the test ({many}), and gate "
                "the models again"
            )
