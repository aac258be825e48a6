"""Augmentation of log-mel features, a whole padded batch at a time.

On features rather than waveforms because that is cheap enough for two processor cores: speed with
local warps, vocal tract length (Jaitly & Hinton 2013), equalisation, reverberation as decay of
energy, noise, babble and band limits; then SpecAugment (Park et al. 2019, arXiv:1904.08779).
Levels are natural logarithms of power: 1 dB is 0.23.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from asr_gate.embedded.encoding import SAMPLE_RATE
from asr_gate.embedded.network import MELS, PHONES, length_mask

UNKNOWN_PHONE = -1
NO_WORD = -1
DECIBEL = math.log(10) / 10
BENDS, BEND = 7, 0.04
"""Bent frequency scales besides the straight one, and how far they bend: deviation of the first
order of a smooth curve over the mels, a logarithm of frequency."""


@dataclass
class Batch:
    """Utterances padded to one length; frames are 10 ms."""

    mel: Tensor
    """(batch, frames, mels) log-power."""
    frames: Tensor
    """(batch,) frame counts."""
    phones: Tensor
    """(batch, frames) phone labels."""
    words: Tensor
    """(batch, frames) word labels."""
    characters: Tensor
    """(batch,) lengths of the texts, which bound how fast an utterance may be made."""


class Augment:
    """Draws everything from one seeded generator; `strength` 0 to 1 is ramped by the trainer."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        mel = torch.linspace(_mel(20.0), _mel(SAMPLE_RATE / 2), MELS + 2)[1:-1]
        self.hertz = 700 * (10 ** (mel / 2595) - 1)
        self.warps = torch.linspace(0.80, 1.25, 37)
        self.blurs = (0.0, 0.4, 0.8, 1.2, 1.8)
        self.bends = torch.cat([torch.zeros(1, MELS), self._colour(BENDS, BEND)[:, 0]])
        self.matrices = torch.stack(
            [
                self._warp(float(warp), bend, blur)
                for warp in self.warps
                for bend in self.bends
                for blur in self.blurs
            ]
        )

    def _warp(self, factor: float, bend: Tensor, blur: float) -> Tensor:
        """(mels, mels): the spectrum stretched by `factor`, bent and smeared over `blur` bands.

        `bend`, (mels,), is a logarithm of frequency: it moves each formant by itself.
        """
        source = 2595 * torch.log10(1 + self.hertz / factor * torch.exp(bend) / 700)
        step = (_mel(SAMPLE_RATE / 2) - _mel(20.0)) / (MELS + 1)
        source = ((source - _mel(20.0)) / step - 1).clamp(0, MELS - 1)
        distance = torch.arange(MELS)[:, None] - source[None]
        weight = torch.exp(-0.5 * (distance / max(blur, 0.35)) ** 2)
        return weight / weight.sum(0)

    def _uniform(self, low: float, high: float, *size: int) -> Tensor:
        return torch.empty(*size).uniform_(low, high, generator=self.generator)

    def _normal(self, *size: int) -> Tensor:
        return torch.randn(*size, generator=self.generator)

    def _chance(self, probability: float, count: int) -> Tensor:
        """(count, 1, 1) floats, 1 with the given probability."""
        return (torch.rand(count, generator=self.generator) < probability).float()[:, None, None]

    def _drift(self, count: int, size: int, every: int) -> Tensor:
        """(count, size): smooth noise with a knot every so many steps, deviation about 0.8."""
        knots = self._normal(count, 1, max(2, size // every + 2))
        return F.interpolate(knots, size=size, mode="linear", align_corners=True)[:, 0]

    def _colour(self, count: int, deviation: float) -> Tensor:
        """(count, 1, mels): a smooth random curve over frequency."""
        x = torch.linspace(0, math.pi, MELS)[None]
        curve = torch.zeros(count, MELS)
        for order in range(1, 6):
            size = self._normal(count, 1) * deviation / order**0.5
            curve = curve + size * torch.cos(order * x + self._uniform(0, 6.28, count, 1))
        return curve[:, None]

    def __call__(self, batch: Batch, strength: float) -> Batch:
        """The batch as if recorded elsewhere by somebody else; `mel` stays log-power."""
        batch = self._stretch(batch)
        mel, count, size = batch.mel, *batch.mel.shape[:2]
        mask = length_mask(batch.frames, size)[..., None]
        mean = (mel.exp() * mask).sum((1, 2), keepdim=True) / batch.frames[:, None, None] / MELS
        top = torch.log(mean)
        if torch.rand((), generator=self.generator) < 0.9:
            mel = torch.bmm(mel, self._warp_choice(count, strength))
        mel = mel + 0.5 * self._drift(count, size, int(self._uniform(20, 80, 1)))[..., None]
        mel = mel + self._colour(count, 0.9)
        power = torch.exp((mel - top).clamp(-12, 8))
        power = self._reverberate(power, 0.4 * strength)
        power = self._add_noise(power, batch.frames, strength)
        mel = torch.log(power + 1e-6)
        mel = mel + self._chance(0.4 * strength, count) * self._band_limit(count)
        # Recordings reach down to 10 below their mean power; half of these keep all of that.
        floor = -self._uniform(5.5, 16, count, 1, 1)
        mel = torch.logaddexp(mel, floor)
        grain = self._chance(0.3 * strength, count) * self._uniform(0.05, 0.4, count, 1, 1)
        mel = mel + grain * self._normal(*mel.shape)
        batch.mel = mel
        return batch

    def _warp_choice(self, count: int, strength: float) -> Tensor:
        warp = torch.randint(len(self.warps), (count,), generator=self.generator)
        bend = torch.randint(len(self.bends), (count,), generator=self.generator)
        odds = torch.tensor([1 - 0.5 * strength] + [0.125 * strength] * 4)
        blur = torch.multinomial(odds, count, replacement=True, generator=self.generator)
        return self.matrices[(warp * len(self.bends) + bend) * len(self.blurs) + blur]

    def _stretch(self, batch: Batch) -> Batch:
        """Another speed, with local warps, and silence before and after."""
        count, size = batch.mel.shape[:2]
        fastest = batch.frames / (2.5 * batch.characters + 6)
        speed = torch.minimum(self._uniform(0.82, 1.25, count), fastest).clamp(min=0.7)[:, None]
        lead, tail = self._uniform(0, 35, count, 1), self._uniform(0, 35, count, 1)
        longest = int(size / float(speed.min()) * 1.3 + 80)
        local = 0.15 * self._drift(count, longest, int(self._uniform(15, 50, 1)))
        position = torch.cumsum(speed * torch.exp(local), 1) - (lead + 1) * speed
        last = (batch.frames[:, None] - 1).float()
        inside = (position >= 0) & (position <= last)
        frames = ((position <= last).sum(1) + tail[:, 0].long()).clamp(max=longest)
        new = int(frames.max())
        position, inside = position[:, :new].clamp(min=0).minimum(last), inside[:, :new]
        lower = position.long()
        upper = torch.minimum(lower + 1, last.long())
        part = (position - lower)[..., None]
        rows = torch.arange(count)[:, None]
        mel = batch.mel[rows, lower] * (1 - part) + batch.mel[rows, upper] * part
        mel = torch.where(inside[..., None], mel, torch.tensor(-9.0))
        nearest = position.round().long()
        phones = torch.where(inside, batch.phones[rows, nearest], PHONES.index("sil"))
        words = torch.where(inside, batch.words[rows, nearest], NO_WORD)
        return Batch(mel, frames, phones, words, batch.characters)

    def _reverberate(self, power: Tensor, probability: float) -> Tensor:
        """Exponential tails of 0.12 to 0.7 s, the direct sound 3 dB below to 10 dB above them."""
        count = len(power)
        decay = 10 ** (-6 * 0.01 / self._uniform(0.12, 0.7, count, 1))
        taps = torch.arange(70)
        kernel = (1 - decay) * decay**taps
        kernel[:, 0] = 0
        padded = F.pad(power.permute(2, 0, 1), (len(taps) - 1, 0))
        tails = F.conv1d(padded, kernel.flip(1)[:, None], groups=count).permute(1, 2, 0)
        level = 10 ** (-self._uniform(-3, 10, count, 1, 1) / 10)
        return power + self._chance(probability, count) * level * tails

    def _add_noise(self, power: Tensor, frames: Tensor, strength: float) -> Tensor:
        count, size = power.shape[:2]
        mask = length_mask(frames, size)[..., None]
        mean = (power * mask).sum((1, 2), keepdim=True) / frames[:, None, None] / MELS
        lowest = 10 - 7 * strength
        level = torch.log(mean) - DECIBEL * self._uniform(lowest, 35, count, 1, 1)
        tilt = torch.linspace(1, -1, MELS) * self._uniform(-0.5, 2.5, count, 1, 1)
        shape = tilt + self._colour(count, 0.5)
        shape = shape - torch.log(torch.exp(shape).mean(2, keepdim=True))
        swing = self._drift(count, size, int(self._uniform(8, 60, 1)))[..., None]
        swing = self._chance(0.4, count) * 0.8 * swing
        noise = torch.exp(level + shape + swing + 0.5 * self._normal(*power.shape))
        power = power + self._chance(0.6 * strength, count) * noise
        level = 10 ** (-self._uniform(6, 24, count, 1, 1) / 10)
        return power + self._chance(0.12 * strength, count) * level * power.roll(1, 0)

    def _band_limit(self, count: int) -> Tensor:
        """(count, 1, mels): what a microphone or a line takes away below and above."""
        low = self._uniform(30, 350, count, 1, 1)
        high = self._uniform(3000, 7800, count, 1, 1)
        keep = torch.sigmoid((high - self.hertz) / 120) * torch.sigmoid((self.hertz - low) / 25)
        return torch.log(torch.maximum(keep, torch.exp(-self._uniform(3, 10, count, 1, 1))))

    def mask(self, mel: Tensor, frames: Tensor, strength: float) -> Tensor:
        """SpecAugment on standardised features: bands and stretches set to the mean, zero."""
        count, size = mel.shape[:2]
        band = torch.arange(MELS)[None]
        time = torch.arange(size)[None]
        hidden = torch.zeros(count, size, MELS, dtype=torch.bool)
        for _ in range(2):
            width = self._uniform(0, 16 * strength, count, 1)
            start = self._uniform(0, 1, count, 1) * (MELS - width)
            hidden |= ((band >= start) & (band < start + width))[:, None]
        for _ in range(3):
            width = self._uniform(0, 13 * strength, count, 1)
            start = self._uniform(0, 1, count, 1) * (frames[:, None] - width)
            hidden |= ((time >= start) & (time < start + width))[..., None]
        return mel.masked_fill(hidden, 0.0)


def _mel(hertz: float) -> float:
    """The HTK mel scale, as the features use it."""
    return 2595 * math.log10(1 + hertz / 700)
