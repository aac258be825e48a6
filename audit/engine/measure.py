"""From utterances to measurements: decode, emissions, alignment, controls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType

from asr_gate.audit.acoustic import AcousticModel, Emission
from asr_gate.audit.acoustic.batching import as_computed
from asr_gate.audit.align import align, prepare
from asr_gate.audit.align.greedy import heard_words
from asr_gate.audit.align.times import lag_profile
from asr_gate.audit.controls.measure import measure_controls, median_cohort_loss
from asr_gate.audit.controls.plant import Planting
from asr_gate.audit.pairing.search import SUSPECT, TextSearch
from asr_gate.audit.records.alignment import Alignment, HeardWord, Unalignable
from asr_gate.audit.records.controls import Control
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.audit.records.pairing import OtherText
from asr_gate.corpus.cores import usable_cores
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.speech.activity import HOP, level_db, spans, speech_activity
from asr_gate.corpus.speech.audio import AudioError, EmptyAudio, Recording
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.speech.signal import speech_to_noise
from asr_gate.corpus.speech.stored import Signal
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Seconds, Span, Utterance

NOTHING_PLANTED = Planting((), ())


class Measurer:
    """Measures groups of utterances; one is aligned while the next one's emissions are computed.

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
        search: TextSearch | None = None,
        compared: Collection[str] = (),
    ) -> None:
        """Prepare.

        Args:
            model: the acoustic model.
            transcripts: as its letters, by utterance id.
            plantings: the controls, by utterance id.
            batch_seconds: padded audio in one batch.
            identity: whose digests the audio must have; None: any audio is measured.
            search: finds texts of other rows for audio that its own text does not fit; None: they
                are not searched.
            compared: utterances for which they are searched whatever their own text costs.
        """
        self._model = model
        self._transcripts = transcripts
        self._plantings = plantings
        self._batch_seconds = batch_seconds
        self._identity = identity
        self._search = search
        self._compared = compared
        # Threads, because decoding and alignment release the interpreter lock; the order of results
        # is that of the utterances, whatever the number of workers. In one queue, a group would be
        # decoded only after the group before it is aligned. One core is left to whoever feeds the
        # model: on two, threads that pass the lock to and fro take longer than one.
        workers = max(1, usable_cores() - 1)
        self._decoders = ThreadPoolExecutor(workers)
        self._aligners = ThreadPoolExecutor(workers)
        self._own = threading.local()
        self._processes: list[Decoder] = []

    def start(
        self,
        utterances: Sequence[Utterance],
        kept: Mapping[str, Measured] = MappingProxyType({}),
        keep: Callable[[Measured], None] = lambda row: None,
    ) -> Callable[[], list[Measured]]:
        """Decode a group and compute its emissions; alignment goes on when this returns.

        Args:
            utterances: the group. What is in a batch follows from all of them, kept or not.
            kept: what was measured before, by id, and is not measured again.
            keep: called with each new measurement as soon as there is one, in a thread of ours;
                what it raises is raised to whoever waits.

        Returns:
            Waits for the group's measurements, in its order.
        """
        if all(u.id in kept for u in utterances):
            return lambda: [kept[u.id] for u in utterances]

        def decode(utterance: Utterance) -> Recording | Fault:
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

        def measure(
            utterance: Utterance, recording: Recording | Fault, emission: Emission | None
        ) -> Measured:
            row = self._measure_one(utterance, recording, emission)
            keep(row)
            return row

        jobs: dict[str, Future[Measured]] = {}
        heard: list[tuple[Utterance, Recording]] = []
        for u, found in zip(utterances, self._decoders.map(decode, utterances), strict=True):
            if isinstance(found, Recording):
                heard.append((u, found))
            elif u.id not in kept:
                jobs[u.id] = self._aligners.submit(measure, u, found, None)
        sounds = [recording.samples for _, recording in heard]
        wanted = {number for number, (u, _) in enumerate(heard) if u.id not in kept}
        for number, emission in as_computed(self._model, sounds, self._batch_seconds, wanted):
            u, recording = heard[number]
            jobs[u.id] = self._aligners.submit(measure, u, recording, emission)
        return lambda: [kept[u.id] if u.id in kept else jobs[u.id].result() for u in utterances]

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        for pool in (self._decoders, self._aligners):
            pool.shutdown(wait=False, cancel_futures=True)
        for decoder in self._processes:
            decoder.stop()
        if self._search is not None:
            self._search.stop()

    def _decoder_of_thread(self) -> Decoder:
        """The process that decodes for this thread."""
        decoder: Decoder | None = getattr(self._own, "decoder", None)
        if decoder is None:
            decoder = self._own.decoder = Decoder()
            self._processes.append(decoder)
        return decoder

    def _measure_one(
        self, utterance: Utterance, recording: Recording | Fault, emission: Emission | None
    ) -> Measured:
        transcript = self._transcripts[utterance.id]
        planting = self._plantings.get(utterance.id, NOTHING_PLANTED)
        model = self._model.info
        fault = recording if isinstance(recording, Fault) else None
        duration = speech_seconds = peak = 0.0
        noise: float | None = None
        signal: Signal | None = None
        activity: tuple[Span, ...] = ()
        tokens = 0
        lags: tuple[float, ...] = ()
        heard: tuple[HeardWord, ...] = ()
        aligned: Alignment | None = None
        cohort_loss: float | None = None
        controls: tuple[Control, ...] = ()
        others: tuple[OtherText, ...] = ()
        if isinstance(recording, Recording) and emission is not None:
            active = speech_activity(recording.samples, recording.sample_rate)
            level = level_db(recording.samples, recording.sample_rate)
            duration, signal = recording.duration, recording.signal
            speech_seconds = float(active.sum()) * HOP
            activity = spans(active)
            peak, noise = float(level.max()), speech_to_noise(level)
            prepared = prepare(emission, model, activity)
            heard = heard_words(emission, model)
            tokens = int(prepared.onsets.sum())
            found = align(prepared, transcript, model)
            if isinstance(found, Unalignable):
                fault = Fault(found.code, found.reason)
            else:
                aligned = found
                lags = tuple(lag_profile(found, level).tolist())
                cohort_loss = median_cohort_loss(prepared, planting, model)
                controls = tuple(measure_controls(prepared, found, planting, cohort_loss, model))
            sure = cohort_loss and aligned and aligned.loss <= SUSPECT * cohort_loss
            if self._search and (not sure or utterance.id in self._compared):
                others = self._search.others(prepared, heard, utterance.text)
        return Measured(
            id=utterance.id,
            domain=utterance.domain,
            lang=utterance.lang,
            text=utterance.text,
            duration=duration,
            speech_seconds=speech_seconds,
            peak_db=peak,
            speech_to_noise=noise,
            signal=signal,
            letters=transcript.letters,
            unknown=transcript.unknown,
            dropped=transcript.dropped,
            activity=activity,
            words=aligned.words if aligned else (),
            gaps=aligned.gaps if aligned else (),
            unaligned=aligned.unaligned if aligned else (),
            heard=heard,
            loss=aligned.loss if aligned else 0.0,
            cohort_loss=cohort_loss,
            tokens=tokens,
            lags=lags,
            controls=controls,
            others=others,
            fault=fault,
        )
