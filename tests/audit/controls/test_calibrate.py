"""From controls to thresholds, power and probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist, mean

import pytest

from asr_gate.audit.controls.calibrate import USUAL, calibrate
from asr_gate.audit.records.controls import EVIDENCE, KINDS, THRESHOLD_KINDS, Control, Evidence
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.audit.records.power import MIN_PLANTED, Calibration, Power
from tests.audit.controls.rows import FLOORS, POLICY, RATE, normal_rows, row, spoken_digits


def calibrated(rows: list[Measured]) -> Calibration:
    return calibrate(rows, false_alarm=RATE, floors=FLOORS)


def threshold(calibration: Calibration, evidence: Evidence) -> float:
    """In spreads above the middle of right transcripts."""
    value = calibration.thresholds["d"][evidence]
    return (value - 0.2) * 10 if evidence == "mismatch" else value


def passing(calibration: Calibration, evidence: Evidence, centre: float = 0.0) -> float:
    """Share that passes of evidence around a centre, of as many as one likes."""
    return 1 - NormalDist(centre).cdf(threshold(calibration, evidence))


@pytest.mark.parametrize(("count", "seeds", "most"), [(1000, 6, 1.5), (83, 30, 2), (20, 30, 4)])
@pytest.mark.parametrize("evidence", ["mismatch", "deletion", "substitution"])
def test_thresholds_hold_the_false_alarm_rate(
    evidence: Evidence, count: int, seeds: int, most: float
) -> None:
    """On data not seen, on average; of 20 utterances nobody can tell 1 % better than this."""
    rates = [
        passing(calibrated(normal_rows(count, seed, apart=3.0)), evidence) for seed in range(seeds)
    ]
    assert RATE / 3 < mean(rates) < most * RATE
    assert max(rates) < {1000: 0.03, 83: 0.1, 20: 0.35}[count]


def test_planted_defects_that_are_not_heard_make_no_room_among_right_transcripts() -> None:
    """As in noise: what lies below the lowest planted ones is a part of the right transcripts."""

    def masked(row: Measured, number: int) -> Measured:
        controls = (
            replace(c, value=0.3) if c.kind == "replaced" and number % 12 == 0 else c
            for c in row.controls
        )
        return replace(row, controls=tuple(controls))

    rates = []
    for seed in range(20):
        rows = normal_rows(41, seed, apart=4.0)
        calibration = calibrated([masked(row, number) for number, row in enumerate(rows)])
        rates.append(passing(calibration, "substitution"))
    assert mean(rates) < 2 * RATE
    assert max(rates) < 0.1


def test_evidence_for_a_transcript_that_knows_no_bounds_raises_no_threshold() -> None:
    def stretched(r: Measured) -> Measured:
        """What speaks for the transcript, or hardly against it, three times as strongly."""
        words = (replace(w, deletion=min(w.deletion, 3 * w.deletion - 1.2)) for w in r.words)
        return replace(r, words=tuple(words))

    rates = [
        passing(calibrated([stretched(r) for r in normal_rows(83, seed, apart=5.0)]), "deletion")
        for seed in range(30)
    ]
    # A tail through the median and the 90th percentile alone would let less than a tenth pass.
    assert RATE / 6 < mean(rates) < 2 * RATE


@pytest.mark.parametrize("count", [1000, 83, 20])
def test_where_there_is_room_nearly_all_is_found_and_nothing_else(count: int) -> None:
    for seed in range(5):
        calibration = calibrated(normal_rows(count, seed, apart=8.0))
        for evidence in EVIDENCE:
            if evidence != "insertion":
                assert passing(calibration, evidence) < RATE / 5
                assert passing(calibration, evidence, 8.0) > 0.97


@pytest.mark.parametrize(("count", "defects"), [(1000, 0.1), (1000, 0.25), (83, 0.25), (20, 0.15)])
@pytest.mark.parametrize("evidence", ["mismatch", "deletion", "edge"])
def test_defects_in_the_data_hide_no_others(evidence: Evidence, count: int, defects: float) -> None:
    for seed in range(5):
        calibration = calibrated(normal_rows(count, seed, apart=8.0, defects={evidence: defects}))
        assert passing(calibration, evidence) < 2 * RATE
        assert passing(calibration, evidence, 8.0) > 0.9


def test_right_texts_that_cost_much_raise_the_threshold_of_swapped_ones() -> None:
    """A quarter of the rows are like spoken digits: few of them are as wrong as swapped ones."""
    digits = [replace(r, domain="d") for r in spoken_digits()]
    rows = [*normal_rows(90, 0), *digits]
    limit = calibrated(rows).thresholds["d"]["mismatch"]
    assert sum(r.loss > limit for r in digits) < len(digits) / 2
    assert all(r.loss < limit for r in rows[:90])


def test_power_counts_what_passes() -> None:
    rows = normal_rows(200, 0, apart=4.0, per_kind=120)
    calibration = calibrated(rows)
    assert not any(calibration.underpowered.values())
    for evidence, kinds in EVIDENCE.items():
        limit = calibration.thresholds["d"][evidence]
        natural = [value for r in rows if (value := r.evidence(evidence)) is not None]
        for kind in kinds:
            planted = [c.value for r in rows[:120] for c in r.controls if c.kind == kind]
            power = calibration.power["d"][kind]
            assert (power.planted, power.detected) == (120, sum(v > limit for v in planted))
            if evidence == "mismatch":  # before those with another's text are put aside
                assert (power.unplanted, power.flagged) == (200, sum(v > limit for v in natural))


@pytest.mark.parametrize("kind", THRESHOLD_KINDS)
def test_a_kind_that_is_not_found_is_underpowered_and_no_other(kind: str) -> None:
    apart = {other: 0.0 if other == kind else 8.0 for other in THRESHOLD_KINDS}
    calibration = calibrated(normal_rows(300, 0, apart=apart))
    assert kind in calibration.underpowered["d"]
    (evidence,) = [e for e, kinds in EVIDENCE.items() if kind in kinds]
    assert not calibration.can_detect("d", evidence)
    for other in EVIDENCE:
        if other != evidence:
            assert calibration.can_detect("d", other)


def test_a_kind_that_several_sorts_find_needs_one_of_them() -> None:
    def with_phrase(row: Measured, number: int) -> Measured:
        found = {"substitution": 9.0 if number % 2 else -9.0, "insertion": -9.0}
        return replace(row, controls=(*row.controls, Control("phrase", -9.0, found)))

    rows = [with_phrase(r, number) for number, r in enumerate(normal_rows(100, 0))]
    power = calibrated(rows).power["d"]["phrase"]
    assert (power.planted, power.detected) == (100, 50)
    apart = {kind: 0.0 if kind == "replaced" else 8.0 for kind in THRESHOLD_KINDS}
    blind = [with_phrase(r, number) for number, r in enumerate(normal_rows(100, 0, apart=apart))]
    calibration = calibrated(blind)
    assert calibration.power["d"]["phrase"].detected == 0, "what does not count finds nothing"
    assert "phrase" in calibration.underpowered["d"]
    assert calibration.can_detect("d", "deletion")


def test_small_domains_share_thresholds_and_large_ones_have_their_own() -> None:
    large = [
        replace(r, words=tuple(replace(w, deletion=w.deletion + 2) for w in r.words))
        for r in normal_rows(700, 0, domain="large", apart=6.0)
    ]
    small = normal_rows(40, 1, domain="small", apart=6.0)
    tiny = normal_rows(3, 2, domain="tiny", apart=6.0)
    found = calibrated([*large, *small, *tiny]).thresholds
    assert found["small"] == found["tiny"] != found["large"]
    alone = calibrated(large).thresholds["large"]
    assert found["large"] == alone
    together = [replace(r, domain="d") for r in (*large, *small, *tiny)]
    assert found["small"]["mismatch"] == calibrated(together).thresholds["d"]["mismatch"]


def test_chance_condemns_no_small_domain() -> None:
    """Power is pooled; one domain is underpowered only where its interval is below the floor."""
    rows = normal_rows(300, 0)
    weak = [
        replace(r, controls=(*(c for c in r.controls if c.kind != "cut"), Control("cut", value)))
        for r, value in zip(normal_rows(12, 1, domain="weak"), [-5.0] * 7 + [8.0] * 5, strict=True)
    ]
    assert "cut" not in calibrated([*rows, *weak]).underpowered["weak"], (
        "5 of 12 may well be a half"
    )
    deaf = [replace(r, controls=(Control("cut", -5.0),)) for r in weak]
    calibration = calibrated([*rows, *deaf])
    assert "cut" in calibration.underpowered["weak"]
    assert "cut" not in calibration.underpowered["d"]


@pytest.mark.parametrize("count", [0, 4])
def test_few_planted_defects_leave_the_usual_thresholds(count: int) -> None:
    calibration = calibrated(normal_rows(60, 0, per_kind=count))
    assert calibration.thresholds["d"] == USUAL
    assert calibration.underpowered["d"] == frozenset()
    assert bool(calibration.power["d"]) == (count > 0)
    enough = calibrated(normal_rows(60, 0, per_kind=MIN_PLANTED))
    assert enough.thresholds["d"] != USUAL


def test_what_was_not_aligned_counts_for_nothing() -> None:
    rows = normal_rows(60, 0)
    broken = [
        replace(row(n), id=f"x{n}", fault=Fault("A002", "too long"), words=(), gaps=())
        for n in range(30)
    ]
    silent = [replace(row(n, deletion=50.0), id=f"s{n}", speech_seconds=0.0) for n in range(30)]
    calibration, without = calibrated([*rows, *broken, *silent]), calibrated(rows)
    assert calibration.thresholds == without.thresholds
    assert calibration.power == without.power


def test_what_is_not_heard_sets_no_threshold_and_nothing_is_found_in_it() -> None:
    rows = normal_rows(200, 0)
    planted = dict.fromkeys(THRESHOLD_KINDS, 50.0)
    unheard = [
        replace(row(n, deletion=50.0, mismatch=5.0, planted=planted), id=f"u{n}", tokens=0)
        for n in range(30)
    ]
    heard, deaf = (
        [replace(one, speech_seconds=2.0, tokens=10 * one.tokens) for one in rows]
        for rows in (rows, unheard)
    )
    calibration, without = calibrated([*heard, *deaf]), calibrated(heard)
    assert calibration.thresholds == without.thresholds
    assert not any(calibration.recognises_enough(one) for one in deaf)
    assert all(calibration.recognises_enough(one) for one in heard)
    for kind in THRESHOLD_KINDS:
        power, sound = calibration.power["d"][kind], without.power["d"][kind]
        assert power == replace(sound, planted=sound.planted + 30)
    # A domain in which nothing is heard at all is underpowered, and so without a verdict.
    noisy = [replace(one, domain="noisy") for one in deaf]
    assert "swapped" in calibrated([*heard, *noisy]).underpowered["noisy"]


@pytest.mark.parametrize("count", [1000, 83, 20])
def test_a_little_speech_is_no_evidence(count: int) -> None:
    """Without a price there is always some: where all have next to none, the rest is no defect."""
    thresholds = calibrated(normal_rows(count, 0, apart=3.0)).thresholds["d"]
    assert thresholds["insertion"] >= 3
    assert thresholds["edge"] >= 3


@pytest.mark.parametrize("count", [1000, 83])
def test_evidence_that_tells_nothing_flags_next_to_nobody(count: int) -> None:
    """Planted words look like right ones: that is no reason to take half of all for defects."""
    for seed in range(5):
        rows = normal_rows(count, seed, apart=0.3)
        assert passing(calibrated(rows), "substitution") < 5 * RATE
        assert {"replaced"} <= calibrated(rows).underpowered["d"]


def test_texts_of_others_set_no_threshold_for_single_words() -> None:
    rows = normal_rows(200, 0)
    wrong = [replace(row(n, mismatch=1.0, deletion=3.0, other=3.0), id=f"w{n}") for n in range(30)]
    calibration, without = calibrated([*rows, *wrong]), calibrated(rows)
    for evidence in ("deletion", "substitution", "insertion", "edge"):
        assert calibration.thresholds["d"][evidence] == pytest.approx(
            without.thresholds["d"][evidence], abs=0.15
        )


@pytest.mark.parametrize("apart", [1.0, 3.0, 8.0, 30.0])
@pytest.mark.parametrize("count", [600, 83, 20, 5])
def test_probabilities_turn_at_the_threshold(count: int, apart: float) -> None:
    calibration = calibrated(normal_rows(count, 0, apart=apart))
    for evidence in EVIDENCE:
        at = calibration.thresholds["d"][evidence]
        assert calibration.probability("d", evidence, at) == pytest.approx(0.5)
        steps = [
            at + (step / 10) * (0.1 if evidence == "mismatch" else 1) for step in range(-99, 99)
        ]
        values = [calibration.probability("d", evidence, value) for value in steps]
        assert values == sorted(values)
        assert len(set(values)) > 100


@pytest.mark.parametrize("apart", [3.0, 8.0, 30.0])
def test_evidence_is_never_certainty(apart: float) -> None:
    """As strong as any that was measured or planted, for and against."""
    rows = normal_rows(300, 0, apart=apart)
    calibration = calibrated(rows)
    for evidence, kinds in EVIDENCE.items():
        natural = [value for r in rows if (value := r.evidence(evidence)) is not None]
        planted = [c.value for r in rows for c in r.controls if c.kind in kinds]
        for value in (min(natural), max(natural), min(planted), max(planted)):
            chance = calibration.probability("d", evidence, value)
            assert 0 < chance < 1
            assert 0 < 1 - chance < 1
        assert calibration.probability("d", evidence, sorted(natural)[150]) < 0.1
        if apart > 3:
            assert calibration.probability("d", evidence, sorted(planted)[len(planted) // 2]) > 0.9


def test_totals_are_over_all_domains() -> None:
    calibration = calibrated([*normal_rows(40, 0, domain="a"), *normal_rows(30, 1, domain="b")])
    total = calibration.total("cut")
    assert total is not None
    parts = [calibration.power["a"]["cut"], calibration.power["b"]["cut"]]
    assert total == Power(
        70, sum(p.detected for p in parts), sum(p.flagged for p in parts), total.unplanted
    )
    assert calibrated([row(0)]).total("cut") is None


def test_floors_name_every_kind() -> None:
    floors: Mapping[str, float] = FLOORS
    assert set(floors) == set(KINDS)
    assert floors["swapped"] == POLICY.controls.min_power_swapped
    assert floors["cut"] == POLICY.controls.min_power
