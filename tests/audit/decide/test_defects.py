"""The interval holds what is wrong, whatever the measurement misses or mistakes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.audit.decide.defects import (
    MeasuredStratum,
    Power,
    corrected,
    defects,
)
from asr_gate.audit.decide.estimate import Interval, StratumCount
from asr_gate.audit.policy import load_policy
from bench.estimate import Tally, corpora, fixed

SURE = Power(385, 385, 0.0)


def share(count: StratumCount, power: Power = SURE, seed: int = 0) -> Interval:
    return defects([MeasuredStratum(count, power)], 0.95, 0.01, seed=seed, draws=4000)


def test_intervals_cover_whatever_the_aligner_misses_or_mistakes() -> None:
    """Power of 70 to 100 %, false alarms of 0 to 10 %: `python -m bench.estimate` with fewer."""
    policy = load_policy()
    whole = Tally()
    for rate in (0.02, 0.16, 0.5):
        for corpus in corpora(rate):
            if len(corpus.sizes) == 3:
                found = fixed(corpus, policy, 6, seed=1)
                for field in vars(whole):
                    setattr(whole, field, getattr(whole, field) + getattr(found, field))
    assert whole.audits > 100
    assert whole.covered / whole.audits >= 0.95
    assert whole.domains_covered / (whole.domains - whole.untold) >= 0.95
    assert whole.pairs > 20
    assert whole.contradicting / whole.pairs <= 0.05
    assert whole.wrong / whole.audits <= 0.05


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_interval_is_a_point(data: st.DataObject) -> None:
    """Not even where everything was aligned."""
    size = data.draw(st.integers(2, 200))
    sampled = data.draw(st.integers(1, size) | st.just(size))
    low = data.draw(st.integers(0, sampled))
    planted = data.draw(st.integers(10, 100))
    found = share(StratumCount(size, sampled, low), Power(planted - 2, planted, 0.02))
    assert 0 <= found.low <= found.rate == low / sampled <= found.high <= 1
    assert found.high - found.low >= 1 / size - 1e-9


def test_a_census_without_a_finding_may_have_missed_one() -> None:
    assert share(StratumCount(30, 30, 0), Power(8, 10, 0.0)).high >= 1 / 30


def test_what_right_transcripts_show_to_pass_may_be_no_defect() -> None:
    many = StratumCount(1000, 500, 50)
    assert share(many).low > 0.04
    assert share(many, Power(385, 385, 0.08)).low < 0.02


def test_a_lower_power_makes_more_of_what_was_found() -> None:
    many = StratumCount(100_000, 2000, 200)
    assert share(many, Power(270, 385, 0.0)).high > 0.135
    assert share(many).high < 0.125


def test_an_unknown_power_leaves_all_open() -> None:
    found = share(StratumCount(100, 100, 5), Power(9, 9, 0.0))
    assert (found.rate, found.high) == (0.05, 1.0)


def test_domains_weigh_by_their_population_and_unsampled_ones_may_be_anything() -> None:
    strata = [
        MeasuredStratum(StratumCount(9000, 100, 10), SURE),
        MeasuredStratum(StratumCount(1000, 100, 50), SURE),
    ]
    found = defects(strata, 0.95, 0.01, seed=0)
    assert abs(found.rate - (0.9 * 0.1 + 0.1 * 0.5)) < 1e-9
    more = [*strata, MeasuredStratum(StratumCount(10_000, 0, 0), SURE)]
    assert defects(more, 0.95, 0.01, seed=0).high > 0.5


def test_the_seed_decides_the_draws() -> None:
    many = StratumCount(1000, 100, 7)
    assert share(many) == share(many)
    assert abs(share(many).high - share(many, seed=1).high) < 0.01


def test_a_share_of_findings_becomes_one_of_defects() -> None:
    """An aligner that finds 80 % and cries wolf at 3 % finds 10.7 % where 10 % are bad."""
    seen = Interval(0.107, 0.05, 0.2)
    found = corrected(seen, Power(308, 385, 0.03))
    assert found is not None
    assert abs(found.rate - 0.1) < 1e-9
    assert corrected(seen, Power(9, 9, 0.0)) is None, "too little was planted"
    assert corrected(seen, Power(10, 100, 0.04)) is None, "it sees nothing"
