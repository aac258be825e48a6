"""What `asr_gate` offers to Python code: a thin layer over what the commands call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from asr_gate.audit.gate import CautionNotAccepted, NoVerdict, Stopped
from asr_gate.audit.gate.remote import on_disk
from asr_gate.audit.gate.tables import AuditReport, load
from asr_gate.audit.records.report import REPORT_FILE, Report
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.mirror import named

if TYPE_CHECKING:
    from asr_gate.audit.engine.ledger import Progress

__all__ = [
    "AuditReport",
    "CautionNotAccepted",
    "NoVerdict",
    "Stopped",
    "UserError",
    "audit_corpus",
    "load_report",
    "verify",
]

PathLike = str | os.PathLike[str]


class _Quiet:
    """Progress that nobody asked to see."""

    def say(self, line: str) -> None: ...

    def start(self, total: int, done: int) -> None: ...

    def advance(self, utterances: int, seconds: float) -> None: ...


def audit_corpus(
    manifests: PathLike | Sequence[PathLike],
    *,
    name: str = "phase0",
    out: PathLike = "reports",
    aligner: str = "embedded",
    language: str | None = None,
    fraction: float | None = None,
    until_decided: bool = False,
    adapt_minutes: float | None = None,
    texts: Sequence[PathLike] = (),
    seed: int = 0,
    policy: PathLike | None = None,
    split: str | None = None,
    audio_root: PathLike | None = None,
    rules: Sequence[Mapping[str, str]] = (),
    controls: int | None = None,
    resume: bool = False,
    cache: bool = True,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto",
    romanize: bool = False,
    batch_seconds: float = 60.0,
    page_audio: bool = True,
    second_opinion: bool = False,
    merge: bool = False,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit a corpus, write its report, and return it; the same as `asr audit`, without tracking.

    Nothing is printed. Ctrl-C ends it; `resume=True` continues where it was.

    Args:
        manifests: one manifest or several, in any format that `asr audit` reads.
        name: of the audit, the folder under `out`.
        out: folder of all audits, or its URL: `s3://bucket/reports`. The report that is returned is
            a copy then.
        aligner: `embedded`, `embedded:FOLDER`, `mms`, `hf:ID`, `hf:FOLDER` or `nemo:FOLDER`.
        language: ISO 639 code of the transcripts.
        fraction: share of the corpus to sample, 0 to 1; None: the policy's.
        until_decided: stop as soon as the decision is certain; `fraction` is then the most.
        adapt_minutes: train the aligner on rows that a first pass trusts, for so many minutes of
            one core, as `--adapt`; None: do not.
        texts: files of more texts that a row may say: manifests, or FILE.txt with one a line.
        seed: decides the sample.
        policy: a policy file; None: the default policy.
        split: which split of the manifest or dataset.
        audio_root: one more folder that audio may lie in, beside the manifest's.
        rules: domains and splits by pattern, as `corpus.rules` of `asr.toml`, which is not read.
        controls: planted defects of each kind; None: the policy's, 0: none.
        resume: continue an interrupted audit.
        cache: use what earlier audits measured of the same audio and text, and keep what this one
            measures.
        device: where the acoustic model runs.
        precision: of the matrix products of `mms` and `hf:` models.
        romanize: give the aligner all texts in Latin letters, if it writes no others.
        batch_seconds: padded audio in one batch on a GPU, in seconds.
        page_audio: whether `report.html` holds audio.
        second_opinion: ask ctc-forced-aligner, too, of the rows that are excluded.
        merge: make the report of what `asr audit --shard` measured.
        engine: who measures: this process, or a Ray cluster.
        address: of the cluster, as `HOST:PORT`; None: `RAY_ADDRESS`, else one on this machine.
        workers: on the cluster; None: as many as it has room for.
        gpus_per_worker: share of a GPU that each takes; None: 1, if there are GPUs.
        progress: is told how far the audit is; from several threads, one at a time.

    Raises:
        UserError: bad input; the message names the file and how to fix it.

    Example:
        >>> report = asr_gate.audit_corpus("train.jsonl", aligner="mms", language="he")
        >>> report.decision, report.content.low_quality_percentage
        ('PROCEED', 3.3)
    """
    from asr_gate.audit.engine.on_ray import RayOptions
    from asr_gate.audit.pipeline import Interrupted, Settings, audit
    from asr_gate.audit.policy import load_policy
    from asr_gate.audit.report.destination import destination
    from asr_gate.audit.report.next_steps import Data, read_options
    from asr_gate.audit.review.page_file import write_page
    from asr_gate.corpus.labels import LabelRule
    from asr_gate.corpus.read import read_corpus

    names = [manifests] if isinstance(manifests, str | os.PathLike) else manifests
    limits = load_policy(None if policy is None else Path(policy)).with_controls(controls)
    root = None if audio_root is None else Path(audio_root)
    labels = [LabelRule.model_validate(rule) for rule in rules]
    place = destination(Path(out), name)
    corpus = read_corpus(
        [os.fspath(one) for one in names], audio_root=root, split=split, labels=labels
    )
    settings = Settings(
        name=name,
        out=place.folder.parent,
        aligner=aligner,
        language=language,
        policy=limits,
        fraction=limits.sampling.fraction if fraction is None else fraction,
        seed=seed,
        resume=resume,
        cache=cache,
        device=device,
        batch_seconds=batch_seconds,
        until_decided=until_decided,
        texts=tuple(map(Path, texts)),
        precision=precision,
        romanize=romanize,
        adapt=adapt_minutes,
        second_opinion=second_opinion,
        merge=merge,
        ray=RayOptions(address, workers, gpus_per_worker) if engine == "ray" else None,
    )
    if merge:
        place.fetch_shards()
    data = Data([os.fspath(one) for one in names], read_options(root, split))
    file = place.folder / REPORT_FILE

    def page(report: Report) -> None:
        found = AuditReport(file, report)
        write_page(found, corpus, limits.report, data, audio=page_audio, cache=cache)

    try:
        result = audit(corpus, settings, progress or _Quiet(), page)
    except Interrupted as error:
        raise KeyboardInterrupt(str(error)) from error
    place.upload()
    return load(on_disk(place.url)) if place.url else AuditReport(file, result.report)


