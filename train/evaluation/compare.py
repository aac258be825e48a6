"""Compares two evaluations of the same rows: which error rates changed by more than chance.

The interval of a change comes from a paired bootstrap over utterances (Bisani and Ney, "Bootstrap
estimates for confidence intervals in ASR performance evaluation", ICASSP 2004): utterances are
drawn with replacement, the same for both sides, and each time all errors are divided by all words.
With few utterances the percentiles are too narrow, so they are expanded (Hesterberg, "What teachers
should know about the bootstrap", The American Statistician 69, 2015).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.text.plain import plain
from asr_gate.train.evaluation.result_file import Transcript, read_result
from asr_gate.train.evaluation.scoring import Errors, count_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 10_000
METHOD = f"paired bootstrap over utterances, {RESAMPLES} resamples, expanded percentiles"

_DRAWN_AT_ONCE = 200_000
"""Utterances drawn at the same time, which limits the memory."""


@dataclass(frozen=True, slots=True)
class Change:
    """One error rate on both sides."""

    a: float
    b: float
    difference: float
    """`b` minus `a`: above 0 is worse."""
    low: float | None
    """Lower bound of the difference's interval; None: too few utterances for an interval."""
    high: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """All rows, or those of one domain."""

    utterances: int
    words: int
    wer: Change
    cer: Change
    better: float | None
    """Share of the resamples in which the second side has the lower WER (Bisani and Ney's
    probability of improvement)."""

    @property
    def worse(self) -> bool:
        """Whether the WER rose by more than chance: its whole interval is above 0."""
        return self.wer.low is not None and self.wer.low > 0


