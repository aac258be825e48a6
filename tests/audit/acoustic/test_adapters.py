"""Every acoustic model: real code on real sound, small random weights where the real are large."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr_gate.audit.acoustic import AcousticModel, load_model
from asr_gate.audit.acoustic.batching import as_computed, emissions
from asr_gate.audit.acoustic.mms import MmsModel
from asr_gate.corpus.errors import UserError
from tests.speech import SHARED, babble, spoken

LETTERS = list("abcdefghijklmnopqrstuvwxyz'")


def hf_folder(folder: Path, kind: str) -> Path:
    """A small random CTC model of the transformers library, as a user would have it on disk."""
    import transformers as t

    torch.manual_seed(0)
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    t.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    size: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": len(tokens),
        "pad_token_id": 0,
    }
    if kind == "bert":
        model: Any = t.Wav2Vec2BertForCTC(
            t.Wav2Vec2BertConfig(**size, feature_projection_input_dim=160)
        )
        t.SeamlessM4TFeatureExtractor().save_pretrained(folder)
    else:
        config = t.Wav2Vec2Config(
            **size,
            feat_extract_norm=kind,
            conv_dim=(32,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
            do_stable_layer_norm=kind == "layer",
        )
        model = t.Wav2Vec2ForCTC(config)
        t.Wav2Vec2FeatureExtractor(return_attention_mask=kind == "layer").save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def nemo_folder(folder: Path, seed: int = 0) -> Path:
    """A NeMo export with one random convolution in place of an encoder."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).standard_normal((29, 64, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["audio_signal", "w"], ["c"], strides=[2]),
            helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 1]),
            helper.make_node("LogSoftmax", ["t"], ["logprobs"], axis=-1),
        ],
        "encoder",
        [
            helper.make_tensor_value_info("audio_signal", TensorProto.FLOAT, ["b", 64, "t"]),
            helper.make_tensor_value_info("length", TensorProto.INT64, ["b"]),
        ],
        [helper.make_tensor_value_info("logprobs", TensorProto.FLOAT, ["b", "f", 29])],
        [numpy_helper.from_array(weights, "w")],
    )
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    config = {
        "sample_rate": 16000,
        "preprocessor": {
            "window_size": 0.02,
            "window_stride": 0.01,
            "window": "hann",
            "n_fft": 512,
            "features": 64,
        },
        "encoder_stride": 2,
        "decoder": {"vocabulary": [" ", *LETTERS], "blank": 28},
    }
    (folder / "model_config.yaml").write_text(json.dumps(config))
    return folder


def mms() -> AcousticModel:
    """MMS_FA's adapter with a small network."""
    return MmsModel("he", "cpu", mms_network())


def mms_network() -> torch.nn.Module:
    """MMS_FA's architecture, two narrow layers, random weights."""
    from torchaudio.models import wav2vec2_model

    torch.manual_seed(0)
    network: torch.nn.Module = wav2vec2_model(
        extractor_mode="layer_norm",
        extractor_conv_layer_config=[(32, 10, 5), *[(32, 3, 2)] * 4, *[(32, 2, 2)] * 2],
        extractor_conv_bias=True,
        encoder_embed_dim=32,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=16,
        encoder_pos_conv_groups=2,
        encoder_num_layers=2,
        encoder_num_heads=2,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=64,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=True,
        encoder_layer_drop=0.0,
        aux_num_out=28,
    )
    return network.eval()


ADAPTERS: dict[str, Callable[[Path], AcousticModel]] = {
    "embedded": lambda _: load_model("embedded", device="cpu"),
    "hf-group-norm": lambda tmp: load_model(f"hf:{hf_folder(tmp / 'm', 'group')}", device="cpu"),
    "hf-layer-norm": lambda tmp: load_model(f"hf:{hf_folder(tmp / 'm', 'layer')}", device="cpu"),
    "hf-spectral": lambda tmp: load_model(f"hf:{hf_folder(tmp / 'm', 'bert')}", device="cpu"),
    "mms": lambda _: mms(),
    "nemo": lambda tmp: load_model(f"nemo:{nemo_folder(tmp / 'm')}", device="cpu"),
}


