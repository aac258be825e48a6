"""`make bench`: remakes the figures of `docs/` and of the README."""

from __future__ import annotations

from bench import (
    adaptation,
    emissions,
    estimate,
    example,
    first_corpus,
    hebrew,
    incremental,
    limits,
    opening,
    pairing,
    propose,
    real_speech,
    retrieval,
    review,
    rounds,
    rules,
    short_utterances,
    signals,
    state,
    sweep_null,
    sweeps,
    tracking,
    train,
    training_time,
)
from bench.activity import __main__ as activity
from bench.detection import __main__ as detection
from bench.needed import Missing

if __name__ == "__main__":
    rules.main()
    example.main()
    first_corpus.main()
    estimate.main()
    review.main()
    rounds.main()
    sweep_null.main()
    sweeps.main()
    train.main()
    signals.main()
    state.main()
    training_time.main()
    tracking.main()
    retrieval.main()
    for measurement in (
        opening,
        real_speech,
        short_utterances,
        limits,
        propose,
        incremental,
        detection,
        activity,
        pairing,
        adaptation,
        hebrew,
    ):
        try:
            measurement.main()
        except Missing as reason:
            print(f"{measurement.__name__.removesuffix('.__main__')}: left out: {reason}")
    emissions.main()  # the last, for it leaves torch with one thread
