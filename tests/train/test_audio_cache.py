"""With the cache and without, a run is the same; what is on disk is never trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.train import recipes
from asr_gate.train.data.examples import Batch
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.audio_cache import (
    AudioCache,
    can_cache_audio,
    default_folder,
)
from asr_gate.train.families.qwen3_asr.build import build_random, tiny_config
from asr_gate.train.families.qwen3_asr.encoder import PromptEncoder, collate
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from tests.train.trainings import THREE_EPOCHS, TWO_EPOCHS, losses, train

CPU = torch.device("cpu")
SHAPE = recipes.TinyModel(audio_layers=2, audio_width=16, text_layers=1, text_width=32)


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(processor):
    return build_random(tiny_config(SHAPE, processor), untie=True, seed=1)


@pytest.fixture(scope="module")
def rows(manifest: Path) -> list[Row]:
    """Those that sound unlike any before."""
    said = {one.text.lower(): one for one in read_corpus([manifest]).utterances}
    return [Row(one, one.duration or 0.0, "English") for one in said.values()]


@pytest.fixture(scope="module")
def encoder(processor) -> PromptEncoder:
    return PromptEncoder(processor, recipes.Data())


def batch_of(encoder: PromptEncoder, rows: list[Row]) -> Batch:
    return collate([encoder.read(row) for row in rows], pad_id=encoder.pad_id)


def cache_of(model, rows, folder: Path, bound: int = 2**30) -> AudioCache:
    return AudioCache(model, rows, bound=bound, device=CPU, folder=folder)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def tower_calls(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each of the tower's forwards took gradients, while training."""
    from transformers.models.qwen3_asr.modeling_qwen3_asr import Qwen3ASREncoder

    calls: list[bool] = []
    real = Qwen3ASREncoder.forward

    def counted(self, *arguments, **named):
        if self.training:
            calls.append(torch.is_grad_enabled())
        return real(self, *arguments, **named)

    monkeypatch.setattr(Qwen3ASREncoder, "forward", counted)
    return calls


