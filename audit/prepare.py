"""What comes before the first measurement: the settings, the checks, the sample, the plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_gate.audit.acoustic import AcousticModel, load_model
from asr_gate.audit.acoustic.embedded import EmbeddedModel
from asr_gate.audit.acoustic.interface import ModelInfo, Precision
from asr_gate.audit.adapt.adapt import require_adaptable
from asr_gate.audit.controls.plant import plan_controls
from asr_gate.audit.engine.keys import code_version
from asr_gate.audit.engine.ledger import Progress
from asr_gate.audit.engine.on_ray import RayOptions
from asr_gate.audit.engine.shards import Shard, Share, cut
from asr_gate.audit.engine.work import Work
from asr_gate.audit.engine.worker import Setup, searched
from asr_gate.audit.opinion.strict import require_package
from asr_gate.audit.pairing.search import TextSearch, compared, said
from asr_gate.audit.pairing.texts import TextFile, text_file
from asr_gate.audit.policy import Policy
from asr_gate.audit.sample.plan import Plan, draw
from asr_gate.corpus.digests import digest_of
from asr_gate.corpus.environment import in_ci
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import Fingerprint, fingerprint
from asr_gate.corpus.objects import RemoteAudio, prefetched
from asr_gate.corpus.rows import Columns, chosen, columns
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.streamed import Streamed, some
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance


@dataclass(frozen=True)
class Settings:
    """What to audit, and how."""

    name: str
    """The folder of the audit under `out`."""
    out: Path
    aligner: str
    language: str | None
    policy: Policy
    fraction: float
    seed: int
    resume: bool
    device: str
    batch_seconds: Seconds
    cache: bool = True
    """Whether measurements of earlier audits are used, and kept for later ones."""
    adapt: float | None = None
    """Minutes of one core to train the aligner for this corpus; None: it stays as it is."""
    until_decided: bool = False
    """Stop when the decision is settled; `fraction` is then the most that is sampled."""
    texts: tuple[Path, ...] = ()
    """Files of texts that are searched beside those of the corpus, for rows that say another's."""
    precision: Precision = "auto"
    """Of the acoustic model's matrix products."""
    romanize: bool = False
    """Whether it is given all texts in Latin letters."""
    second_opinion: bool = False
    """Whether a strict aligner is asked, too; it decides nothing."""
    share: Share | None = None
    """Which of the shards this process measures, of several that share the audit; None: all."""
    merge: bool = False
    """Whether all is measured by such processes, and only the report is left to be made."""
    ray: RayOptions | None = None
    """The cluster that measures; None: this process does."""

    def __post_init__(self) -> None:
        # A name is a folder of its own under `out`, whoever gives it.
        if not re.fullmatch(r"[\w+-][\w .+-]*", self.name):
            raise UserError(
                f"--name {self.name!r}: letters, digits, and . + - _ only; see asr audit --help"
            )
        if self.adapt is not None and self.until_decided:
            raise UserError(
                "--adapt judges all rows a second time, and --until-decided stops before all are "
                "judged; leave out one of them"
            )
        if self.adapt is not None and self.second_opinion:
            raise UserError(
                "--second-opinion asks on the emissions of one model, and --adapt trains several; "
                "leave out one of them"
            )
        if self.adapt is not None and self.romanize:
            raise UserError(
                "--adapt trains on texts as they are written, and --romanize gives the aligner "
                "Latin letters; leave out one of them"
            )
        if self.second_opinion and not self.share:
            require_package()
        self._require_one_pass()

    def _require_one_pass(self) -> None:
        """Refuse what judges measurements before all are there, where several share the work."""
        shared = "--shard" if self.share else "--merge" if self.merge else None
        option = shared or ("--engine ray" if self.ray else None)
        second = "--adapt" if self.adapt is not None else None
        second = "--until-decided" if self.until_decided else second
        if option and second:
            raise UserError(
                f"{option} and {second} exclude each other: {second} goes on by what all have "
                "measured so far; leave out one of them"
            )
        if self.share and self.merge:
            raise UserError("--shard measures and --merge reports; leave out one of them")
        if shared and self.ray:
            raise UserError(
                f"{shared} and --engine ray exclude each other: Ray hands out the shards itself"
            )
        if shared and in_ci():
            raise UserError(
                f"{shared} is not for CI, where others may have written what is measured"
            )


