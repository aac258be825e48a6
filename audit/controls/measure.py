"""What the aligner finds where a defect was planted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import PreparedEmission, strongest, text_loss
from asr_gate.audit.controls.plant import Planted, Planting
from asr_gate.audit.records.alignment import Alignment
from asr_gate.audit.records.controls import EVIDENCE_OF, Control
from asr_gate.corpus.text.letters import Transcript

NO_LOSS = 0.1
"""Nats a letter: a wrong text that costs less is as good as none to compare with."""

MAX_CELLS = 200_000_000
"""Frames times letters of a control; about ten minutes of speech. Longer ones would take longer
than all the others together."""


Known = dict[str, float | None]
"""What trials found, by their names; None: the text does not fit into the audio."""


class Trials:
    """What other texts show on one utterance's audio; each is tried once, here or earlier."""

    def __init__(
        self, emission: Callable[[], PreparedEmission], model: ModelInfo, known: Known
    ) -> None:
        """Prepare.

        Args:
            emission: gives the utterance's; called only if something has to be tried.
            model: of the emission.
            known: what is known of this audio and its own transcript; what is tried is added.
        """
        self._emission = emission
        self._model = model
        self.known = known

    def loss(self, text: Transcript) -> float | None:
        """What a text costs over the greedy output, nats a letter."""
        name = _name("loss", text)
        if name not in self.known:
            self.known[name] = text_loss(self._emission(), text, self._model)
        return self.known[name]

    def evidence(self, planted: Planted, own: Alignment) -> float | None:
        """The evidence at the place of a defect that is not a swapped text."""
        name = _name(planted.kind, planted.transcript, planted.at)
        if name not in self.known:
            edit = EVIDENCE_OF[planted.kind]
            assert edit != "mismatch"
            # Either of two copies may be the one that is not said.
            places = range(planted.at, planted.at + (2 if planted.kind == "doubled" else 1))
            self.known[name] = strongest(
                "insertion" if edit == "edge" else edit,
                places,
                self._emission(),
                planted.transcript,
                own,
                self._model,
                max_cells=MAX_CELLS,
            )
        return self.known[name]


def all_known(planting: Planting, known: Known) -> bool:
    """Whether nothing of a planting has to be tried."""
    swapped = [p.transcript for p in planting.planted if p.kind == "swapped"]
    words = [p for p in planting.planted if p.kind != "swapped"]
    return losses_known((*planting.cohort, *swapped), known) and all(
        _name(p.kind, p.transcript, p.at) in known for p in words
    )


def losses_known(texts: Iterable[Transcript], known: Known) -> bool:
    """Whether it is known of each text what it costs."""
    return all(_name("loss", text) in known for text in texts)


def _name(kind: str, text: Transcript, at: int = 0) -> str:
    """Of one trial: the letters of a text are all that it looks at."""
    value = json.dumps([kind, [word.letters for word in text.words], at])
    return hashlib.sha256(value.encode()).hexdigest()[:32]


def median_cohort_loss(trials: Trials, planting: Planting) -> float | None:
    """Median of what other utterances' texts cost here, nats a letter; None: none fits."""
    losses = [trials.loss(text) for text in planting.cohort]
    fitting = [loss for loss in losses if loss is not None]
    return max(NO_LOSS, float(np.median(fitting))) if fitting else None


def measure_controls(
    trials: Trials, own: Alignment, planting: Planting, cohort_loss: float | None
) -> Iterator[Control]:
    """Align the planted transcripts of one utterance, except those that its audio is too short for.

    Args:
        trials: of the utterance.
        own: the utterance's own alignment.
        planting: what is planted.
        cohort_loss: of `median_cohort_loss`.
    """
    for planted in planting.planted:
        if planted.kind == "swapped":
            loss = trials.loss(planted.transcript)
            value = None if loss is None or cohort_loss is None else loss / cohort_loss
        else:
            value = trials.evidence(planted, own)
        if value is not None:
            yield Control(planted.kind, value)
