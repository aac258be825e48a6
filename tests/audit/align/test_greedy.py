"""The model's own output as words."""

import numpy as np
import pytest

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.greedy import heard_words
from asr_gate.audit.records.alignment import HeardWord


def model(space: int | None) -> ModelInfo:
    return ModelInfo("m", "1", "0", "en", ("-", "|", "a", "b"), 0, space, 0.1, 16000, 0.0)


def emission(best: str) -> np.ndarray:
    """One frame a character, each certain."""
    return np.log(np.eye(4, dtype=np.float32)[["-|ab".index(c) for c in best]] + 1e-6)


@pytest.mark.parametrize(
    ("space", "best", "expected"),
    [
        (1, "-aab-b||-ba-", [("abb", 0.1, 0.6), ("ba", 0.9, 1.1)]),
        (1, "|--|", []),
        (None, "ab-----a-b", [("ab", 0.0, 0.2), ("ab", 0.7, 1.0)]),
    ],
)
def test_repeats_are_one_and_blanks_none(
    space: int | None, best: str, expected: list[tuple[str, float, float]]
) -> None:
    found = heard_words(emission(best), model(space))
    assert [one.text for one in found] == [text for text, _, _ in expected]
    for one, (_, start, end) in zip(found, expected, strict=True):
        assert isinstance(one, HeardWord)
        assert (one.start, one.end) == (pytest.approx(start), pytest.approx(end))
