"""What is found at a planted place is what the alignment says there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asr_gate.audit.align import align, prepare
from asr_gate.audit.controls.measure import Trials, measure_controls
from asr_gate.audit.controls.plant import Planted, Planting
from asr_gate.audit.records.alignment import Unalignable
from asr_gate.audit.records.controls import THRESHOLD_KINDS, Kind
from tests.audit.align.synthetic import MODEL, random_emission, transcript

MODEL_OF_THREE = replace(MODEL, tokens=("-", " ", "a", "b", "c"), temperature=1.5)


@given(
    st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=6),
    st.sampled_from([kind for kind in THRESHOLD_KINDS if kind != "swapped"]),
    st.integers(0, 6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.5, 2.0, 8.0]),
    st.floats(0.0, 1.0),
    st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_it_is_the_evidence_of_the_alignment(
    words: list[str], kind: Kind, place: int, seed: int, scale: float, quiet: float, spaced: bool
) -> None:
    """Also where words drown, in a part in which nothing is heard.

    Words that are put in, and those about them, differ: of like ones either may be left out.
    """
    assume(kind not in ("inserted", "doubled") or len(set(words)) == len(words))
    model = MODEL_OF_THREE if spaced else replace(MODEL_OF_THREE, space=None)
    at = place % (len(words) + (kind in ("removed", "cut")))
    own = [*words[:at], *words[at + 1 :]] if kind == "inserted" else words
    if kind == "doubled":
        words = [*words[: at + 1], *words[at:]]
    planted = Planted(kind, transcript(*words), at)
    emission = random_emission(50, 5, seed, scale)
    emission[: round(50 * quiet), 0] = 3.0
    prepared = prepare(emission, model, [(0.0, 1.0)])
    found = align(prepared, planted.transcript, model)
    assume(not isinstance(found, Unalignable))
    assert not isinstance(found, Unalignable)
    before = align(prepared, transcript(*own), model)
    assume(not isinstance(before, Unalignable))  # of no word
    assert not isinstance(before, Unalignable)
    if kind in ("removed", "cut"):
        expected = found.gaps[at].insertion
    elif kind == "replaced":
        expected = found.words[at].substitution
    else:
        copies = found.words[at : at + (2 if kind == "doubled" else 1)]
        expected = max(word.deletion for word in copies)
    trials = Trials(lambda: prepared, model, {})
    (control,) = measure_controls(trials, before, Planting((), (planted,)), None)
    assert control.kind == kind
    assert control.value == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(control.value)


def test_several_sorts_of_evidence_are_those_of_the_alignment() -> None:
    model = replace(MODEL, tokens=("-", " ", "a", "b", "c"))
    prepared = prepare(random_emission(60, 5, 3, 2.0), model, [(0.0, 10.0)])
    text = transcript("ab", "ca", "bb", "ac", "ba")
    own, there = align(prepared, text, model), align(prepared.part(0, 42), text, model)
    assert not isinstance(own, Unalignable) and not isinstance(there, Unalignable)
    planted = (Planted("phrase", text, 1, 2), Planted("shortened", text, 5))
    trials = Trials(lambda: prepared, model, {})
    phrase, shortened = measure_controls(trials, own, Planting((), planted), None)
    assert phrase.value == pytest.approx(max(w.deletion for w in own.words[1:3]))
    assert phrase.also == pytest.approx(
        {
            "substitution": max(w.substitution for w in own.words[1:3]),
            "insertion": max(g.insertion for g in own.gaps[1:4]),
        }
    )
    lost = [i for i, word in enumerate(own.words) if word.start >= 42 * model.stride]
    assert shortened.value == pytest.approx(max(there.words[i].deletion for i in lost))
    again = Trials(lambda: pytest.fail("it is known"), model, trials.known)
    assert [*measure_controls(again, own, Planting((), planted), None)] == [phrase, shortened]