@pytest.fixture(params=ADAPTERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> AcousticModel:
    return ADAPTERS[request.param](tmp_path)


def test_emissions_are_log_probabilities_at_the_stride(model: AcousticModel) -> None:
    (sound,) = spoken(1)
    (emission,) = emissions(model, [sound], 60)
    assert emission.dtype == np.float32
    assert emission.shape[1] == len(model.info.tokens)
    np.testing.assert_allclose(np.exp(emission).sum(axis=1), 1, atol=1e-3)
    assert abs(len(emission) * model.info.stride - len(sound) / 16000) < 0.1


def test_a_batch_gives_what_single_utterances_give(model: AcousticModel) -> None:
    sounds = [*spoken(5), babble(0.3), babble(2.0), babble(0.05), 0.001 * babble(1.5)]
    together = emissions(model, sounds, 600)
    for sound, batched in zip(sounds, together, strict=True):
        (single,) = emissions(model, [sound], 600)
        assert single.shape == batched.shape
        np.testing.assert_allclose(np.exp(batched), np.exp(single), atol=1e-3)
        likely = single > -10  # below, a difference in the log is none in probability
        np.testing.assert_allclose(batched[likely], single[likely], atol=1e-3)


@pytest.mark.parametrize("kind", ["group", "layer"])
def test_emissions_are_those_of_transformers_itself(kind: str, tmp_path: Path) -> None:
    """The sums are in another order on a processor, and no others."""
    import transformers as t

    folder = hf_folder(tmp_path / "m", kind)
    sounds = [*spoken(3), babble(0.4)]
    plain: Any = t.AutoModelForCTC.from_pretrained(folder).eval()
    extractor: Any = t.AutoFeatureExtractor.from_pretrained(folder)
    ours = emissions(load_model(f"hf:{folder}", device="cpu"), sounds, 60)
    for sound, emission in zip(sounds, ours, strict=True):
        inputs = extractor(sound, sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            theirs = plain(input_values=inputs["input_values"]).logits[0].log_softmax(-1)
        np.testing.assert_allclose(emission, theirs.numpy(), atol=1e-3)


def test_emissions_are_those_of_torchaudio_itself() -> None:
    model = mms()
    assert isinstance(model, MmsModel)
    sound = spoken(1)[0]
    (emission,) = emissions(model, [sound], 60)
    wave = torch.from_numpy(sound)
    with torch.inference_mode():
        logits, _ = mms_network()(torch.nn.functional.layer_norm(wave, wave.shape)[None])
    np.testing.assert_allclose(emission, logits[0].log_softmax(-1).numpy(), atol=1e-3)


def test_the_same_weights_have_the_same_digest(model: AcousticModel) -> None:
    assert len(model.info.weights_sha256) == 64
    assert model.info.tokens[model.info.blank] not in LETTERS
    words = model.spell("it's fine").words
    assert [len(word.letters) for word in words] == [4, 4]


def test_long_recordings_are_run_in_windows_and_joined() -> None:
    model = load_model("embedded", device="cpu")
    sound = np.concatenate(spoken(3, "long_tail"))
    whole = model.forward([sound])[0]
    model.window, model.context = 10.0, 3.0
    (joined,) = emissions(model, [sound], 30)
    assert joined.shape == whole.shape
    agree = (joined.argmax(axis=1) == whole.argmax(axis=1)).mean()
    assert agree > 0.9, "windows see their own mean and variance, and little else changes"


def test_what_is_not_wanted_leaves_the_rest_as_it_is_to_the_bit() -> None:
    model = load_model("embedded", device="cpu")
    model.window, model.context = 1.5, 0.5
    sounds = spoken(5)
    whole = emissions(model, sounds, 8)
    some = dict(as_computed(model, sounds, 8, {1, 4}))
    assert sorted(some) == [1, 4]
    for number, emission in some.items():
        np.testing.assert_array_equal(emission, whole[number])


def test_windows_cover_every_frame_once() -> None:
    """A model that answers with the position of each frame shows how the windows are joined."""

    class Clock(AcousticModel):
        info = load_model("embedded", device="cpu").info
        window, context = 1.0, 0.5

        def forward(self, waveforms: Any) -> Any:
            return [np.repeat(w[::320][:, None], 2, axis=1)[: -(-len(w) // 320)] for w in waveforms]

    for frames in (99, 100, 101, 149, 150, 151, 199, 400, 401, 437):
        sound = np.repeat(np.arange(frames, dtype=np.float32), 320)
        (emission,) = emissions(Clock(), [sound], 600)
        np.testing.assert_array_equal(emission[:, 0], np.arange(frames))


@pytest.mark.slow
def test_hebrew_is_romanised_for_mms() -> None:
    transcript = mms().spell("שלום עולם")
    assert len(transcript.words) == 2
    assert transcript.unknown == 0
    assert transcript.words[0].text == "שלום"
    assert all(letter in "abcdefghijklmnopqrstuvwxyz'" for letter in transcript.words[0].letters)


@pytest.mark.slow
def test_a_model_of_latin_letters_takes_any_script_where_it_is_asked_to() -> None:
    model = load_model("embedded", language="he", device="cpu", romanize=True)
    assert (model.info.language, model.info.romanised) == ("he", True)
    found = model.spell("שלום 5 ילדים, OK")
    assert [word.text for word in found.words] == ["שלום", "חמישה", "ילדים,", "OK"]
    assert (found.unknown, found.words[0].letters) == (0, tuple("shlvm"))
    many = load_model("embedded", device="cpu", romanize=True)
    assert many.info.language == "mul", "which one it is nobody said"
    assert many.spell("Добрый день").unknown == 0


@pytest.mark.slow
def test_numbers_are_read_out_in_the_rows_language_else_the_models() -> None:
    english = load_model("embedded", device="cpu")
    assert [word.text for word in english.spell("12").words] == ["twelve"]
    assert [word.text for word in english.spell("12", "de").words] == ["zwölf"]
    assert [word.text for word in english.spell("12", "und").words] == ["twelve"]
    many = mms()
    many.info = dataclasses.replace(many.info, language="mul")
    assert many.spell("12").unknown == 2, "a model of many languages does not guess"
    hebrew = many.spell("12", "he")
    assert [word.text for word in hebrew.words] == ["שתים", "עשרה"]
    assert hebrew.unknown == 0, "read out before it is romanised"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("whisper", "unknown acoustic model"),
        ("hf:", "unknown acoustic model"),
        ("nemo:nowhere", "nowhere/model.onnx: missing"),
        ("hf:./nowhere", "no such folder"),
    ],
)
def test_a_wrong_spec_is_one_line(spec: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        load_model(spec, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_broken_export_is_one_line(tmp_path: Path) -> None:
    folder = nemo_folder(tmp_path / "m")
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="not an ONNX model"):
        load_model(f"nemo:{folder}", device="cpu")
    (folder / "model_config.yaml").write_text("sample_rate: 16000")
    with pytest.raises(UserError, match="not a CTC export's configuration"):
        load_model(f"nemo:{folder}", device="cpu")


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="the real NeMo export is not here")
def test_a_real_nemo_export_reads_real_speech() -> None:
    model = load_model(f"nemo:{SHARED / 'models' / 'quartznet15x5-en'}", device="cpu")
    (emission,) = emissions(model, spoken(1), 60)
    path = emission.argmax(axis=1)
    path = path[np.insert(path[1:] != path[:-1], 0, True)]
    heard = "".join(model.info.tokens[i] for i in path if i != model.info.blank)
    assert "dashwood" in heard


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("kind", ["hf", "mms"])
def test_lower_precision_is_near_and_named(kind: str, precision: Any, tmp_path: Path) -> None:
    sounds = [babble(0.5), babble(1.0)]
    if kind == "mms":
        exact: AcousticModel = mms()
        lower: AcousticModel = MmsModel("he", "cpu", mms_network(), precision)
    else:
        spec = f"hf:{hf_folder(tmp_path / 'm', 'group')}"
        exact = load_model(spec, device="cpu")
        lower = load_model(spec, device="cpu", precision=precision)
    assert (exact.info.precision, lower.info.precision) == ("float32", precision)
    assert exact.info.weights_sha256 == lower.info.weights_sha256
    pairs = list(zip(emissions(exact, sounds, 60), emissions(lower, sounds, 60), strict=True))
    for one, other in pairs:
        np.testing.assert_allclose(np.exp(one), np.exp(other), atol=0.05)
    assert any((one != other).any() for one, other in pairs)


def test_weights_in_half_precision_are_read_as_float32(tmp_path: Path) -> None:
    import transformers as t

    folder = hf_folder(tmp_path / "m", "layer")
    t.AutoModelForCTC.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    model = load_model(f"hf:{folder}", device="cpu")
    assert model.info.precision == "float32"
    (emission,) = emissions(model, [babble(0.5)], 60)
    assert np.isfinite(emission).all()


def test_onnx_models_have_one_precision() -> None:
    with pytest.raises(UserError, match="--precision int8"):
        load_model("embedded", device="cpu", precision="int8")


def test_onnxruntime_notes_nothing_about_this_machine(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import asr_gate.audit.acoustic.onnx_session"],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        check=True,
    )
    assert not list(tmp_path.iterdir())
