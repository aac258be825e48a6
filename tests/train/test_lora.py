"""Adapters train, everything else stands still, and what is saved needs no peft."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr_gate.train import recipes, run
from asr_gate.train.loop import fit
from asr_gate.train.model.lora import add_adapters
from asr_gate.train.recipes import RecipeError
from tests.train.trainings import content, equal_weights, losses, train

OVERRIDES = (
    "model.untie_embeddings=false",
    "model.lora={rank: 4, layers: ['model.language_model.layers.{2..3}.self_attn.*_proj']}",
    "phases=[{name: A, epochs: [1, 2], groups: [{name: adapters, learning_rate: 0.01, "
    "parameters: ['*.lora_*']}]}]",
)


@pytest.fixture(scope="module")
def adapted(
    manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> run.TrainResult:
    """Two epochs of adapters."""
    return train(manifest, report, *OVERRIDES, out=tmp_path_factory.mktemp("lora") / "r")


def test_adapters_train_and_are_merged(adapted: run.TrainResult) -> None:
    result = adapted
    assert losses(result)[-1] < losses(result)[0]
    first, last = (load_file(result.out / n / "model.safetensors") for n in ("epoch-1", "final"))
    assert not [name for name in last if "lora" in name or "base_layer" in name]
    moved = {name for name in last if not torch.equal(first[name], last[name])}
    assert moved == {
        f"model.language_model.layers.{layer}.self_attn.{kind}_proj.weight"
        for layer in (2, 3)
        for kind in "qkvo"
    }
    assert content(result)["plan"]["phases"][0]["groups"][0]["parameters"] == sum(
        4 * sum(last[name].shape) for name in moved
    )


def test_what_is_saved_says_what_was_trained(
    adapted: run.TrainResult, manifest: Path, report: Path
) -> None:
    """The merged model, loaded by plain transformers, has the loss of the adapted one."""
    from transformers import AutoModelForMultimodalLM

    result = adapted
    model, info = AutoModelForMultimodalLM.from_pretrained(result.final, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.tie_word_embeddings
    held = content(result)["epochs"][-1]["evaluation"]["loss"]
    again = train(
        manifest,
        report,
        *OVERRIDES,
        "model.tiny=null",
        f"model.pretrained={result.final}",
        "model.lora=null",
        "phases=[{name: A, epochs: [1], groups: [{name: p, learning_rate: 1.0e-12, "
        "parameters: ['model.multi_modal_projector.*']}]}]",
    )
    assert content(again)["epochs"][0]["evaluation"]["loss"] == pytest.approx(held, abs=1e-4)


def test_it_is_resumed_to_the_bit(
    adapted: run.TrainResult, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fit, "evaluate", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(run.Interrupted):
            train(manifest, report, *OVERRIDES)
    resumed = train(manifest, report, *OVERRIDES, resume=True)
    assert losses(resumed) == losses(adapted)
    assert equal_weights(resumed, adapted)


def test_a_pattern_that_names_no_layer_is_one_line(manifest: Path, report: Path) -> None:
    wrong = "model.lora={layers: ['model.language_model.layers.9.*']}"
    with pytest.raises(RecipeError, match=r"model\.lora\.layers: .* matches no linear layer"):
        train(manifest, report, *OVERRIDES, wrong)


def test_the_recipe_fits_the_real_model() -> None:
    from transformers import Qwen3ASRConfig

    from asr_gate.train.families.qwen3_asr.build import build_on_meta
    from asr_gate.train.model.parameter_groups import match

    _, settings = recipes.load("lora")
    model = build_on_meta(Qwen3ASRConfig(), untie=False)  # the 1.7B, by default
    assert settings.model.lora is not None
    add_adapters(model, settings.model.lora, seed=0)
    (groups,) = match(model, settings.phases).values()
    assert [group.name for group in groups] == ["projector", "adapters"]
    assert len(groups[1].parameters) == 28 * 4 * 2
