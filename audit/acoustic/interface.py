"""What every acoustic model offers: waveforms in, log-probabilities out.

A new adapter is one file with a class of its own and one line in `load_model`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic.romanise import romanise
from asr_gate.audit.records.report import Lineage
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.heard import Heard
from asr_gate.corpus.text.language import require_language, same_language
from asr_gate.corpus.text.letters import Transcript, spell
from asr_gate.corpus.utterance import Seconds

Waveform: TypeAlias = NDArray[np.float32]
"""Shape (n,), mono, at the model's sample rate, full scale 1.0."""

Emission: TypeAlias = NDArray[np.float32]
"""Natural log-probabilities, shape (frames, tokens); each frame sums to 1."""


Arithmetic: TypeAlias = Literal["float32", "float16", "bfloat16", "int8"]
"""In which matrix products are computed. Nobody asks for float16: a GPU takes it by itself."""

Precision: TypeAlias = Arithmetic | Literal["auto"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What identifies a model and says how to read its emissions."""

    name: str
    """As the user named it, `nemo:FOLDER`."""
    revision: str
    weights_sha256: str
    language: str
    """ISO 639 code of the language that it was trained on, or `mul`."""
    tokens: tuple[str, ...]
    """Token of every column of an emission."""
    blank: int
    """Column of the CTC blank."""
    space: int | None
    """Column of the word separator; None where the model has none."""
    stride: Seconds
    """Time from one frame to the next."""
    sample_rate: int
    delay: Seconds
    """How late its tokens come behind the sound, as far as its maker says; an audit measures it."""
    temperature: float = 1.0
    """What its logits were divided by; the lattice's prices are brought to the same scale."""
    precision: Arithmetic = "float32"
    trained: Lineage | None = None
    """The run that made it, where its record lies beside it."""
    heard: Heard | None = None
    """What it learned from, where that lies beside it."""
    romanised: bool = False
    """Whether it is given all words in Latin letters."""


class AcousticModel(ABC):
    """A CTC acoustic model."""

    info: ModelInfo
    device: str = "cpu"
    """`cpu` or `cuda`: where `forward` computes; on a CPU it is called from several threads."""
    pads: bool = True
    """Whether a padded batch gives what single utterances give; else equal lengths share one."""
    context: Seconds = 2.0
    """How much sound beside a window the frames at its edges need."""
    window: Seconds = 40.0
    """Longer recordings are run in windows of this length."""

    @abstractmethod
    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch; padding is the model's business.

        Returns:
            One emission a waveform, shape (frames, tokens), float32.
        """

    def romanise(self, word: str) -> str:
        """A word as the model is given it: in Latin letters, or as it is."""
        return romanise(word, self.info.language) if self.info.romanised else word

    def spell(self, text: str, language: str | None = None) -> Transcript:
        """A transcript as this model's letters, with numbers and symbols read out.

        Args:
            text: as written.
            language: of the transcript, where its row names one; else it is taken for the model's.
        """
        if language in (None, "", "und", "mul"):
            language = self.info.language
        special = {self.info.blank, self.info.space}
        letters = frozenset(
            token
            for column, token in enumerate(self.info.tokens)
            if column not in special and len(token) == 1
        )
        return spell(text, letters, self.romanise, language)


def load_model(
    spec: str,
    *,
    language: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    romanize: bool = False,
) -> AcousticModel:
    """The acoustic model of a spec: `embedded`, `embedded:FOLDER`, `mms`, `hf:ID`, `nemo:FOLDER`…

    Args:
        spec: which model.
        language: ISO 639 code or English name; models for many languages need it.
        device: `auto`, `cpu` or `cuda`.
        precision: of the matrix products; ONNX models have float32 only.
        romanize: give it all texts in Latin letters, whatever language it was trained on.

    Raises:
        UserError: unknown spec or language, weights that cannot be had or read, a model of another
            language or alphabet, or one that has no such precision.
    """
    if language is not None:
        require_language(language, "--language")
    if romanize:
        # It then hears a language that is not its own: which of several it is does not follow.
        model = _adapter(spec, language if spec == "mms" else None, device, precision)
        if not {"a", "A"} & {*model.info.tokens}:
            raise UserError(f"--romanize: {spec} does not write Latin letters; leave it out")
        model.info = replace(model.info, romanised=True, language=language or "mul")
        return model
    model = _adapter(spec, language, device, precision)
    if language is not None and not same_language(language, model.info.language):
        raise UserError(
            f"--language {language}: {spec} is a model of '{model.info.language}'; "
            "choose another --aligner, or leave out --language"
        )
    return model


def _adapter(spec: str, language: str | None, device: str, precision: Precision) -> AcousticModel:
    kind, _, name = spec.partition(":")
    if kind in ("embedded", "nemo") and precision not in ("auto", "float32"):
        raise UserError(
            f"--precision {precision}: {kind} models compute in float32 only; leave it out, or use "
            "--aligner mms or hf:ID"
        )
    if kind == "embedded" and (name or spec == kind):
        from asr_gate.audit.acoustic.embedded import open_embedded

        return open_embedded(name, device, language)
    if kind == "mms" and not name:
        from asr_gate.audit.acoustic.mms import MmsModel

        return MmsModel(language, device, precision=precision)
    if kind == "hf" and name:
        from asr_gate.audit.acoustic.huggingface import HuggingFaceModel

        return HuggingFaceModel(name, language, device, precision)
    if kind == "nemo" and name:
        from asr_gate.audit.acoustic.nemo import NemoModel

        return NemoModel(name, language, device)
    raise UserError(
        f"--aligner {spec}: unknown acoustic model; "
        "known: embedded, embedded:FOLDER, mms, hf:ID, hf:FOLDER, nemo:FOLDER"
    )
