"""From measurements to probabilities, coverage and quality."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.judge import judge
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.measured import Fault, Measured
from tests.audit.controls.rows import FLOORS, RATE, normal_rows, row


def judged(*odd: Measured) -> list[Judged]:
    """What is made of some utterances among a hundred sound ones."""
    rows = [*normal_rows(100, 0), *odd]
    calibration = calibrate(rows, false_alarm=RATE, floors=FLOORS)
    found, delay = judge(rows, calibration, stated_delay=0.0)
    assert (delay.delay, delay.measured) == (0.0, False)
    assert [r.id for r in found] == [r.id for r in rows]
    return found[100:]


def test_a_right_transcript_is_believed() -> None:
    (found,) = judged(row(0))
    assert all(w.kept and w.spoken > 0.95 for w in found.words)
    assert all(w.replaced < 0.05 for w in found.words)
    assert all(g.untranscribed < 0.05 for g in found.gaps)
    assert (found.text_coverage, found.speech_coverage, found.coverage) == (1, 1, 1)
    assert found.confidence == pytest.approx(0.9)
    assert 0.9 < found.quality < 1


def left_out(at: int, **evidence: Any) -> Measured:
    """One word that the path leaves out."""
    found = row(0)
    words = tuple(
        replace(w, kept=False, **evidence) if i == at else w for i, w in enumerate(found.words)
    )
    return replace(found, words=words)


@pytest.mark.parametrize("evidence", [{"deletion": 9.0}, {"substitution": 9.0}])
def test_a_word_left_out_is_lost_where_its_evidence_passes(evidence: dict[str, float]) -> None:
    (found,) = judged(left_out(1, **evidence))
    assert [w.kept for w in found.words] == [True, False]
    assert found.text_coverage == 0.5
    assert found.quality < 0.6


def test_a_word_left_out_stays_where_its_evidence_does_not_pass() -> None:
    (found,) = judged(left_out(1, deletion=0.5))
    assert [w.kept for w in found.words] == [True, True]
    assert found.text_coverage == 1


def test_the_path_stands_where_the_text_is_not_what_is_said() -> None:
    (found,) = judged(replace(left_out(1, deletion=0.5), loss=1.0))
    assert [w.kept for w in found.words] == [True, False]
    assert found.text_coverage == 0.5


def test_of_a_masked_word_nothing_is_known() -> None:
    (found,) = judged(left_out(1, deletion=0.0, masked=True, confidence=1e-3))
    assert [w.kept for w in found.words] == [True, True]
    assert [w.spoken for w in found.words] == [pytest.approx(1, abs=0.01), 0.5]
    assert found.confidence == pytest.approx(0.9), "of the other word alone"
    assert found.text_coverage == 1
    (sure,) = judged(left_out(1, deletion=0.0))
    assert found.quality < sure.quality


def test_a_doubted_word_on_the_path_is_kept() -> None:
    (found,) = judged(row(0, deletion=9.0))
    assert all(w.kept for w in found.words)
    assert all(w.spoken < 0.5 for w in found.words)


def test_unaligned_speech_is_lost_where_its_evidence_passes() -> None:
    unaligned = replace(row(0, speech=20.0), unaligned=((0.45, 0.55),))
    (found, believed) = judged(unaligned, replace(row(1), unaligned=((0.45, 0.55),)))
    assert found.gaps[1].untranscribed > 0.5
    assert found.speech_coverage == pytest.approx(1 - 0.1 / 0.8)
    assert believed.speech_coverage == 1


def test_another_text_has_no_quality() -> None:
    (found,) = judged(row(0, mismatch=1.0))
    assert found.quality < 0.05


def test_without_texts_of_others_the_words_alone_decide() -> None:
    (found,) = judged(row(0, mismatch=None))
    assert found.quality > 0.9


def test_what_was_not_aligned_has_no_figures() -> None:
    broken = replace(row(0), words=(), gaps=(), fault=Fault("A002", "too long"))
    (found,) = judged(broken)
    assert found == Judged(broken)
    assert (found.coverage, found.confidence, found.quality) == (0, 0, 0)
