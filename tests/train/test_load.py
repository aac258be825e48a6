"""Checkpoints of both layouts, and recipes on the released models' architectures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from asr_gate.corpus.errors import UserError
from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr.build import build_on_meta, is_tied
from asr_gate.train.families.qwen3_asr.load import load_config, load_pretrained, load_processor
from asr_gate.train.model.parameter_groups import match
from asr_gate.train.recipes import RecipeError
from tests.train.layouts import older_name, thinker_config, write_older, write_small


@pytest.fixture(scope="module")
def native(processor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint in transformers' layout."""
    folder = tmp_path_factory.mktemp("native")
    write_small(folder, processor)
    return folder


@pytest.fixture(scope="module")
def older(native: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in the older layout."""
    folder = tmp_path_factory.mktemp("older") / "checkpoint"
    write_older(folder, native)
    return folder


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters())


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# The released models, as far as they can be known without their weights.


@pytest.fixture(scope="module", params=["1.7B", "0.6B"])
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Size and architecture of a released model, from its configuration in the older layout."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "config.json").write_text(json.dumps(thinker_config(request.param)))
    config = load_config(str(folder), None)
    return request.param, config


def test_the_1_7b_is_what_transformers_has_by_default(released) -> None:
    """But for the width of the language model and its rotary base, which the defaults miss."""
    from transformers import Qwen3ASRConfig

    size, config = released
    if size == "1.7B":
        defaults = Qwen3ASRConfig(audio_config={"output_dim": 2048})
        defaults.text_config.rope_parameters["rope_theta"] = 1000000
        assert config.to_dict() == defaults.to_dict()
    assert config.text_config.rope_parameters == {"rope_type": "default", "rope_theta": 1000000}


def test_names_and_counts_of_the_released_models(released) -> None:
    size, config = released
    model = build_on_meta(config, untie=False)
    names = weights(model)
    layers, width = {"1.7B": (24, 2048), "0.6B": (18, 1024)}[size]
    # 11 parameters a text layer, 16 an audio layer; embeddings and norm; 3 convolutions with
    # biases, their projection, the last norm; the projector.
    assert len(names) == 28 * 11 + layers * 16 + 2 + 9 + 4
    assert {older_name(name).split(".")[0] for name in names} == {"thinker"}
    counted = {
        tower: sum(p.numel() for name, p in names.items() if name.startswith(f"model.{tower}."))
        for tower in ("language_model", "audio_tower", "multi_modal_projector")
    }
    assert (
        list(counted.values())
        == {
            # The language models are Qwen3-1.7B and Qwen3-0.6B, whose sizes are published.
            "1.7B": [1_720_574_976, 314_328_704, 3_148_800],
            "0.6B": [596_049_920, 184_653_952, 1_722_240],
        }[size]
    )
    assert names["model.language_model.embed_tokens.weight"].shape == (151936, width)
    assert names["model.multi_modal_projector.linear_2.weight"].shape[0] == width
    untied = build_on_meta(config, untie=True)
    assert weights(untied).keys() - names.keys() == {"lm_head.weight"}
    assert config.tie_word_embeddings


def matched(config, name: str, *overrides: str) -> dict[str, dict[str, set[str]]]:
    """Names by phase and group."""
    settings = recipes.load(name, overrides)[1]
    model = build_on_meta(config, untie=settings.model.untie_embeddings)
    return {
        phase: {group.name: set(group.parameters) for group in groups}
        for phase, groups in match(model, settings.phases).items()
    }


def numbers(names: set[str], of: str) -> set[int]:
    """The layers of a tower that the names belong to; the names must all be in it."""
    assert all(name.startswith(of) for name in names)
    return {int(name.removeprefix(of).split(".")[0]) for name in names}


def test_round2_trains_the_top_of_the_1_7b_and_does_not_fit_the_0_6b(released) -> None:
    size, config = released
    if size == "0.6B":
        with pytest.raises(RecipeError, match=r"audio_tower\.layers\.18\.\* matches nothing") as e:
            matched(config, "round2")
        assert "model.audio_tower.layers.{0..17}.*" in str(e.value)
        top = 'phases.1.groups.1.parameters=["model.audio_tower.layers.{10..17}.*"]'
        assert len(matched(config, "round2", top)["A"]["audio_top"]) == 8 * 16
        return
    phases = matched(config, "round2")
    text, audio = "model.language_model.layers.", "model.audio_tower.layers."
    for phase in ("B", "A"):
        assert numbers(phases[phase]["language_model_top"], text) == set(range(16, 28))
        assert len(phases[phase]["language_model_top"]) == 12 * 11
        assert phases[phase]["head"] == {"lm_head.weight"}
        assert len(phases[phase]["projector"]) == 4
    assert numbers(phases["A"]["audio_top"], audio) == set(range(16, 24))
    assert len(phases["A"]["audio_top"]) == 8 * 16
    assert "audio_top" not in phases["B"]


@pytest.mark.parametrize("name", ["full", "round1"])
def test_the_full_recipe_and_the_baseline_train_everything(name: str, released) -> None:
    _, config = released
    (groups,) = matched(config, name).values()
    every = set(weights(build_on_meta(config, untie=False)))
    assert set.union(*groups.values()) == every
    assert sum(map(len, groups.values())) == len(every)


def test_the_projector_recipe_trains_the_projector_alone(released) -> None:
    _, config = released
    assert matched(config, "projector-only") == {
        "projector": {
            "projector": {
                f"model.multi_modal_projector.linear_{n}.{part}"
                for n in (1, 2)
                for part in ("weight", "bias")
            }
        }
    }


# Small models in both layouts.


def test_the_older_layout_loads_equal_to_the_bit(native: Path, older: Path) -> None:
    ours, theirs = (load_pretrained(str(path), None, untie=False) for path in (native, older))
    assert same(ours, theirs)
    assert is_tied(theirs)
    assert ours.config.to_dict() == theirs.config.to_dict() | {
        key: ours.config.to_dict()[key]
        for key in ("eos_token_id", "pad_token_id", "_name_or_path", "architectures", "dtype")
        if key in ours.config.to_dict()
    }
    assert not load_pretrained(str(older), None, untie=True).config.tie_word_embeddings


def test_both_layouts_have_one_processor(native: Path, older: Path) -> None:
    ours, theirs = (load_processor(str(path), None) for path in (native, older))
    noise = np.random.default_rng(0).normal(size=20000).astype(np.float32)
    one, other = (
        p.apply_transcription_request([noise], language="English") for p in (ours, theirs)
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    text = "red <asr_text>שלום<|im_end|>"
    assert ours.tokenizer(text).input_ids == theirs.tokenizer(text).input_ids


def test_a_converted_model_is_saved_in_transformers_layout(
    native: Path, older: Path, tmp_path: Path
) -> None:
    from asr_gate.train.model.checkpoint import write_checkpoint

    model = load_pretrained(str(older), None, untie=False)
    write_checkpoint(tmp_path / "saved", model, load_processor(str(older), None))
    saved, first = (load_file(path / "model.safetensors") for path in (tmp_path / "saved", native))
    assert saved.keys() == first.keys()
    assert model.generation_config.do_sample is False
    assert model.generation_config.temperature is None
    assert "thinker_config" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    again = load_pretrained(str(tmp_path / "saved"), None, untie=False)
    assert same(model, again)
    assert load_processor(str(tmp_path / "saved"), None).chat_template


@pytest.mark.parametrize("head", [False, True])
def test_shards_of_the_older_layout_load(processor, tmp_path: Path, head: bool) -> None:
    model = write_small(tmp_path / "native", processor, shard="40KB")
    write_older(tmp_path / "older", tmp_path / "native", head=head)
    assert len(list((tmp_path / "older").glob("model-*.safetensors"))) > 2
    loaded = load_pretrained(str(tmp_path / "older"), None, untie=False)
    assert same(model, loaded)
    assert is_tied(loaded)


def test_a_head_of_its_own_is_kept(older: Path, tmp_path: Path) -> None:
    """Though the configuration says that it is tied; also when saved and loaded again."""

    def add_head(kept: dict[str, torch.Tensor]) -> None:
        kept["thinker.lm_head.weight"] = kept["thinker.model.embed_tokens.weight"] + 1

    folder = changed(older, tmp_path / "copy", add_head)
    model = load_pretrained(str(folder), None, untie=False)
    assert torch.equal(model.lm_head.weight, model.get_input_embeddings().weight + 1)
    assert model.config.tie_word_embeddings is False
    model.save_pretrained(tmp_path / "saved")
    assert same(model, load_pretrained(str(tmp_path / "saved"), None, untie=False))


def changed(folder: Path, to: Path, change) -> Path:
    """A copy of a checkpoint whose weights went through `change`."""
    import shutil

    shutil.copytree(folder, to)
    kept = load_file(to / "model.safetensors")
    change(kept)
    save_file(kept, to / "model.safetensors", metadata={"format": "pt"})
    return to


def drop(kept: dict[str, torch.Tensor]) -> None:
    for name in [name for name in kept if "proj1" in name or "linear_1" in name]:
        del kept[name]


def add(kept: dict[str, torch.Tensor]) -> None:
    kept["thinker.talker.weight"] = torch.zeros(2)


def resize(kept: dict[str, torch.Tensor]) -> None:
    name = next(name for name in kept if name.endswith("norm.weight") and "layers" not in name)
    kept[name] = torch.zeros(3)


@pytest.mark.parametrize("layout", ["native", "older"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop, "2 missing keys, first model.multi_modal_projector.linear_1.bias, model.multi_mod"),
        (add, "1 unexpected keys, first "),
        (resize, "1 mismatched keys, first "),
    ],
)
def test_weights_that_do_not_fit_are_named(
    layout: str, change, says: str, native: Path, older: Path, tmp_path: Path
) -> None:
    folder = changed({"native": native, "older": older}[layout], tmp_path / "copy", change)
    with pytest.raises(UserError) as error:
        load_pretrained(str(folder), None, untie=False)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_names_of_one_layout_under_the_other_s_configuration_are_refused(
    native: Path, older: Path, tmp_path: Path
) -> None:
    def rename(kept: dict[str, torch.Tensor]) -> None:
        for name in list(kept):
            kept[older_name(name)] = kept.pop(name)

    folder = changed(native, tmp_path / "copy", rename)
    with pytest.raises(UserError, match=r"missing keys.*unexpected keys, first thinker\."):
        load_pretrained(str(folder), None, untie=False)


def test_pickled_weights_are_never_opened(native: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(native, folder)
    (folder / "model.safetensors").unlink()

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save(Trap(), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"):
        load_pretrained(str(folder), None, untie=False)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"thinker_config": {"classify_num": 5000}}, "does not transcribe"),
        ({"thinker_config": {}}, "audio_config.num_mel_bins"),
        ({"thinker_config": None, "audio_config": {"d_model": "wide"}}, "d_model"),
        ({"thinker_config": None, "model_type": "qwen3"}, "holds a qwen3 model"),
        ({"thinker_config": None, "model_type": "nothing"}, "no usable Qwen3-ASR checkpoint"),
    ],
)
def test_configurations_that_do_not_fit_are_one_line(change, says: str, tmp_path: Path) -> None:
    content = thinker_config("0.6B") | change
    if content["thinker_config"] is None:
        del content["thinker_config"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=says) as error:
        load_config(str(tmp_path), None)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"thinker_config": 3}'])
def test_broken_configurations_are_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError) as error:
        load_config(str(tmp_path), None)
    assert "\n" not in str(error.value)


def test_broken_weights_are_one_line(native: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(native, folder)
    (folder / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(UserError, match="no usable") as error:
        load_pretrained(str(folder), None, untie=False)
    assert "\n" not in str(error.value)
