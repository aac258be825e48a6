"""One model's emissions of all utterances in one condition, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import jiwer
import numpy as np

from asr_gate.audit.acoustic import AcousticModel, Emission
from asr_gate.audit.acoustic.batching import emissions
from asr_gate.audit.acoustic.interface import ModelInfo, Waveform
from asr_gate.corpus.speech.audio import Recording, load
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Utterance

BATCH_SECONDS = 120.0


class Remembering(AcousticModel):
    """A model that runs every waveform once, so that an audit can be repeated for nothing."""

    def __init__(self, model: AcousticModel) -> None:
        """Wrap a model."""
        self._model = model
        self._known: dict[bytes, Emission] = {}
        self.info, self.device = model.info, model.device
        self.pads, self.context, self.window = model.pads, model.context, model.window

    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch, or remember it."""
        keys = [blake2b(wave.tobytes()).digest() for wave in waveforms]
        if not all(key in self._known for key in keys):
            self._known.update(zip(keys, self._model.forward(waveforms), strict=True))
        return [self._known[key] for key in keys]

    def also(self, other: Remembering) -> None:
        """Know what another model emitted, too; what both know is the other's."""
        self._known.update(other._known)


@dataclass(frozen=True)
class Material:
    """What every aligner is given."""

    utterances: list[Utterance]
    transcripts: dict[str, Transcript]
    recordings: list[Recording]
    emissions: list[Emission]
    model: Remembering

    @property
    def info(self) -> ModelInfo:
        """Of the model."""
        return self.model.info

    @property
    def wer(self) -> float:
        """Word error rate of the model's greedy output, over all words."""
        said = [spelled(self.transcripts[u.id]) for u in self.utterances]
        return float(jiwer.wer(said, [greedy(e, self.info) for e in self.emissions]))


def collect(model: AcousticModel, utterances: list[Utterance]) -> Material:
    """Decode and run the model."""
    remembering = Remembering(model)
    recordings = [load(u, model.info.sample_rate) for u in utterances]
    return Material(
        utterances=utterances,
        transcripts={u.id: remembering.spell(u.text, u.lang) for u in utterances},
        recordings=recordings,
        emissions=emissions(remembering, [r.samples for r in recordings], BATCH_SECONDS),
        model=remembering,
    )


def greedy(emission: Emission, info: ModelInfo) -> str:
    """What a model hears, without a transcript."""
    best = emission.argmax(axis=1)
    begins = best[np.diff(best, prepend=-1) != 0]
    text = "".join(info.tokens[i] for i in begins if i != info.blank)
    return " ".join(text.split())


def spelled(transcript: Transcript) -> str:
    """A transcript as the model's letters."""
    return " ".join("".join(letter or "?" for letter in w.letters) for w in transcript.words)
