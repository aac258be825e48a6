"""The sampling plan."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from asr_gate.audit.sample.plan import allocate, draw
from asr_gate.corpus.utterance import Utterance

QUOTAS = {"whatsapp_noisy": 0.4, "kan_clean": 0.4, "long_tail": 0.2}


def corpus(**counts: int) -> list[Utterance]:
    return [
        Utterance(f"{domain}-{n}", "x", Path("a.wav"), "a.wav", "m:1", domain=domain)
        for domain, count in counts.items()
        for n in range(count)
    ]


def test_quotas_hold_where_their_domains_exist() -> None:
    counts = {"whatsapp_noisy": 5000, "kan_clean": 15000, "long_tail": 5000}
    sizes = allocate(counts, fraction=0.1, quotas=QUOTAS, minimum=30)
    assert sizes == {"whatsapp_noisy": 1000, "kan_clean": 1000, "long_tail": 500}


def test_shares_of_the_corpus_hold_otherwise() -> None:
    sizes = allocate({"a": 9000, "b": 1000}, fraction=0.1, quotas=QUOTAS, minimum=30)
    assert sizes == {"a": 900, "b": 100}


def test_other_domains_keep_their_share_beside_quotas() -> None:
    counts = {"whatsapp_noisy": 2000, "kan_clean": 4000, "long_tail": 2000, "other": 2000}
    sizes = allocate(counts, fraction=0.1, quotas=QUOTAS, minimum=30)
    assert sizes == {"whatsapp_noisy": 320, "kan_clean": 320, "long_tail": 160, "other": 200}


def test_small_domains_are_heard_too() -> None:
    sizes = allocate({"a": 10000, "b": 50, "c": 7}, fraction=0.05, quotas={}, minimum=30)
    assert sizes["b"] == 30
    assert sizes["c"] == 7


def test_what_a_small_domain_cannot_fill_goes_to_the_others() -> None:
    counts = {"whatsapp_noisy": 100, "kan_clean": 9800, "long_tail": 100}
    sizes = allocate(counts, fraction=0.1, quotas=QUOTAS, minimum=30)
    assert sum(sizes.values()) == 1000
    assert sizes["whatsapp_noisy"] == 100


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 5000), min_size=1, max_size=6),
    st.floats(0.001, 1),
    st.integers(1, 60),
)
def test_sizes_are_possible_and_enough(
    counts: dict[str, int], fraction: float, minimum: int
) -> None:
    sizes = allocate(counts, fraction=fraction, quotas={}, minimum=minimum)
    for domain, count in counts.items():
        assert min(minimum, count) <= sizes[domain] <= count
    assert sum(sizes.values()) >= fraction * sum(counts.values())


def test_a_domain_without_a_share_fills_up_what_the_others_lack() -> None:
    sizes = allocate({"a": 5, "b": 50}, fraction=1.0, quotas={"a": 1.0, "b": 0.0}, minimum=1)
    assert sizes == {"a": 5, "b": 50}


def test_the_order_of_the_corpus_decides_nothing() -> None:
    rows = corpus(a=1000)
    first = draw(rows, fraction=0.1, seed=1, quotas={}, minimum=30, content="c")
    again = draw(rows[::-1], fraction=0.1, seed=1, quotas={}, minimum=30, content="c")
    assert first.sample == again.sample


def test_all_is_all() -> None:
    everything = corpus(a=50, b=3)
    plan = draw(everything, fraction=1.0, seed=0, quotas=QUOTAS, minimum=30, content="c")
    assert {u.id for u in plan.sample} == {u.id for u in everything}
    assert all(stratum.weight == 1 for stratum in plan.strata.values())


def test_a_seed_draws_one_sample_without_replacement() -> None:
    rows = corpus(a=1000, b=500)
    first = draw(rows, fraction=0.1, seed=1, quotas={}, minimum=30, content="c")
    again = draw(rows, fraction=0.1, seed=1, quotas={}, minimum=30, content="c")
    other = draw(rows, fraction=0.1, seed=2, quotas={}, minimum=30, content="c")
    ids = [u.id for u in first.sample]
    assert ids == [u.id for u in again.sample]
    assert ids != [u.id for u in other.sample]
    assert len(set(ids)) == len(ids)
    assert Counter(u.domain for u in first.sample) == {"a": 100, "b": 50}
    assert first.strata["a"].weight == 10


def test_a_changed_corpus_is_drawn_anew() -> None:
    """Else rows that were found and put right would stand for those that nobody looked at."""
    rows = corpus(a=900, b=100)
    before, after, again = (
        {u.id for u in draw(rows, fraction=0.1, seed=1, quotas={}, minimum=5, content=c).sample}
        for c in ("before", "after", "before")
    )
    assert before == again
    assert len(before) == len(after) == 100
    assert len(before & after) < 25, "as chance has it, ten"
