"""The embedded model as a recogniser: a small CTC network that trains on two cores.

A checkpoint holds `model.safetensors`, with which training goes on, and `model.onnx` beside
`model.json`, with which an audit aligns: `asr audit --aligner embedded:CHECKPOINT`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.embedded import files, training
from asr_gate.embedded.encoding import HOP, SAMPLE_RATE, frames_out
from asr_gate.embedded.network import Shape, load
from asr_gate.embedded.training import Features, TrainedNet, targets
from asr_gate.train import recipes
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.examples import Batch, Encoder, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.interface import Family, Heard, Objective, Source, TokenMemory
from asr_gate.train.model.ctc import best_path, ctc_losses, fewest_frames
from asr_gate.train.plan import Refused

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
BLANK = 0
MODEL_TYPE = "asr-gate-embedded-ctc"
SHIPPED = "embedded"
"""`model.pretrained` of the model that comes with the project."""
ACTIVATIONS = 60_000
"""Bytes that a frame of 20 ms keeps for the backward pass: counted with torch's saved tensors."""


@dataclass(frozen=True)
class Processor:
    """What is kept beside the weights."""

    card: Mapping[str, Any]
    """Of the model that the training begins with."""
    strength: float = 0.0
    """Of the changes of features."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """What the network writes, by column."""
        return tuple(self.card["tokens"])


@dataclass(frozen=True, slots=True)
class LetterExample(Example):
    """One row, ready for a batch."""

    mel: Tensor
    """Log-mel energies as recorded, shape (frames, mels)."""
    given: Tensor
    """What the network is given: standardised, perhaps changed; (frames, mels)."""
    target: Tensor
    """Tokens of the transcript, shape (tokens,), int64."""
    features: Features
    strength: float

    @property
    def tokens(self) -> int:
        """Frames of output."""
        return frames_out(len(self.mel))

    @property
    def size(self) -> int:
        """Bytes of its features."""
        return self.mel.nbytes + self.given.nbytes

    def augmented(self, augmentation: Augmentation) -> Self:
        """As another voice in another room, with masks."""
        if not self.strength:
            given = augmentation.mask_features(self.given.T, len(self.given)).T
        else:
            given = self.features.changed(
                self.mel, len(self.target), seed=augmentation.seed, strength=self.strength
            )
            if frames_out(len(given)) < fewest_frames(self.target.tolist()):
                return self
        return replace(self, given=given)


class LetterEncoder(Encoder):
    """Turns rows into log-mel features and letters."""

    processor: Processor
    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        processor: Processor,
        settings: recipes.Data,
        audited: AuditedAudio | None = None,
    ) -> None:
        super().__init__(processor, settings, audited)
        self._features = Features()

    def count_tokens(self, row: Row) -> int:
        """Frames of output."""
        return frames_out(round(row.seconds * SAMPLE_RATE) // HOP + 1)

    def check(self, row: Row) -> Refused | None:
        """A text that the network has no letters for, or that CTC cannot write in this time."""
        tokens = self._targets(row)
        if tokens is None:
            _, first, *_, last, _ = self.processor.tokens
            reason = f"its text has other letters than the model writes, {first} to {last}"
            return Refused(row.utterance.id, "unknown_letters", reason)
        needed, there = fewest_frames(tokens), self.count_tokens(row)
        if needed > there:
            reason = f"its text needs {needed} frames, and {row.seconds:.2f} s are {there}"
            return Refused(row.utterance.id, "text_too_long", reason)
        return None

    def encode(self, row: Row, samples: NDArray[np.float32]) -> LetterExample:
        """Features as an audit computes them, and the transcript's letters."""
        mel = self._features.of(samples)
        tokens = self._targets(row) or []
        return LetterExample(
            row=row,
            mel=mel,
            given=training.standard(mel),
            target=torch.tensor(tokens, dtype=torch.long),
            features=self._features,
            strength=self.processor.strength,
        )

    def _targets(self, row: Row) -> list[int] | None:
        return targets(row.utterance.text, row.language, self.processor.tokens)

    def batch(self, items: Sequence[Example | Refused]) -> Batch:
        """Padded with zeros; the network masks them.

        Its inputs: `mel`, shape (rows, frames, mels); `frames`, (rows,); `target`, (rows, tokens);
        `sizes`, (rows,).
        """
        examples = [item for item in items if isinstance(item, LetterExample)]
        refused = [item for item in items if isinstance(item, Refused)]
        if not examples:
            return Batch([], {}, [], refused)
        mel, frames = training.pad([example.given for example in examples])
        target, sizes = training.pad([example.target for example in examples])
        inputs = {"mel": mel, "frames": frames, "target": target, "sizes": sizes}
        return Batch([example.row for example in examples], inputs, sizes.tolist(), refused)

    def silence(self) -> Batch:
        """A second of silence, with no letters."""
        mel = training.standard(self._features.of(np.zeros(SAMPLE_RATE, dtype=np.float32)))
        inputs = {
            "mel": mel[None],
            "frames": torch.tensor([len(mel)]),
            "target": torch.zeros((1, 1), dtype=torch.long),
            "sizes": torch.tensor([0]),
        }
        return Batch([], inputs, [], [])