@dataclass(frozen=True)
class Prepared:
    """What is audited, and with what."""

    corpus: Corpus
    settings: Settings
    model: AcousticModel
    identity: Fingerprint
    plan: Plan
    lengths: Mapping[str, Seconds]
    """Of all utterances by manifest or header, by id; 0: unreadable."""
    files: list[TextFile]
    """More texts to be searched."""
    base: EmbeddedModel | None
    """The model, where it is to learn from the corpus."""

    def shards(self, rows: Sequence[Utterance]) -> list[Shard]:
        """Rows of the sample as what is measured at a time."""
        lengths = some(self.lengths, (row.id for row in rows))
        return list(cut(rows, self.settings.batch_seconds, lengths))

    def key(
        self, model: AcousticModel, pool: Sequence[Utterance], shares: int | None = None
    ) -> dict[str, Any]:
        """All that decides the measurements: parts of another key are never mixed in.

        Args:
            model: what hears them.
            pool: utterances that may be measured.
            shares: how many processes share the audit; None: this one has all of it.
        """
        settings = self.settings
        key = {
            "dataset": self.identity.digest,
            "texts": [file.digest for file in self.files],
            "sample": digest_of([u.id for u in pool]),
            "aligner": [model.info.name, model.info.weights_sha256, settings.language],
            "device": model.device,
            "precision": model.info.precision,
            "romanised": model.info.romanised,
            "measuring code": code_version(),
            "speech activity": settings.policy.signal.speech_activity,
            "controls": settings.policy.controls.per_kind,
            "seed": settings.seed,
            "batch_seconds": settings.batch_seconds,
            "until_decided": settings.until_decided,
        }
        return key if shares is None else key | {"shares": shares}

    @contextmanager
    def search(self, say: Callable[[str], None]) -> Iterator[TextSearch]:
        """All texts, to be searched by what is heard; once for all models of an audit.

        Raises:
            UserError: a file of texts cannot be read, holds none, or changes meanwhile.
        """
        search = TextSearch(
            self.model,
            self.corpus,
            self.files,
            made_by=code_version(),
            keep=self.settings.cache,
            say=say,
        )
        try:
            yield search
        finally:
            search.close()

    def work(self, model: AcousticModel, pool: Sequence[Utterance], search: TextSearch) -> Work:
        """What is measured of a pool of utterances, with controls planted in them."""
        settings = self.settings
        per_kind = settings.policy.controls.per_kind
        # Tags and notes of sounds are not said: the rules speak of them, the aligner passes them
        # over.
        transcripts = {u.id: model.spell(said(u.text), u.lang) for u in pool}
        # Nobody knows then how many will be sampled: each carries its controls.
        planted = len(pool) if settings.until_decided and per_kind else per_kind
        return Work(
            transcripts,
            plan_controls(pool, transcripts, per_kind=planted, seed=settings.seed),
            compared(transcripts, settings.seed),
            search,
            self.identity.only(transcripts),
            settings.batch_seconds,
            settings.policy.signal.speech_activity,
        )

    def setup(self, gpus: float | None) -> Setup:
        """What the workers of a cluster are told, whatever they measure.

        Raises:
            UserError: they have no GPUs to share.
        """
        settings, model = self.settings, self.model
        if gpus is not None and model.device == "cpu":
            raise UserError("--gpus-per-worker: the model runs on a CPU; leave it out")
        return Setup(
            settings.aligner,
            settings.language,
            model.device,
            settings.precision,
            settings.romanize,
            replace(model.info, trained=None),
            code_version(),
            searched(self.corpus),
            [replace(file, path=file.path.absolute()) for file in self.files],
            settings.cache,
            self.identity.audio,
            settings.batch_seconds,
            settings.policy.signal.speech_activity,
            Path.cwd(),
        )


