"""Blind samples, and what is estimated from people's verdicts on them."""

from __future__ import annotations

import pytest

from asr_gate.audit.review.estimate import LEAST, by_domain, measure
from asr_gate.audit.review.sample import AuditedRow, draw_blind
from bench.review import Case, covers


def rows(flagged: int, others: int, domain: str = "d", weight: float = 1.0) -> list[AuditedRow]:
    return [AuditedRow(f"{domain}f{n}", domain, True, weight) for n in range(flagged)] + [
        AuditedRow(f"{domain}o{n}", domain, False, weight) for n in range(others)
    ]


def test_half_of_a_blind_sample_is_flagged_where_there_are_so_many() -> None:
    def flagged(sample: list[str]) -> int:
        return sum("f" in one for one in sample)

    assert flagged(draw_blind(rows(100, 900), 50, "s")) == 25
    few = draw_blind(rows(5, 900), 50, "s")
    assert (len(few), flagged(few)) == (50, 5)
    assert len(draw_blind(rows(40, 3), 50, "s")) == 43


def test_a_sample_is_the_same_again_and_a_larger_one_holds_it() -> None:
    corpus = rows(100, 900)
    once = draw_blind(corpus, 50, "s")
    assert draw_blind(corpus[::-1], 50, "s") == once
    assert set(once) < set(draw_blind(corpus, 200, "s"))
    assert set(draw_blind(corpus, 50, "t")) != set(once)


def test_rows_that_stand_for_more_are_drawn_more_often() -> None:
    corpus = rows(0, 100, "big", weight=9.0) + rows(0, 100, "small")
    drawn = [one for n in range(50) for one in draw_blind(corpus, 20, str(n))]
    assert 0.85 < sum(one.startswith("big") for one in drawn) / len(drawn) < 0.95


def test_shares_are_weighted_by_what_is_flagged() -> None:
    corpus = rows(100, 900)
    said: dict[str, bool | None] = {f"df{n}": n < 20 for n in range(25)}
    said |= {f"do{n}": n < 1 for n in range(25)}
    found = measure(corpus, said, {"d": 1000}, 0.95, seed=0)
    assert found is not None
    assert found.precision.rate == pytest.approx(0.8)
    assert found.missed.rate == pytest.approx(0.04)
    assert found.estimate.rate == pytest.approx(0.1 * 0.8 + 0.9 * 0.04)
    assert found.recall.rate == pytest.approx(0.08 / 0.116)
    for one in (found.precision, found.missed, found.estimate, found.recall):
        assert 0 <= one.low < one.rate < one.high <= 1


def test_who_is_not_sure_widens_the_interval() -> None:
    corpus = rows(100, 900)
    sure: dict[str, bool | None] = {f"df{n}": n < 20 for n in range(25)}
    sure |= dict.fromkeys((f"do{n}" for n in range(25)), False)
    unsure = sure | dict.fromkeys((f"do{n}" for n in range(5)), None)
    clear, doubtful = (measure(corpus, s, {"d": 1000}, 0.95, seed=0) for s in (sure, unsure))
    assert clear is not None and doubtful is not None
    assert doubtful.estimate.high > clear.estimate.high + 0.1
    assert (doubtful.others.rows, doubtful.others.unsure) == (25, 5)


def test_nothing_is_estimated_of_one_kind_of_rows_alone() -> None:
    corpus = rows(100, 900)
    assert measure(corpus, {"df1": True}, {"d": 1000}, 0.95, seed=0) is None
    assert measure(corpus, {"df1": True, "do1": None}, {"d": 1000}, 0.95, seed=0) is None
    assert measure(rows(0, 100), {"do1": False}, {"d": 100}, 0.95, seed=0) is not None


def test_a_domain_has_an_estimate_where_enough_was_judged() -> None:
    corpus = rows(50, 50, "a") + rows(50, 50, "b")
    said: dict[str, bool | None] = {f"af{n}": True for n in range(LEAST // 2)}
    said |= {f"ao{n}": False for n in range(LEAST // 2)} | {"bf1": True, "bo1": False}
    found = by_domain(corpus, said, {"a": 100, "b": 100}, 0.95, seed=0)
    assert found.keys() == {"a"}
    assert found["a"].rate == pytest.approx(0.5)


def test_the_interval_holds_the_true_share() -> None:
    case = Case((0.05, 0.4), 0.8, 0.02, 100, sizes=(9000, 1000), sampled=(500, 300))
    assert sum(covers(case, number)[0] for number in range(60)) >= 54
