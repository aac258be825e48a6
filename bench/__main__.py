"""`make bench`: remakes the figures of `docs/` and of the README."""

from __future__ import annotations

from bench import (
    adaptation,
    estimate,
    example,
    first_corpus,
    limits,
    propose,
    real_speech,
    review,
    rules,
    short_utterances,
    signals,
    state,
    tracking,
    train,
    training_time,
)
from bench.detection import __main__ as detection
from bench.needed import Missing

if __name__ == "__main__":
    rules.main()
    example.main()
    first_corpus.main()
    estimate.main()
    review.main()
    train.main()
    signals.main()
    state.main()
    training_time.main()
    tracking.main()
    for measurement in (real_speech, short_utterances, limits, propose, detection, adaptation):
        try:
            measurement.main()
        except Missing as reason:
            print(f"{measurement.__name__.removesuffix('.__main__')}: left out: {reason}")
