"""What the aligner finds where a defect was planted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import PreparedEmission, strongest, strongest_of_each, text_loss
from asr_gate.audit.align.evidence import Edit
from asr_gate.audit.controls.plant import CUT, Planted, Planting
from asr_gate.audit.records.alignment import Alignment
from asr_gate.audit.records.controls import EVIDENCE_OF, FOUND_BY, Control, Evidence
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Seconds

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

    def evidence(self, planted: Planted, own: Alignment) -> dict[Evidence, float] | None:
        """The evidence at the place of a defect that is not a swapped text; None: it is not there,
        or does not fit into the audio."""
        names = _names(planted)
        if not all(name in self.known for name in names.values()):
            found = self._try(planted, own)
            for evidence, name in names.items():
                self.known[name] = None if found is None else found[evidence]
        values = {evidence: self.known[name] for evidence, name in names.items()}
        found = {evidence: value for evidence, value in values.items() if value is not None}
        return found if len(found) == len(values) else None

    def _try(self, planted: Planted, own: Alignment) -> dict[Evidence, float] | None:
        kind, text, emission = planted.kind, planted.transcript, self._emission()
        if kind in ("exchanged", "phrase", "overlap", "shortened"):
            words = range(planted.at, planted.at + planted.words)
            if kind == "shortened":
                emission, words = _shortened(emission, own, planted.at > 0, self._model.stride)
            if not words:
                return None
            edits: list[Edit] = [e for e in FOUND_BY[kind] if e != "mismatch" and e != "edge"]
            several = strongest_of_each(
                edits, words, emission, text, self._model, max_cells=MAX_CELLS
            )
            return None if several is None else {edit: several[edit] for edit in edits}
        evidence = EVIDENCE_OF[kind]
        assert evidence != "mismatch"
        # Either of two copies may be the one that is not said.
        places = range(planted.at, planted.at + (2 if kind == "doubled" else 1))
        edit = "insertion" if evidence == "edge" else evidence
        value = strongest(edit, places, emission, text, own, self._model, max_cells=MAX_CELLS)
        return None if value is None else {evidence: value}


def _shortened(
    emission: PreparedEmission, own: Alignment, at_end: bool, stride: Seconds
) -> tuple[PreparedEmission, range]:
    """A recording without a part of its speech at an edge, and the words that were said there."""
    frames, count = len(emission.scores), len(own.words)
    said = CUT if not at_end else 1 - CUT
    cut = int(np.searchsorted(emission.sound, said * emission.sound[-1]))
    if at_end:
        lost = [i for i, word in enumerate(own.words) if word.start >= cut * stride]
        return emission.part(0, cut), range(min(lost, default=count), count)
    lost = [i for i, word in enumerate(own.words) if word.end <= cut * stride]
    return emission.part(cut, frames), range(max(lost, default=-1) + 1)


def all_known(planting: Planting, known: Known) -> bool:
    """Whether nothing of a planting has to be tried."""
    swapped = [p.transcript for p in planting.planted if p.kind == "swapped"]
    words = [p for p in planting.planted if p.kind != "swapped"]
    return losses_known((*planting.cohort, *swapped), known) and all(
        name in known for p in words for name in _names(p).values()
    )


def losses_known(texts: Iterable[Transcript], known: Known) -> bool:
    """Whether it is known of each text what it costs."""
    return all(_name("loss", text) in known for text in texts)


def _names(planted: Planted) -> dict[Evidence, str]:
    """Of the trial of a defect, by the evidence that it gives."""
    return {
        evidence: _name(f"{planted.kind}, {evidence}", planted.transcript, planted.at)
        for evidence in FOUND_BY[planted.kind]
    }


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
            if loss is not None and cohort_loss is not None:
                yield Control("swapped", loss / cohort_loss)
            continue
        found = trials.evidence(planted, own)
        if found is not None:
            first = EVIDENCE_OF[planted.kind]
            also = {evidence: found[evidence] for evidence in found if evidence != first}
            yield Control(planted.kind, found[first], also)