@dataclass(frozen=True)
class Comparison:
    """The second evaluation against the first."""

    a: str
    """Checkpoint of the first evaluation."""
    b: str
    confidence: float
    seed: int
    least: int
    """Fewest utterances for an interval."""
    overall: Group
    domains: dict[str, Group]

    @property
    def worse(self) -> list[str]:
        """`overall` and the domains whose WER rose by more than chance."""
        return ["overall"] * self.overall.worse + [n for n, g in self.domains.items() if g.worse]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self),
            "method": METHOD,
            "worse": self.worse,
        }

    def markdown(self) -> str:
        """The table as Markdown, with the verdict below it."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        percent = f"{100 * self.confidence:g} %"
        yield f"A: {_escape(self.a)}  "
        yield f"B: {_escape(self.b)}"
        yield ""
        yield (
            f"| | utterances | words | WER A | WER B | change | {percent} | CER A | CER B | change "
            f"| {percent} | P(B better) |"
        )
        yield "|---|" + "---:|" * 11
        for name, group in rows(self):
            cells = [_escape(name), str(group.utterances), str(group.words)]
            for change in (group.wer, group.cer):
                cells += [f"{100 * change.a:.2f} %", f"{100 * change.b:.2f} %", *points(change)]
            cells.append("" if group.better is None else f"{group.better:.3f}")
            yield f"| {' | '.join(cells)} |"
        yield ""
        yield _escape(self.verdict()) + "."

    def verdict(self) -> str:
        """What got worse by more than chance, in one sentence."""
        few = [name for name, group in rows(self) if group.wer.low is None]
        said = (
            f"WER rose beyond its interval: {', '.join(self.worse)}"
            if self.worse
            else "WER rose nowhere beyond its interval"
        )
        if few:
            said += f"; too few utterances to tell (fewer than {self.least}): {', '.join(few)}"
        return said


def rows(comparison: Comparison) -> list[tuple[str, Group]]:
    """`overall` and every domain, for tables."""
    return [("overall", comparison.overall), *comparison.domains.items()]


def points(change: Change) -> tuple[str, str]:
    """A difference and its interval in percentage points, for tables."""
    interval = (
        ""
        if change.low is None or change.high is None
        else f"{100 * change.low:+.2f} to {100 * change.high:+.2f}"
    )
    return f"{100 * change.difference:+.2f}", interval


def _escape(text: str) -> str:
    """Escape text for Markdown and HTML, because names of domains come from the user."""
    flat = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~])", r"\\\1", flat)


def compare(a: Path, b: Path, *, confidence: float = 0.95, seed: int = 1) -> Comparison:
    """Compare two results; both are scored again, so that both are normalised in the same way.

    Args:
        a: first result: its file or folder.
        b: second result.
        confidence: of the intervals, from 0.5 to 0.9999.
        seed: decides the resamples.

    Raises:
        UserError: a result cannot be read, or the two are about different rows.
    """
    if not 0.5 <= confidence <= 0.9999:
        raise UserError(f"--confidence {confidence:g}: is not a share from 0.5 to 0.9999")
    one, before = read_result(a)
    other, after = read_result(b)
    pairs = _pair(a, before, b, after)
    errors = [(_errors(a, left), _errors(b, right)) for left, right in pairs]
    domains: dict[str, list[int]] = {}
    for index, (left, _) in enumerate(pairs):
        domains.setdefault(left.domain, []).append(index)
    least = math.ceil(math.log2(2 / (1 - confidence)))
    return Comparison(
        a=one.checkpoint,
        b=other.checkpoint,
        confidence=confidence,
        seed=seed,
        least=least,
        overall=_group(errors, confidence, seed, least),
        domains={
            name: _group([errors[i] for i in domains[name]], confidence, seed, least)
            for name in sorted(domains)
        },
    )


def _errors(path: Path, transcript: Transcript) -> Errors:
    errors = count_errors(transcript.reference, transcript.hypothesis, transcript.language)
    if not errors.words:
        raise UserError(f"{path}: the reference of {transcript.id!r} holds no word; evaluate again")
    return errors


def _pair(
    a: Path, before: Sequence[Transcript], b: Path, after: Sequence[Transcript]
) -> list[tuple[Transcript, Transcript]]:
    """Both transcripts of each row, in the order of the ids.

    Raises:
        UserError: an id is on one side only or twice, or the references differ.
    """
    left, right = ({one.id: one for one in side} for side in (before, after))
    for path, side, found in ((a, before, left), (b, after, right)):
        if len(found) < len(side):
            raise UserError(f"{path}: two rows have one id; evaluate again")
    faults = [
        f"{len(ids)} only in {path}: {_some(ids)}"
        for path, ids in ((a, left.keys() - right.keys()), (b, right.keys() - left.keys()))
        if ids
    ]
    for what in ("reference", "domain", "language", "seconds"):
        ids = {i for i in left.keys() & right if getattr(left[i], what) != getattr(right[i], what)}
        if ids:
            faults.append(f"{len(ids)} with another {what}: {_some(ids)}")
    if faults:
        raise UserError(
            f"{a} and {b} are not about the same rows ({'; '.join(faults)}); evaluate both "
            "checkpoints on the same manifest, and see not_evaluated in both results"
        )
    if not left:
        raise UserError(f"{a}: holds no prediction; evaluate again")
    return [(left[i], right[i]) for i in sorted(left)]


def _some(ids: set[str]) -> str:
    shown = [repr(id) for id in sorted(ids)[:3]]
    return ", ".join(shown) + (", …" if len(ids) > 3 else "")


def _group(
    errors: Sequence[tuple[Errors, Errors]], confidence: float, seed: int, least: int
) -> Group:
    """Rates of both sides, and intervals of the changes if there are enough utterances."""
    import numpy as np

    counts = np.array(
        [
            (a.word_errors, b.word_errors, a.words, a.character_errors, b.character_errors,
             a.characters)
            for a, b in errors
        ],
        dtype=np.float64,
    )  # fmt: skip
    sums = counts.sum(axis=0)
    # All of n utterances get worse by chance once in 2^n times; with fewer utterances than `least`,
    # an interval would call that a change.
    few = len(counts) < least
    low, high, drawn = (None, None, None) if few else _bootstrap(counts, confidence, seed)
    changes = [
        Change(
            a=float(sums[at] / sums[at + 2]),
            b=float(sums[at + 1] / sums[at + 2]),
            difference=float((sums[at + 1] - sums[at]) / sums[at + 2]),
            low=None if low is None else float(low[number]),
            high=None if high is None else float(high[number]),
        )
        for number, at in enumerate((0, 3))
    ]
    return Group(
        utterances=len(counts),
        words=int(sums[2]),
        wer=changes[0],
        cer=changes[1],
        better=None if drawn is None else float((drawn[0] < 0).mean()),
    )


def _bootstrap(
    counts: NDArray[np.float64], confidence: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the changes of WER and CER, shape (2,), and the drawn changes, (2, resamples).

    Args:
        counts: shape (utterances, 6): word errors of both sides, words; the same of characters.
    """
    import numpy as np
    from scipy import stats

    def change(*columns: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        more, words, more_characters, characters = (c.sum(axis=axis) for c in columns)
        return np.stack([more / words, more_characters / characters])

    a, b, words, c, d, characters = np.ascontiguousarray(counts.T)
    n = len(counts)
    tail = stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf((1 + confidence) / 2, n - 1))
    found = stats.bootstrap(
        (b - a, words, d - c, characters),
        change,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, _DRAWN_AT_ONCE // n),
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    interval = found.confidence_interval
    return interval.low, interval.high, found.bootstrap_distribution
