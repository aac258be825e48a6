"""What each split of a corpus is like, beside the corpus as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from asr_gate.audit.decide.defects import MeasuredStratum, defects
from asr_gate.audit.decide.estimate import Interval, StratumCount
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.corpus.rows import columns, with_ids
from asr_gate.corpus.utterance import Corpus


def estimate_splits(
    corpus: Corpus,
    sample: JudgedSample,
    measured: Mapping[str, MeasuredStratum],
    policy: Policy,
    seed: int,
) -> dict[str, tuple[StratumCount, Interval | None]]:
    """Counts and the share of low quality of each split, its domains weighed by their rows in it.

    The sample is drawn by domain, so a split may be heard in few rows or in none.

    Args:
        corpus: the corpus.
        sample: the sampled utterances, judged.
        measured: the domains that can be judged.
        policy: says the confidence, and the false alarms that it allows.
        seed: of the interval's draws.

    Returns:
        By the name of the split, which is empty for rows without one; without an interval where no
        row was heard that can be judged. Nothing if no row has a split.
    """
    population = Counter(
        (split or "", domain) for split, domain in columns(corpus.utterances, "split", "domain")
    )
    names = sorted({split for split, _ in population})
    if names in ([], [""]):
        return {}
    heard = with_ids(corpus.utterances, (row.id for row in sample.rows))
    split_of = {identity: row.split or "" for identity, row in heard.items()}
    low = excluded_ids(sample.findings)
    sampled = Counter((split_of[row.id], row.domain) for row in sample.rows)
    bad = Counter((split_of[row.id], row.domain) for row in sample.rows if row.id in low)
    found: dict[str, tuple[StratumCount, Interval | None]] = {}
    for split in names:
        cells = {
            domain: StratumCount(count, sampled[split, domain], bad[split, domain])
            for (name, domain), count in population.items()
            if name == split
        }
        strata = [
            MeasuredStratum(count, measured[domain].power)
            for domain, count in cells.items()
            if domain in measured
        ]
        interval = None
        if any(stratum.count.sampled for stratum in strata):
            settings = policy.decision.confidence, policy.controls.false_alarm
            interval = defects(strata, *settings, seed=seed)
        total = StratumCount(
            sum(count.population for count in cells.values()),
            sum(count.sampled for count in cells.values()),
            sum(count.low for count in cells.values()),
        )
        found[split] = total, interval
    return found
