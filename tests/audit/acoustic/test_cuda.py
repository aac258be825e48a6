"""What only a GPU can show of emissions: half precision, in batches as alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_gate.audit.acoustic.batching import emissions
from asr_gate.audit.acoustic.mms import MmsModel
from bench.gpu_steps import ctc_network

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def test_a_batch_gives_what_single_utterances_give() -> None:
    """Up to what float16 can tell apart, and as on a CPU."""
    noise = np.random.default_rng(1)
    waves = [noise.normal(size=count).astype(np.float32) for count in (16_000, 40_000, 90_000)]
    model = MmsModel("eng", "cuda", network=ctc_network(tiny=True))
    batched = emissions(model, waves, 60.0)
    alone = [model.forward([wave])[0] for wave in waves]
    on_cpu = emissions(MmsModel("eng", "cpu", network=ctc_network(tiny=True)), waves, 60.0)
    for one, other, third in zip(batched, alone, on_cpu, strict=True):
        assert one.shape == other.shape == third.shape
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, atol=0.05)
        np.testing.assert_allclose(one, third, atol=0.05)
