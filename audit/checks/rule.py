"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from audit.controls.calibrate import Sight
from audit.gate.policy import Policy
from audit.measured import Measured
from corpus.utterance import Seconds


@dataclass(frozen=True, slots=True)
class Context:
    """What rules may need beside the audited utterances."""

    policy: Policy
    content: Mapping[str, str]
    """Digest of audio, segment and text of every utterance of the corpus, by id."""
    origins: Mapping[str, str]
    """Manifest and line of every row of the corpus, by id."""
    language: str
    """Of the acoustic model."""
    sight: Sight
    """What the audit can see, by its controls."""
    figures: Mapping[str, frozenset[str]]
    """By domain: which of the policy's fixed figures (`coverage`, `confidence`) mean something."""


class Found(NamedTuple):
    """What a rule found in one utterance; the first two suffice."""

    id: str
    message: str
    start: Seconds | None = None
    end: Seconds | None = None
    """Where in the utterance; None: all of it."""
    counts: bool = True
    """False where the controls show that this audit cannot tell: listed, held against nobody."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding."""

    code: str
    """Stable for ever: a letter for what it looks at (A alignment, D data, S signal, T text)."""
    name: str
    severity: Literal["error", "warning", "info"]
    """An error makes the utterance one of low quality."""
    summary: str
    mend: str
    """What to do about it."""
    find: Callable[[Sequence[Measured], Context], Iterator[Found | tuple[str, str]]]
    """From the audited utterances to what is wrong with them: `Found`, or id and message."""


def faults(code: str) -> Callable[[Sequence[Measured], Context], Iterator[tuple[str, str]]]:
    """A rule that reports the utterances whose measuring ended with this code."""

    def find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
        for row in rows:
            if row.fault is not None and row.fault.code == code:
                yield row.id, row.fault.reason

    return find
