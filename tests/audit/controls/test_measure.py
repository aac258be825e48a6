"""What is found at a planted place is what the alignment says there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from audit.align import Unalignable, align, hear
from audit.controls.kinds import KINDS, Kind
from audit.controls.measure import measure_controls
from audit.controls.plant import Planted, Planting
from tests.audit.align.synthetic import MODEL, random_emission, transcript

MODEL_OF_THREE = replace(MODEL, tokens=("-", " ", "a", "b", "c"), temperature=1.5)


@given(
    st.lists(st.text("abc", min_size=1, max_size=4), min_size=2, max_size=6, unique=True),
    st.sampled_from([kind for kind in KINDS if kind != "swapped"]),
    st.integers(0, 4),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.5, 2.0, 8.0]),
    st.floats(0.0, 1.0),
)
@settings(max_examples=500, deadline=None)
def test_it_is_the_evidence_of_the_alignment(
    words: list[str], kind: Kind, place: int, seed: int, scale: float, quiet: float
) -> None:
    """Also where words drown, in a part in which nothing is heard.

    The words differ: of like ones side by side either may be left out.
    """
    at = place % (len(words) - 1)
    own = [*words[:at], *words[at + 1 :]] if kind == "inserted" else words
    if kind == "doubled":
        words = [*words[: at + 1], *words[at:]]
    planted = Planted(kind, transcript(*words), at)
    emission = random_emission(50, 5, seed, scale)
    emission[: round(50 * quiet), 0] = 3.0
    heard = hear(emission, MODEL_OF_THREE, [(0.0, 1.0)])
    found = align(heard, planted.transcript, MODEL_OF_THREE)
    assume(not isinstance(found, Unalignable))
    assert not isinstance(found, Unalignable)
    before = align(heard, transcript(*own), MODEL_OF_THREE)
    assert not isinstance(before, Unalignable)
    expected = {
        "inserted": found.words[at].unsaid,
        "doubled": max(word.unsaid for word in found.words[at : at + 2]),
        "replaced": found.words[at].other,
    }.get(kind, found.gaps[at].speech)
    (control,) = measure_controls(heard, before, Planting((), (planted,)), None, MODEL_OF_THREE)
    assert control.kind == kind
    assert control.value == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(control.value)