def prepare(corpus: Corpus, settings: Settings, progress: Progress) -> Prepared:
    """Check what is given, load the model, and draw the sample.

    Raises:
        UserError: nothing to audit, or a bad setting.
    """
    _require_sense(corpus, settings)
    files = [text_file(path) for path in settings.texts]
    policy = settings.policy
    model = load_model(
        settings.aligner,
        language=settings.language,
        device=settings.device,
        precision=settings.precision,
        romanize=settings.romanize,
    )
    base = None if settings.adapt is None else require_adaptable(model)
    identity = fingerprint(corpus, audio=policy.gate.audio)
    _require_audio(corpus, identity)
    model.info = _what_it_heard(model.info, corpus, identity)
    trained = model.info.trained
    if trained is not None and trained.heard:
        progress.say(
            f"WARNING: {model.info.name} was trained on {trained.heard} rows of this corpus, "
            "and has learnt their texts, the wrong ones too; audit with another aligner"
        )
    plan = draw(
        corpus.utterances,
        fraction=settings.fraction,
        seed=settings.seed,
        quotas=policy.sampling.quotas,
        minimum=policy.sampling.minimum,
        content=identity.digest,
    )
    progress.say(_first_line(corpus, plan, model, settings))
    return Prepared(corpus, settings, model, identity, plan, lengths_of(corpus), files, base)


def _what_it_heard(model: ModelInfo, corpus: Corpus, identity: Fingerprint) -> ModelInfo:
    """The model, with the number of rows of this corpus that it was trained on."""
    if model.trained is None:
        return model
    if model.heard is not None:
        rows = model.heard.among(corpus.utterances, identity.sounds, identity.audio)
    else:
        rows = len(corpus.utterances) if model.trained.dataset == identity.digest else 0
    return replace(model, trained=model.trained.model_copy(update={"heard": rows}))


def _first_line(corpus: Corpus, plan: Plan, model: AcousticModel, settings: Settings) -> str:
    """Aligner, language, device, and how much is sampled."""
    rows = "their own" if model.info.language == "mul" else model.info.language
    most = "at most " if settings.until_decided else ""
    return (
        f"aligner {settings.aligner}, language {settings.language or rows}, on {model.device}: "
        f"aligns {most}{len(plan.sample)} of {len(corpus.utterances)} utterances"
    )


def _require_audio(corpus: Corpus, identity: Fingerprint) -> None:
    """Refuse a corpus of which no audio is there: it lies elsewhere, and is not bad."""
    first = corpus.utterances[0]
    placed = isinstance(first.audio, (Path, RemoteAudio))
    if placed and all(one == "missing" for _, one in identity.sounds.items()):
        place = first.audio.url if isinstance(first.audio, RemoteAudio) else first.audio
        raise UserError(
            f"{first.origin}: {place} is not there, and neither is any other audio of these "
            f"{len(corpus.utterances)} rows; copy it there, or correct the paths"
        )


def _require_sense(corpus: Corpus, settings: Settings) -> None:
    if not corpus.utterances:
        first = corpus.skipped[0]
        raise UserError(
            f"{first.origin}: {first.reason} (and so with all {len(corpus.skipped)} rows); "
            "nothing is left to audit"
        )
    if settings.until_decided and settings.policy.decision.correct_for_controls:
        raise UserError(
            "--until-decided stops by the share of findings, while decision.correct_for_controls "
            "of the policy decides on another; leave out one of them"
        )


def lengths_of(corpus: Corpus) -> Mapping[str, Seconds]:
    """Lengths of all utterances by manifest or header; 0: unreadable."""
    rows, lengths = corpus.utterances, Columns(1)
    decoder = Decoder()
    without = chosen(rows, (d for (d,) in columns(rows, "duration")), lambda d: d is None)
    unknown = prefetched((row for row, _ in without), lambda u: u.audio)
    try:
        for (duration,) in columns(rows, "duration"):
            found = decoder.stored_duration(next(unknown)) if duration is None else duration
            lengths.append((found or 0.0,))
    finally:
        decoder.stop()

    def stream() -> Iterator[tuple[str, Seconds]]:
        ids = (identity for (identity,) in columns(rows, "id"))
        return zip(ids, lengths.column(0), strict=True)

    return Streamed(stream, len(rows))
