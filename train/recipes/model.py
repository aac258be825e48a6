"""The section `model` of a recipe: the keys of every family, and those of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from asr_gate.train.recipes.section import Section

FamilyName = Literal["qwen3-asr", "ctc", "ctc-embedded", "whisper"]
"""Families of models, as `train.families` has them."""
FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)
DEFAULT_FAMILY: FamilyName = "qwen3-asr"
"""Of recipes that name none."""


class Lora(Section):
    """Low-rank adapters on linear layers; groups name their parameters `*.lora_*`."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    layers: list[str] = Field(min_length=1)
    """Patterns of the names of linear layers, written like those of parameters in a group."""


class Model(Section):
    """Where the weights come from: exactly one of `pretrained` and `tiny`."""

    family: FamilyName
    """Kind of model."""
    pretrained: str | None = None
    """Hub id or folder of a checkpoint of this family."""
    revision: str | None = None
    """Branch, tag or commit on the hub; None: the newest."""
    tiny: Section | None = None
    """A small model with random weights, for demonstrations and tests."""
    lora: Lora | None = None
    """None: no adapters."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.pretrained is None) == (self.tiny is None):
            raise ValueError("set exactly one of `pretrained` and `tiny`")
        return self


class TinyModel(Section):
    """A small Qwen3-ASR with random weights and a tokenizer learnt from the corpus."""

    audio_layers: int = Field(default=3, ge=1)
    audio_width: int = Field(default=64, ge=8, multiple_of=4)
    """Width of the audio tower; 4 attention heads."""
    text_layers: int = Field(default=4, ge=1)
    text_width: int = Field(default=128, ge=8, multiple_of=8)
    """Width of the language model; 4 attention heads."""
    vocabulary: int = Field(default=320, ge=257)
    """Largest vocabulary of the tokenizer; 256 of its tokens are the single bytes."""


Attention = Literal["sdpa", "eager", "flash_attention_2"]
"""torch's own kernels, plain matrix products, or the package flash-attn."""


Kernels = Literal["auto", "liger", "torch"]
"""liger-kernel's fused kernels, or torch's own; `auto`: the former on CUDA, if installed."""


class Qwen3ASRModel(Model):
    """Qwen3-ASR, in either layout of its checkpoints."""

    family: Literal["qwen3-asr"] = "qwen3-asr"
    tiny: TinyModel | None = None
    untie_embeddings: bool
    """Give the output head its own matrix, a copy of the word embeddings."""
    attention: Attention = "sdpa"
    """How attention is computed; the result is the same but for the last digits."""
    kernels: Kernels = "auto"
    """What computes norms, MLPs and the loss of the language model."""
    compile: bool = False
    """Compile the language model's layers: a minute or more at first, less time for each step."""


class TinyCtc(Section):
    """A small wav2vec 2.0 with random weights, and the letters of the corpus."""

    layers: int = Field(default=2, ge=1)
    width: int = Field(default=32, ge=16, multiple_of=16)
    """Of the encoder and of its convolutions; 4 attention heads."""


class CtcModel(Model):
    """An encoder with a CTC head: wav2vec 2.0 and its kin, w2v-BERT 2, MMS."""

    family: Literal["ctc"]
    tiny: TinyCtc | None = None
    vocabulary: Literal["corpus", "checkpoint"] = "corpus"
    """Letters that it can write: those of the rows that train, with a new head, or those of the
    checkpoint, with its own head."""
    adapter: str | None = None
    """Language whose adapters are loaded from an MMS checkpoint, as three letters: `heb`. None:
    those of the checkpoint itself, if it has any."""


class EmbeddedCtcModel(Model):
    """The small English CTC model that comes with asr-gate."""

    family: Literal["ctc-embedded"]
    pretrained: str = "embedded"
    """`embedded`, the model that comes with asr-gate, or a folder of a checkpoint."""
    strength: float = Field(default=0.5, ge=0, le=1)
    """How strongly the features are changed where `data.augment` changes anything: voice, room,
    noise, microphone and masks; 0: not at all."""


class TinyWhisper(Section):
    """A small Whisper with random weights and a tokenizer learnt from the corpus."""

    audio_layers: int = Field(default=2, ge=1)
    """Of the encoder."""
    text_layers: int = Field(default=2, ge=1)
    """Of the decoder."""
    width: int = Field(default=64, ge=8, multiple_of=8)
    """Of encoder and decoder; 4 attention heads."""
    vocabulary: int = Field(default=320, ge=257)
    """Largest vocabulary of the tokenizer, special tokens not counted; 256 of its tokens are the
    single bytes."""
    mel_bins: int = Field(default=80, ge=8, le=128)
    window: int = Field(default=30, ge=1, le=30)
    """Seconds of audio that it hears at once; shorter rows are padded to it."""


class WhisperModel(Model):
    """Whisper, multilingual or English-only."""

    family: Literal["whisper"] = "whisper"
    tiny: TinyWhisper | None = None


def _family(content: Any) -> Any:
    """Of a section as it is read, or as it is."""
    if isinstance(content, Model):
        return content.family
    return content.get("family", DEFAULT_FAMILY) if isinstance(content, dict) else DEFAULT_FAMILY


AnyModel = Annotated[
    Annotated[Qwen3ASRModel, Tag("qwen3-asr")]
    | Annotated[CtcModel, Tag("ctc")]
    | Annotated[EmbeddedCtcModel, Tag("ctc-embedded")]
    | Annotated[WhisperModel, Tag("whisper")],
    Discriminator(
        _family,
        custom_error_type="family",
        custom_error_message=f"family must be one of {', '.join(FAMILIES)}",
    ),
]
"""The section of any family; its keys are those of the family that it names."""
