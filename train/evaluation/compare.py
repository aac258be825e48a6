"""Compares evaluations of the same rows: which error rates changed by more than chance."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.text.plain import plain
from asr_gate.train.evaluation.paired_bootstrap import METHOD, Change, Group, changes
from asr_gate.train.evaluation.result_file import Result, Transcript, read_result
from asr_gate.train.evaluation.scoring import Errors, count_errors
from asr_gate.train.recipes import Numbers

Outcome = Literal["pass", "fail", "no decision"]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance on both sides."""

    transcript: Transcript
    """Of the first evaluation."""
    hypothesis: str
    """Of the second one."""
    a: Errors
    b: Errors

    @property
    def change(self) -> float:
        """WER of the second side minus that of the first: above 0 is worse."""
        return (self.b.word_errors - self.a.word_errors) / self.a.words


@dataclass(frozen=True)
class Comparison:
    """The second evaluation against the first."""

    a: str
    """Checkpoint of the first evaluation."""
    b: str
    letter: str
    """Of the second evaluation in tables: B, C, …"""
    confidence: float
    seed: int
    numbers: Numbers
    """How numbers are compared here."""
    recorded: tuple[Numbers, Numbers]
    """How they were compared when the two results were made, for the rates that those say."""
    least: int
    """Fewest utterances for an interval."""
    overall: Group
    domains: dict[str, Group]
    utterances: tuple[Utterance, ...] = field(repr=False)
    """In the order of their ids."""

    @property
    def useless(self) -> list[str]:
        """`overall` and the domains in which both sides have a WER of 100 % or more."""
        return [name for name, group in rows(self) if group.wer.a >= 1 and group.wer.b >= 1]

    @property
    def outcome(self) -> Outcome:
        """Whether the second side may take the place of the first."""
        if self.worse:
            return "fail"
        return "no decision" if "overall" in self.useless else "pass"

    @property
    def worse(self) -> list[str]:
        """`overall` and the domains whose WER rose by more than chance."""
        return ["overall"] * self.overall.worse + [n for n, g in self.domains.items() if g.worse]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `better` is the probability of improvement of the WER."""
        return {
            **{name: value for name, value in vars(self).items() if name not in _GROUPS},
            "overall": asdict(self.overall),
            "domains": {name: asdict(group) for name, group in self.domains.items()},
            "method": METHOD,
            "worse": self.worse,
            "useless": self.useless,
            "outcome": self.outcome,
        }

    def markdown(self) -> str:
        """The table as Markdown, with the verdict below it."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        percent = f"{100 * self.confidence:g} %"
        b = self.letter
        yield f"A: {_escape(self.a)}  "
        yield f"{b}: {_escape(self.b)}"
        yield ""
        yield (
            f"| | utterances | words | WER A | WER {b} | change | {percent} | CER A | CER {b} "
            f"| change | {percent} | P(WER {b} lower) |"
        )
        yield "|---|" + "---:|" * 11
        for name, group in rows(self):
            cells = [_escape(name), str(group.utterances), str(group.words)]
            for change in (group.wer, group.cer):
                cells += [f"{100 * change.a:.2f} %", f"{100 * change.b:.2f} %", *points(change)]
            cells.append("" if group.better is None else f"{group.better:.3f}")
            yield f"| {' | '.join(cells)} |"
        yield ""
        yield _escape("; ".join(self.verdict())) + "."

    def verdict(self) -> list[str]:
        """Whether it passes, what got worse by more than chance, and of what nothing is told."""
        few = [name for name, group in rows(self) if group.wer.low is None]
        said = (
            f"WER rose beyond its interval: {', '.join(self.worse)}"
            if self.worse
            else "WER rose nowhere beyond its interval"
        )
        told = [f"{self.outcome}: {said}"]
        if self.useless:
            told.append(f"both have a WER of 100 % or more: {', '.join(self.useless)}")
        if few:
            told.append(f"too few utterances to tell (fewer than {self.least}): {', '.join(few)}")
        return told


_GROUPS = ("overall", "domains", "utterances")


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


