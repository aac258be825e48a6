"""All that decides what is measured of some utterances, beside the acoustic model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from asr_gate.audit.acoustic import AcousticModel
from asr_gate.audit.controls.plant import Planting
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.pairing.search import TextSearch
from asr_gate.corpus.cache import Cache
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Seconds


@dataclass(frozen=True)
class Work:
    """What an engine needs beside shards and model."""

    transcripts: Mapping[str, Transcript]
    """As the model's letters, by id."""
    plantings: Mapping[str, Planting]
    """The controls, by id."""
    compared: Collection[str]
    """Ids of utterances for which other texts are searched whatever their own costs."""
    search: TextSearch
    """Finds texts of other rows."""
    identity: Fingerprint
    """Whose digests the audio must have."""
    batch_seconds: Seconds
    """Padded audio in one batch."""
    detector: Detector
    """What tells speech from other sound."""

    def measurer(self, model: AcousticModel, cache: Cache | None) -> Measurer:
        """What measures here, with a model."""
        return Measurer(
            model,
            self.transcripts,
            self.plantings,
            self.batch_seconds,
            self.identity,
            cache,
            self.search,
            self.compared,
            detector=self.detector,
        )
