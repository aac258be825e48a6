"""Spectra and mel bands against torch's and torchaudio's, which an audit does without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio

from asr_gate.corpus.speech.spectrum import power_spectra, slaney_bands


@pytest.mark.parametrize(("fft", "length", "hop"), [(512, 400, 160), (512, 320, 160), (64, 64, 7)])
def test_power_spectra(fft: int, length: int, hop: int) -> None:
    samples = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    window = torch.hann_window(length, periodic=False)
    expected = torch.stft(
        torch.from_numpy(samples), fft, hop, length, window, center=False, return_complex=True
    )
    found = power_spectra(samples, window.numpy(), fft, hop)
    np.testing.assert_allclose(found, expected.abs().square().T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rate", "bands"), [(16000, 64), (16000, 80), (8000, 40)])
def test_slaney_bands(rate: int, bands: int) -> None:
    expected = torchaudio.functional.melscale_fbanks(
        257, 0.0, rate / 2, bands, rate, "slaney", "slaney"
    )
    np.testing.assert_allclose(slaney_bands(512, rate, bands), expected.T, atol=1e-6)
