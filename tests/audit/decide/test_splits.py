"""Shares of low quality by split."""

from __future__ import annotations

from dataclasses import replace

from asr_gate.audit.decide.defects import MeasuredStratum, Power
from asr_gate.audit.decide.estimate import StratumCount
from asr_gate.audit.decide.splits import estimate_splits
from asr_gate.corpus.utterance import Corpus
from tests.audit.controls.rows import POLICY, normal_rows
from tests.audit.report.reports import finding
from tests.audit.report.test_build import corpus_of, judged


def test_each_split_has_its_share() -> None:
    rows = normal_rows(60, 0)
    low = [finding(f"d-{n}", "A008", severity="error") for n in range(12)]
    sample = replace(judged(rows), findings=low)
    names = {row.id: ("train" if int(row.id[2:]) < 40 else "test") for row in rows}
    names["d-59"] = None
    corpus = corpus_of(rows)
    split = Corpus([replace(u, split=names[u.id]) for u in corpus.utterances], corpus.manifests)
    measured = {"d": MeasuredStratum(StratumCount(60, 60, 12), Power(60, 60, 0.0))}
    found = estimate_splits(split, sample, measured, POLICY, seed=1)
    assert {name: count for name, (count, _) in found.items()} == {
        "": StratumCount(1, 1, 0),
        "test": StratumCount(19, 19, 0),
        "train": StratumCount(40, 40, 12),
    }
    train, test = found["train"][1], found["test"][1]
    assert train is not None and test is not None
    assert train.low < train.rate == 12 / 40 < train.high
    assert test.rate == 0.0 < test.high < train.high
    # What cannot be judged has no share, and a corpus without splits none of it.
    unjudged = estimate_splits(split, sample, {}, POLICY, seed=1)
    assert unjudged["train"] == (StratumCount(40, 40, 12), None)
    assert estimate_splits(corpus, sample, measured, POLICY, seed=1) == {}
