"""A padded batch through wav2vec2's kin gives what each row gives alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import transformers as t
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.networks import processor
from asr_gate.networks.features import (
    EXACT,
    exact_features,
    exact_when_padded,
    feature_encoder,
)
from asr_gate.networks.processor import FeatureEncoder, PositionalConvolution, quicken

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 12,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 4,
    "pad_token_id": 0,
}
FIELD = 400
"""Samples of one frame's receptive field."""


def network(kind: str = "wav2vec2", norm: str = "group", **more: Any) -> Any:
    """A small random CTC model whose norms have weights other than one and zero."""
    torch.manual_seed(0)
    config = t.AutoConfig.for_model(
        kind, **SIZES | more, feat_extract_norm=norm, do_stable_layer_norm=norm == "layer"
    )
    model = t.AutoModelForCTC.from_config(config).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm):
            torch.nn.init.normal_(module.weight, 1.0, 0.3)
            torch.nn.init.normal_(module.bias, 0.0, 0.3)
    return model


def padded(lengths: list[int]) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Sounds of different loudness, the batch of them, and its mask."""
    torch.manual_seed(sum(lengths))
    sounds = [torch.randn(length) * (1 + row) for row, length in enumerate(lengths)]
    batch = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True)
    mask = torch.arange(batch.shape[1]) < torch.tensor(lengths)[:, None]
    return sounds, batch, mask.long()


@given(
    norm=st.sampled_from(["group", "layer"]),
    lengths=st.lists(st.integers(FIELD, 9000), min_size=1, max_size=5),
)
@settings(max_examples=25, deadline=None)
def test_features_of_a_padded_batch_are_those_of_its_rows(norm: str, lengths: list[int]) -> None:
    encoder = network(norm=norm, num_hidden_layers=1).base_model.feature_extractor
    sounds, batch, mask = padded(lengths)
    alone = FeatureEncoder(encoder, by_numpy=False)
    numpys = FeatureEncoder(encoder, by_numpy=True)
    with torch.inference_mode():
        together = exact_features(encoder, batch, mask.sum(-1))
        for row, sound in zip(together, sounds, strict=True):
            single = encoder(sound[None])[0]
            count = single.shape[-1]
            assert int(alone.frames(torch.tensor(len(sound)))) == count
            torch.testing.assert_close(row[:, :count], single, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(alone(sound).t(), single, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(numpys(sound).t(), single, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("kind", sorted(EXACT))
def test_logits_of_a_padded_batch_are_those_of_its_rows(
    kind: str, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(kind, norm)
    assert exact_when_padded(model.config)
    sounds, batch, mask = padded([FIELD, 3333, 16000, 9100])
    with torch.inference_mode():
        alone = [model(input_values=sound[None]).logits[0] for sound in sounds]
        encoder = feature_encoder(model)
        features = exact_features(encoder, batch, mask.sum(-1))
        together = model(input_values=features, attention_mask=mask).logits
        ways = [together]
        for by_numpy in (False, True):
            monkeypatch.setattr(processor, "prefer_numpy", lambda by_numpy=by_numpy: by_numpy)
            quicken(model)
            ways.append(model(input_values=features, attention_mask=mask).logits)
    for found in ways:
        for row, single in zip(found, alone, strict=True):
            torch.testing.assert_close(row[: len(single)], single, atol=1e-3, rtol=0)


def test_gradients_of_a_padded_batch_are_the_sum_of_its_rows() -> None:
    model = network(hidden_dropout=0.0, layerdrop=0.0)
    encoder = feature_encoder(model)
    sounds, batch, mask = padded([4000, 9000])

    def gradients(waves: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        features = exact_features(encoder, waves, valid.sum(-1))
        labels = torch.ones(len(waves), 2, dtype=torch.long)
        model(input_values=features, attention_mask=valid, labels=labels).loss.backward()
        found = encoder.conv_layers[0].conv.weight.grad
        assert found is not None
        return found.clone()

    model.config.ctc_loss_reduction = "sum"
    apart = sum(gradients(one[None], torch.ones(1, len(one)).long()) for one in sounds)
    torch.testing.assert_close(gradients(batch, mask), apart, atol=1e-4, rtol=1e-3)


def test_a_copy_of_the_model_has_an_encoder_of_its_own() -> None:
    model = network()
    names = set(model.state_dict())
    feature_encoder(model)
    assert set(model.state_dict()) == names
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.base_model.feature_extractor.parameters():
            weight.zero_()
        assert twin(input_values=torch.randn(1, 4000)).logits.std() > 0.01
        encoded = twin.base_model.feature_extractor(torch.randn(1, 4000))
    assert encoded.std() > 0


@given(rows=st.integers(1, 3), frames=st.integers(1, 900), taps=st.sampled_from([32, 95, 128]))
@settings(max_examples=15, deadline=None)
def test_positions_by_fourier_transforms_are_the_convolution(
    rows: int, frames: int, taps: int
) -> None:
    torch.manual_seed(frames)
    convolution = torch.nn.Conv1d(16, 16, taps, padding=taps // 2, groups=4)
    assert PositionalConvolution.suits(convolution)
    values = torch.randn(rows, 16, frames)
    with torch.inference_mode():
        torch.testing.assert_close(
            PositionalConvolution(convolution)(values), convolution(values), atol=1e-5, rtol=1e-4
        )
