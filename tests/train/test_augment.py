"""What a row sounds like is decided by seed, epoch and id; off unless the recipe says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asr_gate.train import recipes
from asr_gate.train.data import examples
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.examples import Examples
from asr_gate.train.families.qwen3_asr.audio_cache import default_folder
from asr_gate.train.families.qwen3_asr.encoder import PromptedExample, PromptEncoder
from asr_gate.train.recipes import Augment, RecipeError, SpecAugment
from asr_gate.train.run import TrainResult
from tests.train.support import RATE, write_tones
from tests.train.test_examples import row
from tests.train.trainings import TWO_EPOCHS, Killed, content, killed_at, losses, train

ALL = Augment(speed=(0.8, 1.2), noise_db=(10, 30), spec_augment=SpecAugment())
OVERRIDES = (
    "data.augment.speed=[0.8,1.2]",
    "data.augment.noise_db=[10,30]",
    "data.augment.spec_augment={}",
)
SHORT = (*TWO_EPOCHS, "data.batch_seconds=6", "checkpoints.state_every_steps=1")


def drawn(settings: Augment, *, seed: int = 1, epoch: int = 1, id: str = "a") -> Augmentation:
    return Augmentation(settings, seed=seed, epoch=epoch, id=id)


def tone(seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype("f4")


def pitch(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * RATE / len(samples))


def test_seed_epoch_and_id_decide() -> None:
    once = drawn(ALL).change_samples(tone())
    assert np.array_equal(once, drawn(ALL).change_samples(tone()))
    for other in ({"seed": 2}, {"epoch": 2}, {"id": "b"}):
        assert not np.array_equal(once, drawn(ALL, **other).change_samples(tone()))
    features = torch.randn(128, 300)
    state = torch.get_rng_state()
    assert torch.equal(
        drawn(ALL).mask_features(features, 250), drawn(ALL).mask_features(features, 250)
    )
    assert torch.equal(torch.get_rng_state(), state), "training draws as if nothing had been"


@pytest.mark.parametrize("factor", [0.5, 0.93, 1.0, 1.07, 2.0])
def test_speed_moves_length_and_pitch(factor: float) -> None:
    one = drawn(Augment(speed=(factor, factor)))
    changed = one.change_samples(tone())
    assert len(changed) == one.stretched(RATE)
    assert len(changed) == pytest.approx(RATE / factor, abs=1)
    assert pitch(changed) == pytest.approx(440 * factor, rel=0.01)
    assert changed.dtype == np.float32
    assert len(one.change_samples(tone(), stretch=False)) == RATE


def test_speeds_span_the_range_and_no_more() -> None:
    found = {drawn(ALL, id=str(n)).percent for n in range(500)}
    assert found == set(range(80, 121))


@pytest.mark.parametrize("ratio", [0.0, 20.0])
def test_noise_has_its_ratio(ratio: float) -> None:
    changed = drawn(Augment(noise_db=(ratio, ratio))).change_samples(tone())
    noise = changed - tone()
    measured = 10 * np.log10((tone() ** 2).sum() / (noise**2).sum())
    assert measured == pytest.approx(ratio, abs=0.1)


def test_silence_stays_silence() -> None:
    changed = drawn(ALL).change_samples(np.zeros(RATE, np.float32))
    assert not changed.any()
    assert np.isfinite(changed).all()


def test_bands_are_covered_with_the_mean_and_padding_is_left() -> None:
    features = torch.randn(128, 400)
    features[:, 300:] = 0
    before = features.clone()
    changed = drawn(ALL, id="c").mask_features(features, 300)
    assert torch.equal(features, before)
    assert torch.equal(changed[:, 300:], features[:, 300:])
    covered = (changed != features)[:, :300]
    assert torch.all(changed[:, :300][covered] == features[:, :300].mean())
    bins, frames = covered.all(dim=1), covered.all(dim=0)
    assert 0 < bins.sum() < 2 * 27
    assert 0 < frames.sum() < 2 * 30, "a tenth of the row"
    assert not covered[~bins][:, ~frames].any()


@pytest.mark.parametrize("frames", [1, 9, 10, 50])
def test_short_rows_and_wide_masks(frames: int) -> None:
    wide = Augment(spec_augment=SpecAugment(frequency_bins=999, time_frames=999, time_share=1.0))
    for id in "abcdefgh":
        changed = drawn(wide, id=id).mask_features(torch.randn(128, 100), frames)
        assert changed.shape == (128, 100)
        assert changed.isfinite().all()


def test_examples_are_whole_and_change_with_the_epoch(processor, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    mine = row(path, write_tones(path, ["red", "green", "blue"]), "red green blue")
    encoder = PromptEncoder(processor, recipes.Data(augment=ALL))
    data = Examples([mine], encoder, seed=1)
    plain = encoder.read(mine)
    assert isinstance(plain, PromptedExample)
    seen = []
    for epoch in range(1, 9):
        one = data[epoch, 0]
        assert isinstance(one, PromptedExample)
        heard = int((one.prompt == processor.audio_token_id).sum())
        frames = int(one.features_mask.sum())
        assert heard == frames // 100 * 13 + -(-(frames % 100) // 8)
        assert torch.equal(one.target, plain.target)
        again = data[epoch, 0]
        assert isinstance(again, PromptedExample)
        assert torch.equal(one.features, again.features)
        seen.append(frames)
    assert len(set(seen)) > 3
    assert encoder.read(mine) is plain, "as in evaluation"
    off = Examples([mine], PromptEncoder(processor, recipes.Data()), seed=1)
    assert off[1, 0] is off[2, 0]


@pytest.mark.parametrize("limit", [{"max_seconds": 1.25}, {"max_tokens": 66}])
def test_no_row_is_stretched_past_a_limit(processor, tmp_path: Path, limit: dict) -> None:
    path = tmp_path / "a.wav"
    mine = row(path, write_tones(path, ["red", "green", "blue"]), "red")
    encoder = PromptEncoder(processor, recipes.Data(**limit, augment=Augment(speed=(0.5, 0.9))))
    assert encoder.count_tokens(mine) == 65
    one = Examples([mine], encoder, seed=1)[1, 0]
    assert isinstance(one, PromptedExample)
    assert int(one.features_mask.sum()) == 120


@pytest.fixture(scope="module")
def changed(
    manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainResult, list[str]]:
    """A run whose rows are changed, and the ids of the rows each time one was."""
    folder = tmp_path_factory.mktemp("augmented")
    ids: list[str] = []
    real = examples.Augmentation

    def counted(settings: Augment, *, seed: int, epoch: int, id: str) -> Augmentation:
        ids.append(id)
        return real(settings, seed=seed, epoch=epoch, id=id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "Augmentation", counted)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        done = train(manifest, report, *SHORT, *OVERRIDES, out=folder / "r")
        assert not default_folder().exists(), "the tower's output is another in each epoch"
    return done, ids


def test_evaluation_uses_rows_as_they_are(changed: tuple[TrainResult, list[str]]) -> None:
    done, ids = changed
    assert not set(ids) & set(done.plan.evaluation)
    assert len(ids) == done.plan.training * 2
    assert content(done)["config"]["data"]["augment"]["speed"] == [0.8, 1.2]


def test_workers_change_nothing(
    changed: tuple[TrainResult, list[str]], manifest: Path, report: Path
) -> None:
    again = train(manifest, report, *SHORT, *OVERRIDES, "data.workers=1")
    assert losses(again) == losses(changed[0])
    assert losses(again) != losses(train(manifest, report, *SHORT))


def test_a_resumed_run_draws_the_same_changes(
    changed: tuple[TrainResult, list[str]],
    manifest: Path,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, "evaluate", 2)
        with pytest.raises(Killed):
            train(manifest, report, *SHORT, *OVERRIDES)
    resumed = train(manifest, report, *SHORT, *OVERRIDES, resume=True)
    assert losses(resumed) == losses(changed[0])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.augment.speed=[1.1,0.9]", "write the lower one first"),
        ("data.augment.speed=[0.1,0.9]", "from 0.5 to 2"),
        ("data.augment.speed=1.1", "data.augment.speed"),
        ("data.augment.speed=[1.1]", "data.augment.speed"),
        ("data.augment.speed=[.nan,1]", "data.augment.speed"),
        ("data.augment.noise_db=[-300,20]", "from -20 to 100"),
        ("data.augment.spec_augment={frequency_bin: 3}", "frequency_bin"),
        ("data.augment.sped=[1,1]", "data.augment.speed"),
        ("data.augment=loud", "data.augment"),
        ("data.audio_cache_gib=-1", "data.audio_cache_gib"),
    ],
)
def test_bad_values_are_one_line(override: str, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipes.load("round2-tiny", [override])
    assert said in str(error.value)
    assert "\n" not in str(error.value)
