"""From utterances to measurements: decode, emissions, alignment, controls."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from asr_gate.audit.acoustic import AcousticModel, Emission
from asr_gate.audit.acoustic.batching import emissions
from asr_gate.audit.align import align, prepare
from asr_gate.audit.align.times import lag_profile
from asr_gate.audit.controls.measure import measure_controls, median_cohort_loss
from asr_gate.audit.controls.plant import Planting
from asr_gate.audit.records.alignment import Alignment, Unalignable
from asr_gate.audit.records.controls import Control
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.corpus.speech.activity import HOP, level_db, spans, speech_activity
from asr_gate.corpus.speech.audio import AudioError, EmptyAudio, Recording
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.speech.signal import speech_to_noise
from asr_gate.corpus.speech.stored import Signal
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Seconds, Span, Utterance

NOTHING_PLANTED = Planting((), ())


class Measurer:
    """Measures shards of the plan; a shard is aligned while the next one's emissions are computed.

    What cannot be decoded or aligned is measured as far as it goes, with the reason; nothing raises
    for the sake of one utterance.
    """

    def __init__(
        self,
        model: AcousticModel,
        transcripts: Mapping[str, Transcript],
        plantings: Mapping[str, Planting],
        batch_seconds: Seconds,
    ) -> None:
        """Prepare.

        Args:
            model: the acoustic model.
            transcripts: as its letters, by utterance id.
            plantings: the controls, by utterance id.
            batch_seconds: padded audio in one batch.
        """
        self._model = model
        self._transcripts = transcripts
        self._plantings = plantings
        self._batch_seconds = batch_seconds
        # Threads, because decoding and alignment release the interpreter lock; the order of results
        # is that of the utterances, whatever the number of workers. In one queue, a shard would be
        # decoded only after the shard before it is aligned. One core is left to whoever feeds the
        # model: on two, threads that pass the lock to and fro take longer than one.
        workers = max(1, (os.cpu_count() or 1) - 1)
        self._decoders = ThreadPoolExecutor(workers)
        self._aligners = ThreadPoolExecutor(workers)
        self._own = threading.local()
        self._processes: list[Decoder] = []

    def start(self, utterances: Sequence[Utterance]) -> Callable[[], list[Measured]]:
        """Decode a shard and compute its emissions; alignment goes on when this returns.

        Returns:
            Waits for the shard's measurements, in its order.
        """

        def decode(utterance: Utterance) -> Recording | Fault:
            decoder = self._decoder_of_thread()
            try:
                return decoder.load(utterance, self._model.info.sample_rate)
            except EmptyAudio as error:
                return Fault("S002", str(error))
            except AudioError as error:
                return Fault("S001", str(error))

        recordings = list(self._decoders.map(decode, utterances))
        decoded = [r for r in recordings if isinstance(r, Recording)]
        found = iter(emissions(self._model, [r.samples for r in decoded], self._batch_seconds))
        jobs: list[Future[Measured]] = [
            self._aligners.submit(
                self._measure_one, u, r, next(found) if isinstance(r, Recording) else None
            )
            for u, r in zip(utterances, recordings, strict=True)
        ]
        return lambda: [job.result() for job in jobs]

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        for pool in (self._decoders, self._aligners):
            pool.shutdown(wait=False, cancel_futures=True)
        for decoder in self._processes:
            decoder.stop()

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
        aligned: Alignment | None = None
        cohort_loss: float | None = None
        controls: tuple[Control, ...] = ()
        if isinstance(recording, Recording) and emission is not None:
            active = speech_activity(recording.samples, recording.sample_rate)
            level = level_db(recording.samples, recording.sample_rate)
            duration, signal = recording.duration, recording.signal
            speech_seconds = float(active.sum()) * HOP
            activity = spans(active)
            peak, noise = float(level.max()), speech_to_noise(level)
            prepared = prepare(emission, model, activity)
            tokens = int(prepared.onsets.sum())
            found = align(prepared, transcript, model)
            if isinstance(found, Unalignable):
                fault = Fault(found.code, found.reason)
            else:
                aligned = found
                lags = tuple(lag_profile(found, level).tolist())
                cohort_loss = median_cohort_loss(prepared, planting, model)
                controls = tuple(measure_controls(prepared, found, planting, cohort_loss, model))
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
            loss=aligned.loss if aligned else 0.0,
            cohort_loss=cohort_loss,
            tokens=tokens,
            lags=lags,
            controls=controls,
            fault=fault,
        )
