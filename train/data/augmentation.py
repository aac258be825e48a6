"""Random changes of training rows: speed, noise and SpecAugment.

Seed, epoch and the row's id decide them, and nothing else: not the process that reads the row, its
place in a batch, nor whether the run was resumed in between.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchaudio import functional
from torchaudio.transforms import FrequencyMasking, TimeMasking

from asr_gate.train.recipes import Augment

PERCENT = 100


class Augmentation:
    """The changes of one row in one epoch."""

    def __init__(self, settings: Augment, *, seed: int, epoch: int, id: str) -> None:
        self.settings = settings
        draw = random.Random(f"augment/{seed}/{epoch}/{id}")
        low, high = settings.speed or (1.0, 1.0)
        # Whole percents: the resampling filter grows with numerator and denominator.
        self.percent = draw.randint(round(low * PERCENT), round(high * PERCENT))
        self.noise_db = None if settings.noise_db is None else draw.uniform(*settings.noise_db)
        self.seed = draw.getrandbits(63)
        """For what is drawn beside speed and noise."""

    def stretched(self, samples: int) -> int:
        """Number of samples after the change of speed."""
        return -(-samples * PERCENT // self.percent)

    def change_samples(
        self, samples: NDArray[np.float32], *, stretch: bool = True
    ) -> NDArray[np.float32]:
        """Change the speed and add noise.

        Args:
            samples: shape (n,), at any sample rate.
            stretch: whether to change the speed.

        Returns:
            Shape (n,), or (`stretched(n)`,) at another speed.
        """
        wave = torch.from_numpy(samples)
        if stretch and self.percent != PERCENT:
            # Resampled as if it was recorded at another rate (Ko et al. 2015).
            wave = functional.resample(wave, self.percent, PERCENT)
        if self.noise_db is not None:
            generator = torch.Generator().manual_seed(self.seed)
            noise = torch.randn(wave.shape, generator=generator)
            wave = functional.add_noise(wave, noise, torch.tensor(self.noise_db))
        changed: NDArray[np.float32] = wave.numpy()
        return changed

    def mask_features(self, features: Tensor, frames: int) -> Tensor:
        """SpecAugment: set bands of mel bins and of frames to the row's mean.

        Args:
            features: shape (mel bins, padded frames).
            frames: number of frames that are not padding.
        """
        mask = self.settings.spec_augment
        if mask is None:
            return features
        masked = features[:, :frames]
        mean = float(masked.mean())
        frequency = FrequencyMasking(min(mask.frequency_bins, len(features)))
        time = TimeMasking(mask.time_frames, p=mask.time_share)
        # torchaudio draws from torch's own generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            for _ in range(mask.frequency_masks):
                masked = frequency(masked, mean)
            for _ in range(mask.time_masks):
                masked = time(masked, mean)
        return torch.cat([masked, features[:, frames:]], dim=1)
