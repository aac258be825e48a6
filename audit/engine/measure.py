"""From utterances to measurements: decode, emissions, alignment, controls.

What an earlier audit measured of the same audio and the same text comes from a cache, if there is
one, and only the rest is done.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from asr_gate.audit.acoustic import AcousticModel, Emission
from asr_gate.audit.acoustic.batching import as_computed
from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import PreparedEmission, align, prepare
from asr_gate.audit.align.greedy import heard_words
from asr_gate.audit.align.times import lag_profile
from asr_gate.audit.controls.measure import (
    Known,
    Trials,
    all_known,
    losses_known,
    measure_controls,
    median_cohort_loss,
)
from asr_gate.audit.controls.plant import Planting
from asr_gate.audit.engine.keys import Keys, code_version, group
from asr_gate.audit.engine.stored import Entry, emission_from_bytes, emission_to_bytes
from asr_gate.audit.pairing.search import SUSPECT, TextSearch, best_of
from asr_gate.audit.records.alignment import Alignment, Unalignable
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.corpus.cache import Cache
from asr_gate.corpus.cores import usable_cores
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.objects import prefetch
from asr_gate.corpus.speech.activity import HOP, level_db, spans, speech_activity
from asr_gate.corpus.speech.audio import AudioError, EmptyAudio, Recording
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.speech.signal import speech_to_noise
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Seconds, Span, Utterance

NOTHING_PLANTED = Planting((), ())


@dataclass
class _Job:
    """What is known of one utterance, and what is found."""

    utterance: Utterance
    transcript: Transcript
    planting: Planting
    audio_key: str = ""
    row_key: str = ""
    entry: Entry | None = None
    """What an earlier audit measured; None: nothing."""
    emission: Emission | None = None
    recording: Recording | Fault | None = None
    known: Known = field(default_factory=dict)
    complete: bool = False
    """Whether nothing has to be heard."""
    near: Mapping[str, Transcript] | None = None
    """Texts of other rows that are tried on it; None: not looked up yet."""
    _prepared: PreparedEmission | None = None

    def trials(self, model: ModelInfo, row: Measured) -> Trials:
        """Of other texts on its audio."""
        return Trials(lambda: self.prepared(model, row.activity), model, self.known)

    def prepared(self, model: ModelInfo, activity: tuple[Span, ...]) -> PreparedEmission:
        """The emission for the lattice."""
        if self._prepared is None:
            assert self.emission is not None
            self._prepared = prepare(self.emission, model, activity)
        return self._prepared


@dataclass(frozen=True)
class Group:
    """Utterances that are being decoded."""

    utterances: Sequence[Utterance]
    kept: Mapping[str, Measured]
    """What was measured before, by id."""
    jobs: Mapping[str, _Job]
    """All others, by id."""
    unheard: Collection[str]
    """Ids of those whose emissions are to be computed."""
    wanted: Sequence[Utterance]
    """Those that are decoded."""
    found: Iterator[Recording | Fault]
    """What comes of that, in this order."""


class Measurer:
    """Measures groups of utterances, three at a time.

    While the emissions of one are computed, the one before it is aligned and the one after it is
    decoded.

    What cannot be decoded or aligned is measured as far as it goes, with the reason; nothing raises
    for the sake of one utterance.
    """

    def __init__(
        self,
        model: AcousticModel,
        transcripts: Mapping[str, Transcript],
        plantings: Mapping[str, Planting],
        batch_seconds: Seconds,
        identity: Fingerprint | None = None,
        cache: Cache | None = None,
        search: TextSearch | None = None,
        compared: Collection[str] = (),
        cores: int | None = None,
        detector: Detector = "silero",
    ) -> None:
        """Prepare.

        Args:
            model: the acoustic model.
            transcripts: as its letters, by utterance id.
            plantings: the controls, by utterance id.
            batch_seconds: padded audio in one batch.
            identity: whose digests the audio must have; None: any audio is measured.
            cache: of earlier audits, with an identity over every byte; closed when this is stopped.
            search: finds texts of other rows for audio that its own text does not fit; None: they
                are not searched.
            compared: utterances for which they are searched whatever their own text costs.
            cores: that may be used; None: all there are.
            detector: what tells speech from other sound.
        """
        self._model = model
        self._transcripts = transcripts
        self._plantings = plantings
        self._batch_seconds = batch_seconds
        self._identity = identity
        self._cache = cache
        self._keys = Keys(model.info, model.device, code_version())
        self.from_cache = 0
        """Utterances whose own measurements came from the cache."""
        self._search = search
        self._compared = compared
        self._detector = detector
        # Threads, because decoding and alignment release the interpreter lock; the order of results
        # is that of the utterances, whatever the number of workers. In one queue, a group would be
        # decoded only after the group before it is aligned. One core is left to whoever feeds the
        # model: on two, threads that pass the lock to and fro take longer than one.
        self._cores = cores or usable_cores()
        workers = max(1, self._cores - 1)
        self._decoders = ThreadPoolExecutor(workers)
        self._aligners = ThreadPoolExecutor(workers)
        self._own = threading.local()
        self._processes: list[Decoder] = []

    def measure(
        self,
        utterances: Sequence[Utterance],
        kept: Mapping[str, Measured] = MappingProxyType({}),
        keep: Callable[[Measured], None] = lambda row: None,
    ) -> list[Measured]:
        """Measure one group and wait for it; as `decode` and `start`."""
        return self.start(self.decode(utterances, kept), keep)()

    def each(
        self,
        groups: Iterable[tuple[Sequence[Utterance], Mapping[str, Measured]]],
        keep: Callable[[Measured], None] = lambda row: None,
    ) -> Iterator[list[Measured]]:
        """Measure group after group, three at a time; the measurements of each, in its order.

        Args:
            groups: utterances, and what is kept of them; one is taken before the one before it is
                heard.
            keep: as for `start`.
        """
        decoding: deque[Group] = deque()
        aligning: deque[Callable[[], list[Measured]]] = deque()
        for utterances, kept in groups:
            decoding.append(self.decode(utterances, kept))
            if len(decoding) > 1:
                aligning.append(self.start(decoding.popleft(), keep))
            if len(aligning) > 1:
                yield aligning.popleft()()
        while decoding:
            aligning.append(self.start(decoding.popleft(), keep))
        while aligning:
            yield aligning.popleft()()

    def decode(
        self,
        utterances: Sequence[Utterance],
        kept: Mapping[str, Measured] = MappingProxyType({}),
    ) -> Group:
        """Begin to decode a group, and do not wait for it.

        Args:
            utterances: the group. On a GPU, what is in a batch follows from all of them, kept or
                not.
            kept: what was measured before, by id, and is not measured again.
        """
        jobs = {job.utterance.id: job for job in self._recalled(utterances, kept)}
        self.from_cache += sum(job.entry is not None for job in jobs.values())
        unheard = {i for i, job in jobs.items() if job.emission is None and not job.complete}
        decoded = {i for i, job in jobs.items() if job.entry is None} | unheard
        if unheard and self._model.device != "cpu":
            decoded = {u.id for u in utterances}  # all fill the batches
        wanted = [u for u in utterances if u.id in decoded]
        prefetch(u.audio for u in wanted)
        found = self._decoders.map(self._decode, wanted)
        return Group(utterances, kept, jobs, unheard, wanted, found)

    def start(
        self, group: Group, keep: Callable[[Measured], None] = lambda row: None
    ) -> Callable[[], list[Measured]]:
        """Compute the emissions of a group; alignment goes on when this returns.

        Args:
            group: as `decode` began it.
            keep: called with each new measurement as soon as there is one, in a thread of ours;
                what it raises is raised to whoever waits.

        Returns:
            Waits for the group's measurements, in its order.
        """
        jobs, unheard, kept = group.jobs, group.unheard, group.kept
        decoded = {u.id for u in group.wanted}

        def measure(job: _Job) -> Measured:
            row = self._measure_one(job)
            keep(row)
            return row

        rows: dict[str, Future[Measured]] = {}

        def submit(job: _Job) -> None:
            rows[job.utterance.id] = self._aligners.submit(measure, job)

        for identity, job in jobs.items():
            if identity not in decoded:
                submit(job)
        heard: list[tuple[Utterance, Recording]] = []
        for u, found in zip(group.wanted, group.found, strict=True):
            if u.id in jobs:
                jobs[u.id].recording = found
            if isinstance(found, Recording) and unheard:
                heard.append((u, found))
            if u.id in jobs and (isinstance(found, Fault) or u.id not in unheard):
                submit(jobs[u.id])
        sounds = [recording.samples for _, recording in heard]
        numbers = {number for number, (u, _) in enumerate(heard) if u.id in unheard}
        for number, emission in as_computed(
            self._model, sounds, self._batch_seconds, numbers, self._cores
        ):
            job = jobs[heard[number][0].id]
            job.emission = emission
            if self._cache is not None:
                self._cache.keep(job.audio_key, emission_to_bytes(emission))
            submit(job)
        return lambda: [
            kept[u.id] if u.id in kept else rows[u.id].result() for u in group.utterances
        ]

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        for pool in (self._decoders, self._aligners):
            pool.shutdown(wait=False, cancel_futures=True)
        for decoder in self._processes:
            decoder.stop()
        if self._cache is not None:
            self._cache.close()

    def _recalled(
        self, utterances: Sequence[Utterance], kept: Mapping[str, Measured]
    ) -> list[_Job]:
        """What is to be measured, with what earlier audits know of it."""
        jobs = [
            _Job(u, self._transcripts[u.id], self._plantings.get(u.id, NOTHING_PLANTED))
            for u in utterances
            if u.id not in kept
        ]
        cache, keys, identity = self._cache, self._keys, self._identity
        if not jobs or cache is None or identity is None:
            return jobs
        alone = self._model.device == "cpu"
        beside = "" if alone else group(utterances, identity.sounds, self._batch_seconds)
        tokens = len(self._model.info.tokens)
        for job in jobs:
            u = job.utterance
            job.audio_key = keys.audio(identity.sounds[u.id], u, beside)
            job.row_key = keys.row(job.audio_key, u, job.transcript, self._detector)
            job.entry = Entry.from_bytes(cache.find(job.row_key))
            if job.entry is not None:
                job.known = dict(job.entry.known)
                job.complete = self._is_complete(job, job.entry.row)
            if not job.complete:
                job.emission = emission_from_bytes(cache.find(job.audio_key), tokens)
        return jobs

    def _is_complete(self, job: _Job, row: Measured) -> bool:
        """Whether earlier audits tried all that this one would try."""
        if row.fault is None and not all_known(job.planting, job.known):
            return False
        row = _named(row, job.utterance)
        if row.fault is None:
            cohort_loss = median_cohort_loss(job.trials(self._model.info, row), job.planting)
            row = replace(row, cohort_loss=cohort_loss)
        job.near = self._near(row)
        return losses_known(job.near.values(), job.known)

    def _near(self, row: Measured) -> Mapping[str, Transcript]:
        """The texts of other rows that are tried on an utterance."""
        sure = row.fault is None and row.mismatch is not None and row.mismatch <= SUSPECT
        if self._search is None or (sure and row.id not in self._compared):
            return {}
        return self._search.near(row)

    def _decode(self, utterance: Utterance) -> Recording | Fault:
        decoder = self._decoder_of_thread()
        identity = self._identity
        # What the fingerprint says is what is measured.
        expected = (identity.sounds[utterance.id], identity.audio) if identity else None
        try:
            return decoder.load(utterance, self._model.info.sample_rate, expected)
        except EmptyAudio as error:
            return Fault("S002", str(error))
        except AudioError as error:
            return Fault("S001", str(error))

    def _decoder_of_thread(self) -> Decoder:
        """The process that decodes for this thread."""
        decoder: Decoder | None = getattr(self._own, "decoder", None)
        if decoder is None:
            decoder = self._own.decoder = Decoder()
            self._processes.append(decoder)
        return decoder

    def _measure_one(self, job: _Job) -> Measured:
        """Its own text first, then the texts of its planting."""
        if isinstance(job.recording, Fault):
            # Not for the cache: the reason may be this machine's.
            return _unheard(job, job.recording)
        model, tried = self._model.info, len(job.known)
        row = job.entry.row if job.entry else _own_text(job, model, self._detector)
        row = _named(row, job.utterance)
        trials = job.trials(model, row)
        if row.fault is None:
            own = Alignment(row.words, row.gaps, row.unaligned, (), (), row.loss)
            cohort_loss = median_cohort_loss(trials, job.planting)
            controls = tuple(measure_controls(trials, own, job.planting, cohort_loss))
            row = replace(row, cohort_loss=cohort_loss, controls=controls)
        near = self._near(row) if job.near is None else job.near
        row = replace(row, others=best_of(near, trials))
        if self._cache is not None and (job.entry is None or len(job.known) > tried):
            self._cache.keep(job.row_key, Entry(row, job.known).to_bytes())
        return row


def _named(row: Measured, u: Utterance) -> Measured:
    """A measurement with what is the corpus's own of its utterance."""
    return replace(row, id=u.id, domain=u.domain, lang=u.lang, text=u.text)