def compare(
    results: Sequence[Path],
    *,
    confidence: float = 0.95,
    seed: int = 1,
    numbers: Numbers = "spoken",
) -> list[Comparison]:
    """Compare results with the first; all are scored again, so that all are normalised alike.

    Args:
        results: files or folders of two results or more.
        confidence: of the intervals, from 0.5 to 0.9999.
        seed: decides the resamples.
        numbers: how numbers are compared, whatever it was when a result was made.

    Returns:
        The comparison of each result with the first, in their order.

    Raises:
        UserError: a result cannot be read, or two are about different rows.
    """
    if not 0.5 <= confidence <= 0.9999:
        raise UserError(f"--confidence {confidence:g}: is not a share from 0.5 to 0.9999")
    if not 2 <= len(results) <= len(ascii_uppercase):
        raise UserError(f"{len(results)} results: name from 2 to {len(ascii_uppercase)} to compare")
    first, *others = [_Scored(path, *read_result(path), numbers) for path in results]
    return [
        _compare(first, other, letter, confidence, seed)
        for letter, other in zip(ascii_uppercase[1:], others, strict=False)
    ]


class _Scored:
    """A result and the errors of its transcripts."""

    def __init__(
        self, path: Path, result: Result, transcripts: list[Transcript], numbers: Numbers
    ) -> None:
        self.path = path
        self.result = result
        self.numbers = numbers
        self.transcripts = {one.id: one for one in transcripts}
        if len(self.transcripts) < len(transcripts):
            raise UserError(f"{path}: two rows have one id; evaluate again")
        self.errors = {one.id: self._count(one) for one in transcripts}

    def _count(self, one: Transcript) -> Errors:
        errors = count_errors(one.reference, one.hypothesis, one.language, self.numbers)
        if not errors.words:
            raise UserError(
                f"{self.path}: the reference of {one.id!r} holds no word; evaluate again"
            )
        return errors


def _compare(a: _Scored, b: _Scored, letter: str, confidence: float, seed: int) -> Comparison:
    ids = _same_rows(a, b)
    errors = [(a.errors[i], b.errors[i]) for i in ids]
    domains: dict[str, list[int]] = {}
    for index, i in enumerate(ids):
        domains.setdefault(a.transcripts[i].domain, []).append(index)
    least = math.ceil(math.log2(2 / (1 - confidence)))
    return Comparison(
        a=a.result.checkpoint,
        b=b.result.checkpoint,
        letter=letter,
        confidence=confidence,
        seed=seed,
        numbers=a.numbers,
        recorded=(a.result.numbers, b.result.numbers),
        least=least,
        overall=changes(errors, confidence, seed, least),
        domains={
            name: changes([errors[i] for i in domains[name]], confidence, seed, least)
            for name in sorted(domains)
        },
        utterances=tuple(
            Utterance(a.transcripts[i], b.transcripts[i].hypothesis, *both)
            for i, both in zip(ids, errors, strict=True)
        ),
    )


def _same_rows(a: _Scored, b: _Scored) -> list[str]:
    """The ids of the rows of both, in order.

    Raises:
        UserError: an id is on one side only, or the references differ.
    """
    left, right = a.transcripts, b.transcripts
    faults = [
        f"{len(ids)} only in {path}: {_some(ids)}"
        for path, ids in ((a.path, left.keys() - right), (b.path, right.keys() - left))
        if ids
    ]
    for what in ("reference", "domain", "language", "seconds"):
        ids = {i for i in left.keys() & right if getattr(left[i], what) != getattr(right[i], what)}
        if ids:
            faults.append(f"{len(ids)} with another {what}: {_some(ids)}")
    if faults:
        raise UserError(
            f"{a.path} and {b.path} are not about the same rows ({'; '.join(faults)}); evaluate "
            "all checkpoints on the same manifest, and see not_evaluated in the results"
        )
    if not left:
        raise UserError(f"{a.path}: holds no prediction; evaluate again")
    return sorted(left)


def _some(ids: set[str]) -> str:
    shown = [repr(id) for id in sorted(ids)[:3]]
    return ", ".join(shown) + (", …" if len(ids) > 3 else "")