class LetterLoss(Objective):
    """CTC over the letters of the transcript."""

    model: TrainedNet

    def forward(self, weights: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Loss in nats, summed; a scalar.

        Args:
            weights: weight of each row, shape (rows,); None: 1.
            inputs: as `LetterEncoder.batch` makes them.
        """
        logits, _, lengths = self.model.logits(inputs["mel"], inputs["frames"])
        losses = _losses(logits, lengths, inputs)
        # A row without letters is `silence`: every parameter takes part, and nothing is learned.
        losses = losses * (inputs["sizes"] > 0)
        return (losses if weights is None else losses * weights).sum()


class EmbeddedCtc(Family):
    """The network of `asr_gate.embedded`, its batch normalisation frozen."""

    name = "ctc-embedded"
    title = "the embedded CTC model"
    generates = False
    bundled = SHIPPED

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """By `model_type`."""
        return config.get("model_type") == MODEL_TYPE

    def source(self, settings: recipes.Model, rows: Sequence[Row]) -> Source:
        """The model that comes with the project for the rows' language, or a checkpoint."""
        assert isinstance(settings, recipes.EmbeddedCtcModel)
        languages = {row.language for row in rows}
        name, one = str(settings.pretrained), len(languages) == 1
        card = _opened(name, languages.pop() if one else None).card
        return _source(name, Processor(card, settings.strength))

    def open(self, checkpoint: str) -> Source:
        """`embedded`, the English one, or a folder that `save` wrote."""
        return _source(checkpoint, Processor(_opened(checkpoint).card))

    def encoder(
        self, source: Source, settings: recipes.Data, audited: AuditedAudio | None = None
    ) -> LetterEncoder:
        """Log-mel features and letters."""
        return LetterEncoder(source.processor, settings, audited)

    def on_meta(self, source: Source, settings: recipes.Model) -> TrainedNet:
        """Every model of this family has the same shape."""
        return training.on_meta()

    def build(self, source: Source, settings: recipes.Model, *, seed: int) -> TrainedNet:
        """The weights of `model.pretrained`; nothing is random."""
        return _opened(str(settings.pretrained), source.processor.card["language"])

    def load(self, checkpoint: str) -> TrainedNet:
        """`embedded`, the English one, or a folder that `save` wrote."""
        return _opened(checkpoint)

    def save(
        self,
        folder: Path,
        model: TrainedNet,
        processor: Processor,
        *,
        weights: Mapping[str, Tensor] | None,
        dtype: torch.dtype,
    ) -> None:
        """`model.safetensors` and `config.json`; `model.onnx` and `model.json` for audits."""
        state = {**model.state_dict(), **(weights or {})}
        # Without batch normalisation's counts of batches, which nothing reads.
        kept = {
            name: tensor.cpu().contiguous()
            for name, tensor in state.items()
            if tensor.is_floating_point()
        }
        save_file(kept, folder / WEIGHTS_FILE)
        card = training.trained_card(processor.card)
        files.write(folder, training.halved(kept), card)
        config = {"model_type": MODEL_TYPE, "dtype": str(dtype).removeprefix("torch.")}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    def objective(self, model: TrainedNet) -> LetterLoss:
        """CTC."""
        return LetterLoss(model)

    def score(
        self,
        model: TrainedNet,
        encoder: LetterEncoder,
        batch: Batch,
        limits: Sequence[int],
        device: torch.device,
    ) -> list[Heard]:
        """Loss and greedy transcript of each row."""
        inputs = {name: tensor.to(device) for name, tensor in batch.inputs.items()}
        logits, _, lengths = model.logits(inputs["mel"], inputs["frames"])
        losses = _losses(logits, lengths, inputs).tolist()
        texts = _texts(logits, lengths, encoder.processor.tokens)
        return [Heard(text, loss=loss) for text, loss in zip(texts, losses, strict=True)]

    def transcribe(
        self,
        model: TrainedNet,
        encoder: LetterEncoder,
        examples: Sequence[Example],
        device: torch.device,
        *,
        limit: int,
    ) -> list[Heard]:
        """Greedy transcripts."""
        inputs = encoder.batch(examples).inputs
        logits, _, lengths = model.logits(inputs["mel"].to(device), inputs["frames"].to(device))
        return [Heard(text) for text in _texts(logits, lengths, encoder.processor.tokens)]

    def token_memory(self, model: TrainedNet, trained: Sequence[str]) -> TokenMemory:
        """A frame of output."""
        return TokenMemory(ACTIVATIONS, ACTIVATIONS)


def _losses(logits: Tensor, lengths: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    return ctc_losses(logits, lengths, inputs["target"], inputs["sizes"], blank=BLANK)


def _texts(logits: Tensor, lengths: Tensor, tokens: Sequence[str]) -> list[str]:
    """Greedy transcripts."""
    found = best_path(logits, lengths.tolist(), blank=BLANK)
    return [" ".join("".join(tokens[token] for token in row).split()) for row in found]


def _source(title: str, processor: Processor) -> Source:
    return Source(
        title=title,
        config=None,
        processor=processor,
        tokens=len(processor.tokens),
        most_tokens=2**31,
    )


def _opened(checkpoint: str, language: str | None = None) -> TrainedNet:
    """A model with its weights in single precision.

    Args:
        checkpoint: `embedded`, or a folder.
        language: of the model that comes with the project; None: English.

    Raises:
        UserError: no checkpoint of this family.
    """
    if checkpoint == SHIPPED:
        return training.trainable(load(files.shipped(language)))
    path = Path(checkpoint) / WEIGHTS_FILE
    card = files.read(Path(checkpoint)).card
    net = TrainedNet(Shape())
    wanted = {n: tensor for n, tensor in net.state_dict().items() if tensor.is_floating_point()}
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if {n: t.shape for n, t in found.items()} != {n: t.shape for n, t in wanted.items()}:
        raise UserError(f"{path}: its weights are not those of the embedded network")
    net.load_state_dict(found, strict=False)  # the counts alone are missing
    net.card = card.model_dump(mode="json")
    return net.eval()