def load_report(path: PathLike = "reports/phase0") -> AuditReport:
    """Read a report, check it against its digests, and give access to its tables.

    Args:
        path: `alignment_report.json`, or the folder of the audit; or the URL of one in a store.

    Raises:
        NoVerdict: the report is missing, or it or one of its tables was altered.

    Example:
        >>> report = asr_gate.load_report("reports/phase0")
        >>> report.findings["code"].value_counts()
    """
    return load(on_disk(os.fspath(path)))


def verify(
    report: PathLike | AuditReport,
    data: PathLike | Sequence[PathLike] | None = None,
    *,
    accept_caution: bool = False,
    policy: PathLike | None = None,
    verify_key: PathLike | None = None,
    split: str | None = None,
    audio_root: PathLike | None = None,
    rules: Sequence[Mapping[str, str]] = (),
) -> AuditReport:
    """Return the report if it lets training start, or raise why not; the same as `asr gate`.

    Args:
        report: a report, its file, or its folder. It is read anew from disk.
        data: manifests; the report must have been made for them, or for more. None: not checked.
        accept_caution: let CAUTION pass.
        policy: policy file under which the report must have been decided; None: any.
        verify_key: public key (Ed25519, PEM) that must have signed the report.
        split: of the data; None: as given to the audit.
        audio_root: as given to the audit.
        rules: as given to the audit, or as `corpus.rules` of its `asr.toml`.

    Raises:
        CautionNotAccepted: the decision is CAUTION (`exit_code` 10).
        Stopped: it is STOP (20).
        NoVerdict: the report is missing, altered, stale, not signed, or for other data (30).
        UserError: bad input (2). The others are kinds of it.

    Example:
        >>> asr_gate.verify("reports/phase0", "train.jsonl").decision
        'PROCEED'
    """
    from asr_gate.audit.gate import authorise, require_same_data
    from asr_gate.audit.gate import verify as verified
    from asr_gate.audit.policy import load_policy

    path = report.path if isinstance(report, AuditReport) else on_disk(os.fspath(report))
    name = named(str(path))
    asked = None if policy is None else load_policy(Path(policy))
    key = None if verify_key is None else Path(verify_key)
    found = verified(path, name, policy=asked, verify_key=key)
    authorise(found, name, accept_caution=accept_caution)
    file = path / REPORT_FILE if path.is_dir() else path
    if data is not None:
        from asr_gate.corpus.labels import LabelRule
        from asr_gate.corpus.read import read_corpus

        names = [data] if isinstance(data, str | os.PathLike) else data
        root = None if audio_root is None else Path(audio_root)
        labels = [LabelRule.model_validate(rule) for rule in rules]
        corpus = read_corpus(
            [os.fspath(one) for one in names],
            audio_root=root,
            split=split or found.dataset.split,
            labels=labels,
        )
        require_same_data(found, name, corpus, file.parent, part=True)
    return AuditReport(file, found)
