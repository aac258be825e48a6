"""Where a recording is cut."""

from itertools import pairwise

import numpy as np
import pytest

from asr_gate.train.evaluation.segments import MARGIN, speech_segments

RATE = 16000


def tones(*spans: tuple[float, float], total: float) -> np.ndarray:
    """Tones over very soft noise."""
    noise = np.random.default_rng(0).normal(0, 1e-4, round(total * RATE))
    for start, end in spans:
        first, last = round(start * RATE), round(end * RATE)
        noise[first:last] += 0.3 * np.sin(np.arange(last - first) * 0.1)
    return noise.astype(np.float32)


def test_pauses_divide_and_what_fits_stays_together() -> None:
    samples = tones((1, 3), (3.5, 5), (8, 12), total=14)
    (first, second) = speech_segments(samples, RATE, longest=6.0)
    assert first == pytest.approx((1 - MARGIN, 5 + MARGIN), abs=0.05)
    assert second == pytest.approx((8 - MARGIN, 12 + MARGIN), abs=0.05)
    assert len(speech_segments(samples, RATE, longest=20.0)) == 1


def test_long_speech_is_cut_where_it_is_quietest() -> None:
    samples = tones((0, 20), total=20)
    samples[round(7.5 * RATE) : round(7.6 * RATE)] *= 0.2
    found = speech_segments(samples, RATE, longest=10.0)
    assert found[0][1] == pytest.approx(7.55, abs=0.06)
    assert all(end - start <= 10.0 for start, end in found)
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert (found[0][0], found[-1][1]) == (0.0, 20.0)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(3 * RATE)])
def test_silence_has_no_segments(samples: np.ndarray) -> None:
    assert speech_segments(samples.astype(np.float32), RATE, longest=30.0) == []


def test_no_segment_is_longer_and_none_overlaps() -> None:
    choose = np.random.default_rng(3)
    for _ in range(10):
        edges = np.sort(choose.uniform(0, 30, 2 * choose.integers(1, 12)))
        samples = tones(*zip(edges[::2], edges[1::2], strict=True), total=30)
        found = speech_segments(samples, RATE, longest=5.0)
        assert all(0 < end - start <= 5.0 + 1e-6 for start, end in found)
        assert all(one[1] <= other[0] + 1e-9 for one, other in pairwise(found))
