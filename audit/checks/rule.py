"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from asr_gate.corpus.utterance import Corpus, Seconds, Utterance

# Rules are listed and explained where nothing is installed that measures.
if TYPE_CHECKING:
    from asr_gate.audit.policy import Policy
    from asr_gate.audit.records.judged import Judged
    from asr_gate.audit.records.measured import Measured
    from asr_gate.audit.records.pairing import Pairing
    from asr_gate.audit.records.power import Calibration


@dataclass(frozen=True)
class Context:
    """What rules may need beside the audited utterances."""

    policy: Policy
    content: Mapping[str, str]
    """Digest of audio, segment and text of every utterance whose audio is there, by id."""
    language: str
    """Of the acoustic model."""
    calibration: Calibration
    """What the controls showed: thresholds and detection power."""
    absolute_thresholds: Mapping[str, frozenset[str]]
    """By domain: which of `coverage` and `confidence` may make an utterance one of low quality."""
    corpus: Corpus
    """All rows: those that were not sampled and those of other splits too."""
    untold: Container[str] = frozenset()
    """Domains in which nothing can be told of a text by its sound."""
    pairing: Pairing | None = None
    """Rows whose text was found elsewhere."""

    @cached_property
    def written(self) -> list[Written]:
        """The transcripts that may be like another one, those of other splits last.

        Only these are in memory. A short one is here if its speaker has the same once more.
        """
        from asr_gate.audit.checks.alike import alike

        return alike(self.corpus, self.policy.corpus)


class Written(NamedTuple):
    """A transcript beside all others."""

    row: Utterance
    bare: str
    """Its letters and digits alone."""
    group: str | None
    """The first text that it is like; None: it is too short to tell."""
    judged: bool = True
    """False: the row is of another split, and only tells leaks."""


class Found(NamedTuple):
    """What a rule found in one utterance; the first two suffice."""

    id: str
    message: str
    start: Seconds | None = None
    end: Seconds | None = None
    """Where in the utterance; None: all of it."""
    counts: bool = True
    """False where the controls show that this audit cannot tell: listed, held against nobody."""


Find = Callable[[Sequence["Judged"], Context], Iterable[Found | tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding; `asr_gate.audit.records.rules` has what is said about it."""

    code: str
    find: Find
    """From the audited utterances to what is wrong with them: `Found`, or id and message."""
    compares: bool = False
    """Whether it holds text against sound. In a domain where the controls cannot tell right from
    wrong, such findings do not count."""
    whole_corpus: bool = False
    """Whether it looks at every row, sampled or not, since it needs no measurements."""
    texts_only: bool = False
    """Whether it looks at ids, texts and languages of all rows alone: `apart` can run it."""


def measured(rows: Sequence[Judged]) -> Iterator[Measured]:
    """What was measured on each row."""
    return (row.measured for row in rows)


def faults(code: str) -> Find:
    """A rule that reports the utterances whose measuring ended with this code."""

    def find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
        for row in rows:
            if row.measured.fault is not None and row.measured.fault.code == code:
                yield row.id, row.measured.fault.reason

    return find
