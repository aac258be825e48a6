"""The training objective: negative log-likelihood of the transcript and its end token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from transformers import Qwen3ASRForConditionalGeneration

from asr_gate.train.families.interface import Objective
from asr_gate.train.families.qwen3_asr import audio_tower
from asr_gate.train.families.qwen3_asr.encoder import IGNORE
from asr_gate.train.families.qwen3_asr.fast import fused_loss, uses_fused_kernels
from asr_gate.train.model.token_losses import token_losses


class TranscriptLoss(Objective):
    """Sums the loss over supervised tokens, and computes logits only there."""

    on_host: ClassVar[frozenset[str]] = frozenset({audio_tower.ON_HOST})

    model: Qwen3ASRForConditionalGeneration

    def forward(self, weights: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Loss in nats, summed; a scalar.

        Args:
            weights: weight of each row's tokens, shape (rows,); None: 1.
            inputs: a batch that `pack` prepared, or that it can prepare.
        """
        packed = inputs if "loss_at" in inputs else self.pack(inputs)
        if weights is None and len(packed["loss_at"]) and uses_fused_kernels(self.model):
            return fused_loss(
                self._states(packed), self.model.lm_head.weight, packed["loss_targets"]
            )
        losses, rows = self._supervised(packed)
        # Not a dot product: autocast would compute that in bfloat16.
        return (losses if weights is None else losses * weights[rows]).sum()

    def by_row(self, **inputs: Tensor) -> Tensor:
        """The loss of each row, shape (rows,); arguments as in `forward`."""
        losses, rows = self._supervised(inputs)
        return losses.new_zeros(len(inputs["input_ids"])).index_add(0, rows, losses)

    def pack(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch with everything that its shapes depend on counted.

        On the host this costs little. On a device, each count waits for it.

        Args:
            inputs: as `encoder.collate` makes them; instead of the features there may be
                `audio_states`, the outputs of the audio tower, as `AudioCache.inputs_of` gives
                them. Positions with the label `IGNORE` have no loss; if there are no others, the
                loss and its gradients are zero.

        Raises:
            ValueError: the audio has another number of tokens than the prompt has placeholders.
        """
        packed = dict(inputs)
        labels, mask = packed.pop("labels"), packed["attention_mask"]
        # The state at one position predicts the token at the next.
        following = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORE)
        packed["loss_rows"], columns = (following != IGNORE).nonzero(as_tuple=True)
        packed["loss_at"] = packed["loss_rows"] * labels.shape[1] + columns
        packed["loss_targets"] = following.flatten()[packed["loss_at"]]
        # Causal attention never looks at padding that stands on the right.
        if bool((mask[:, :-1] >= mask[:, 1:]).all()):
            del packed["attention_mask"]
        if "input_features" in packed:
            packed |= audio_tower.pack(
                self.model.model.audio_tower, packed.pop("input_features_mask")
            )
            tokens = len(packed["audio_tokens"])
        elif "audio_states" in packed:
            tokens = len(packed["audio_states"])
        else:
            return packed
        placeholders = packed["input_ids"].flatten() == self.model.config.audio_token_id
        packed["audio_at"] = placeholders.nonzero()[:, 0]
        if len(packed["audio_at"]) != tokens:
            raise ValueError(
                f"{len(packed['audio_at'])} audio placeholders, but {tokens} tokens of audio"
            )
        return packed

    def _supervised(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Losses and rows of the supervised positions of a batch, both of shape (positions,)."""
        packed = inputs if "loss_at" in inputs else self.pack(inputs)
        losses = token_losses(self.model.lm_head, self._states(packed), packed["loss_targets"])
        return losses, packed["loss_rows"]

    def _states(self, packed: dict[str, Tensor]) -> Tensor:
        """The last states of the supervised positions, shape (positions, width)."""
        language_model = self.model.model.language_model
        # (rows, tokens, width)
        hidden = language_model(
            inputs_embeds=self.embeddings(packed),
            attention_mask=self._mask(packed.get("attention_mask")),
            use_cache=False,
        ).last_hidden_state
        states: Tensor = hidden.flatten(0, 1).index_select(0, packed["loss_at"])
        return states

    def audio_states(self, packed: dict[str, Tensor]) -> Tensor:
        """The audio tower's outputs for a packed batch, shape (audio tokens, tower's width)."""
        return audio_tower.audio_states(
            self.model.model.audio_tower,
            packed["input_features"],
            **{name: packed[name] for name in audio_tower.NAMES},
        )

    def embeddings(self, packed: dict[str, Tensor]) -> Tensor:
        """What the language model reads, the projected audio in place of its placeholders.

        Args:
            packed: with `audio_at`, where the placeholders stand in the flattened `input_ids`, and
                the features or the `audio_states`; without `audio_at` there is no audio.

        Returns:
            Shape (rows, tokens, width).
        """
        model, ids = self.model.model, packed["input_ids"]
        # The sum of all layers is float32, also where the embeddings are stored in bfloat16.
        embeddings: Tensor = model.get_input_embeddings()(ids).float()
        if "audio_at" not in packed:
            return embeddings
        states = packed["audio_states"] if "audio_states" in packed else self.audio_states(packed)
        audio = model.multi_modal_projector(states).to(embeddings.dtype)
        return embeddings.flatten(0, 1).index_copy(0, packed["audio_at"], audio).view_as(embeddings)

    def _mask(self, mask: Tensor | None) -> Tensor | dict[str, None] | None:
        """The mask of the language model.

        Without padding, transformers would look for several texts in one row, and wait for the
        device; a mapping says that there is nothing to find. Eager attention needs a mask, because
        it knows of no order.
        """
        config = self.model.model.language_model.config
        plain = set(config.layer_types) == {"full_attention"}
        if mask is None and plain and config._attn_implementation != "eager":
            return {"full_attention": None}
        return mask