def _unheard(job: _Job, fault: Fault | None) -> Measured:
    """An utterance of which nothing is measured, or nothing yet."""
    u, transcript = job.utterance, job.transcript
    return Measured(
        id=u.id,
        domain=u.domain,
        lang=u.lang,
        text=u.text,
        duration=0.0,
        speech_seconds=0.0,
        peak_db=0.0,
        speech_to_noise=None,
        signal=None,
        letters=transcript.letters,
        unknown=transcript.unknown,
        dropped=transcript.dropped,
        activity=(),
        words=(),
        gaps=(),
        unaligned=(),
        heard=(),
        loss=0.0,
        cohort_loss=None,
        tokens=0,
        lags=(),
        controls=(),
        fault=fault,
    )


def _own_text(job: _Job, model: ModelInfo, detector: Detector) -> Measured:
    """What is measured of the utterance's own text, and of its sound."""
    recording = job.recording
    assert isinstance(recording, Recording) and job.emission is not None
    active = speech_activity(recording.samples, recording.sample_rate, detector)
    level = level_db(recording.samples, recording.sample_rate)
    activity = spans(active)
    prepared = job.prepared(model, activity)
    heard = replace(
        _unheard(job, None),
        duration=recording.duration,
        speech_seconds=float(active.sum()) * HOP,
        peak_db=float(level.max()),
        speech_to_noise=speech_to_noise(level, None if detector == "energy" else active),
        signal=recording.signal,
        activity=activity,
        heard=heard_words(job.emission, model),
        tokens=int(prepared.onsets.sum()),
    )
    found = align(prepared, job.transcript, model)
    if isinstance(found, Unalignable):
        return replace(heard, fault=Fault(found.code, found.reason))
    return replace(
        heard,
        words=found.words,
        gaps=found.gaps,
        unaligned=found.unaligned,
        loss=found.loss,
        lags=tuple(lag_profile(found, level).tolist()),
    )