def test_runs_with_and_without_have_the_same_losses(
    manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs of phase B read what the first one computed; phase A does not use it."""
    phases = (*THREE_EPOCHS, "data.batch_seconds=3")
    calls = tower_calls(monkeypatch)
    without = train(manifest, report, *phases, "data.audio_cache_gib=0")
    batches = len(calls) // 3
    assert len(calls) == 3 * batches
    assert not default_folder().exists()
    calls.clear()
    cached = train(manifest, report, *phases)
    kept = len(files(default_folder()))
    assert cached.plan.training - 2 <= kept <= cached.plan.training, "some rows are equal"
    assert calls == [False] * kept + [True] * batches
    assert losses(cached) == pytest.approx(losses(without), rel=1e-6, abs=0)
    calls.clear()
    again = train(manifest, report, *phases)
    assert calls == [True] * batches, "another run computes nothing again"
    assert losses(again) == losses(cached), "to the bit"


def test_a_projector_alone_uses_it_in_every_epoch(
    manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tower_calls(monkeypatch)
    frozen_tower = "phases.1.groups.1.parameters=[model.language_model.norm.*]"
    done = train(manifest, report, *TWO_EPOCHS, frozen_tower)
    assert calls == [False] * len(files(default_folder()))
    assert len(losses(done)) > 5


def test_a_row_s_output_is_the_tower_s_on_it_alone(model, encoder, rows, tmp_path: Path) -> None:
    cache = cache_of(model, rows, tmp_path)
    together = cache.inputs_of(batch_of(encoder, rows[:5]))["audio_states"]
    alone = [encoder.read(row) for row in rows[:5]]
    with torch.no_grad():
        expected = [
            model.model.audio_tower(
                input_features=one.features[None], input_features_mask=one.features_mask[None]
            ).last_hidden_state
            for one in alone
        ]
    assert torch.equal(together, torch.cat(expected))
    backwards = cache.inputs_of(batch_of(encoder, rows[4::-1]))["audio_states"]
    assert torch.equal(backwards, torch.cat(expected[::-1]))
    assert (cache.hits, cache.misses) == (5, 5)


def test_gradients_are_the_same(model, encoder, rows, tmp_path: Path) -> None:
    for parameter in model.model.audio_tower.parameters():
        parameter.requires_grad_(False)
    batch = batch_of(encoder, rows[:4])
    objective = TranscriptLoss(model)
    found = []
    for inputs in (batch.inputs, cache_of(model, rows, tmp_path).inputs_of(batch)):
        model.zero_grad()
        objective(**inputs).backward()
        found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad})
    assert found[0].keys() == found[1].keys()
    assert any(name.startswith("model.multi_modal_projector") for name in found[0])
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "shape", "type", "name", "folder"])
def test_damaged_files_are_computed_anew(damage: str, model, encoder, rows, tmp_path: Path) -> None:
    batch = batch_of(encoder, rows[:3])
    expected = cache_of(model, rows, tmp_path).inputs_of(batch)["audio_states"]
    victim = files(tmp_path)[0]
    whole = victim.read_bytes()
    if damage == "empty":
        victim.write_bytes(b"")
    elif damage == "half":
        victim.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "shape":
        save_file({"states": load_file(victim)["states"][:-1].clone()}, victim)
    elif damage == "type":
        save_file({"states": load_file(victim)["states"].half()}, victim)
    elif damage == "name":
        save_file({"other": load_file(victim)["states"]}, victim)
    elif damage == "folder":
        victim.unlink()
        victim.mkdir()
    cache = cache_of(model, rows, tmp_path)
    assert torch.equal(cache.inputs_of(batch)["audio_states"], expected)
    assert (cache.hits, cache.misses) == (2, 1)
    assert damage == "folder" or victim.read_bytes() == whole


def test_other_weights_and_other_sound_are_other_files(
    model, processor, encoder, rows, tmp_path: Path
) -> None:
    batch = batch_of(encoder, rows[:2])
    cache_of(model, rows, tmp_path).inputs_of(batch)
    with torch.no_grad():
        model.model.audio_tower.ln_post.bias[0] += 1e-3
    moved = cache_of(model, rows, tmp_path)
    moved.inputs_of(batch)
    assert (moved.hits, moved.misses) == (0, 2)
    batch.inputs["input_features"][0, 5, 5] += 1e-3
    moved.inputs_of(batch)
    assert (moved.hits, moved.misses) == (1, 3)


def test_the_folder_stays_within_its_bound(model, encoder, rows, tmp_path: Path) -> None:
    cache_of(model, rows, tmp_path).inputs_of(batch_of(encoder, rows))
    assert len(files(tmp_path)) == len(rows)
    for path in files(tmp_path):
        os.utime(path, (1, 1))
    with torch.no_grad():
        model.model.audio_tower.ln_post.bias[0] += 1e-3
    bound = 10_000
    cache = cache_of(model, rows, tmp_path, bound)
    batch = batch_of(encoder, rows)
    first = cache.inputs_of(batch)["audio_states"]
    assert 0 < cache.misses < len(rows), "the rest went through the tower together"
    assert sum(path.stat().st_size for path in files(tmp_path)) <= bound
    again = cache_of(model, rows, tmp_path, bound)
    assert torch.equal(again.inputs_of(batch)["audio_states"], first)
    assert again.hits >= cache.misses - 2, "old files went, new ones stayed"
    with torch.no_grad():
        batched = model.model.audio_tower(
            input_features=batch.inputs["input_features"],
            input_features_mask=batch.inputs["input_features_mask"],
        ).last_hidden_state
    torch.testing.assert_close(first, batched, rtol=1e-4, atol=1e-5)


def test_a_disk_that_takes_nothing_is_told_and_the_run_goes_on(
    model, encoder, rows, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = cache_of(model, rows, tmp_path / "file")
    batch = batch_of(encoder, rows[:3])
    assert torch.equal(
        cache.inputs_of(batch)["audio_states"], cache.inputs_of(batch)["audio_states"]
    )
    assert cache.misses == 6
    assert len(caplog.records) == 1
    assert "cannot be kept (Not a directory)" in caplog.text


def test_an_adapter_with_dropout_in_the_tower_is_heard_anew(model) -> None:
    data = recipes.Data()
    assert can_cache_audio(model, [], data)
    model.model.audio_tower.layers[0].adapter = torch.nn.Dropout(0.1)
    assert not can_cache_audio(model, [], data)


def test_without_a_home_the_mend_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", str)
    with pytest.raises(UserError, match="set XDG_CACHE_HOME, or switch"):
        default_folder()
