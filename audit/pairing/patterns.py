"""How texts went astray together: shifted, exchanged, swapped in pairs, or mixed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from asr_gate.audit.records.pairing import Partner, Pattern
from asr_gate.corpus.utterance import Corpus

FEW = 3
"""Rows that make a pattern: so many more than contradict it in its range."""


@dataclass(frozen=True)
class Astray:
    """The patterns, and for each row the one whose text it says."""

    patterns: list[Pattern]
    text_of: dict[str, str]
    """From the id of an utterance to that of the row with its text."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows of one manifest, by their place in it, whose texts stand `by` rows later."""

    places: list[int]
    by: int


def find_patterns(
    partners: Mapping[str, Partner], right: Collection[str], corpus: Corpus
) -> Astray:
    """Name the patterns in which texts went astray.

    Args:
        partners: the rows whose text was found elsewhere.
        right: rows that were heard and have their own text.
        corpus: all rows, in the order of their manifests.
    """
    patterns: list[Pattern] = []
    text_of = {identity: partner.rows[0] for identity, partner in partners.items()}
    for manifest, ids in _manifests(corpus).items():
        place = {identity: at for at, identity in enumerate(ids)}
        wanted = {
            place[identity]: {place[row] for row in partner.rows if row in place}
            for identity, partner in partners.items()
            if identity in place
        }
        wanted = {at: targets for at, targets in wanted.items() if targets}
        sure = {place[identity] for identity in right if identity in place}
        runs = list(_runs(wanted, sure))
        for run in runs:
            text_of |= {ids[at]: ids[at + run.by] for at in run.places}
        patterns += _shifts_and_exchanges(runs, manifest, ids)
        rest = {at: targets for at, targets in wanted.items() if not _in_runs(at, runs)}
        pairs = {at: to for at, tos in rest.items() for to in tos if at in rest.get(to, ())}
        text_of |= {ids[at]: ids[to] for at, to in pairs.items()}
        if pairs:
            patterns.append(_swapped(pairs, manifest, ids))
        # Where the text of the other row of a pair was not found, nothing is known of that row.
        apart = {abs(to - at) for at, to in pairs.items()}
        half = {
            at
            for at, tos in rest.items()
            if any(abs(to - at) in apart and to not in rest.keys() | sure for to in tos)
        }
        mixed = [at for at in rest if at not in pairs.keys() | half]
        if len(mixed) >= FEW:
            patterns.append(_permuted(mixed, manifest, ids))
    return Astray(patterns, text_of)


def _manifests(corpus: Corpus) -> dict[str, list[str]]:
    """The ids of each manifest's rows, in its order."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in corpus.utterances:
        found[corpus.relative_origin(row.origin).rpartition(":")[0]].append(row.id)
    return found


def _runs(wanted: Mapping[int, Collection[int]], sure: Collection[int]) -> Iterator[_Run]:
    """The longest runs of one shift each, until none is left that is long enough."""
    left = dict(wanted)
    while left:
        votes = Counter(to - at for at, tos in left.items() for to in tos)
        best: list[int] = []
        by, most = 0, FEW - 1
        # Of runs as long the smaller shift is the likelier accident.
        for shift, count in sorted(votes.items(), key=lambda one: (-one[1], abs(one[0]), one[0])):
            if count <= most:
                break
            places, surplus = _run(shift, left, wanted, sure)
            if surplus > most:
                best, by, most = places, shift, surplus
        if not best:
            return
        yield _Run(best, by)
        for at in best:
            del left[at]


def _run(
    shift: int,
    left: Mapping[int, Collection[int]],
    wanted: Mapping[int, Collection[int]],
    sure: Collection[int],
) -> tuple[list[int], int]:
    """The stretch in which a shift explains the most rows (Kadane's search).

    Rows that have another text count twice against it: of rows that are swapped in pairs every
    other one has the same shift. Rows of which nothing is known do not count. Returned are the rows
    with the shift, and how many are left of them after what counts against it.
    """
    best: list[int] = []
    most = surplus = 0
    run: list[int] = []
    for at in sorted({*wanted, *sure}):
        if at in left and at + shift in left[at]:
            run.append(at)
            surplus += 1
            if surplus > most:
                best, most = list(run), surplus
        elif (surplus := surplus - 2) <= 0:
            run, surplus = [], 0
    return best, most


def _in_runs(at: int, runs: Sequence[_Run]) -> bool:
    return any(at in run.places for run in runs)


def _shifts_and_exchanges(
    runs: Sequence[_Run], manifest: str, ids: Sequence[str]
) -> Iterator[Pattern]:
    """Two runs of opposite shifts, each where the other's texts are, are an exchange."""
    left = list(runs)
    while left:
        run = left.pop(0)
        other = next((o for o in left if o.by == -run.by and _meets(run, o)), None)
        if other is None:
            yield _shifted(run, manifest, ids)
        else:
            left.remove(other)
            earlier, later = sorted((run, other), key=lambda r: r.places[0])
            yield _exchanged(earlier, later, manifest, ids)


def _meets(run: _Run, other: _Run) -> bool:
    """Whether most texts of a run stand within the other."""
    first, last = other.places[0], other.places[-1]
    inside = sum(first <= at + run.by <= last for at in run.places)
    return 2 * inside > len(run.places)


def _shifted(run: _Run, manifest: str, ids: Sequence[str]) -> Pattern:
    first, last = ids[run.places[0]], ids[run.places[-1]]
    rows = f"{abs(run.by)} {'row' if abs(run.by) == 1 else 'rows'}"
    where = f"{rows} {'later' if run.by > 0 else 'earlier'}"
    return Pattern(
        kind="shifted",
        manifest=manifest,
        first=first,
        last=last,
        by=run.by,
        rows=len(run.places),
        sentence=f"{manifest}: the texts are shifted from {first} to {last}: what is said in a row "
        f"is written {where} ({len(run.places)} rows heard so)",
    )


def _exchanged(one: _Run, two: _Run, manifest: str, ids: Sequence[str]) -> Pattern:
    rows = len(one.places) + len(two.places)
    first, last = ids[one.places[0]], ids[one.places[-1]]
    return Pattern(
        kind="exchanged",
        manifest=manifest,
        first=first,
        last=ids[two.places[-1]],
        by=one.by,
        rows=rows,
        sentence=f"{manifest}: the texts of {first} to {last} and of {ids[two.places[0]]} to "
        f"{ids[two.places[-1]]} are exchanged ({rows} rows heard so)",
    )


def _swapped(pairs: Mapping[int, int], manifest: str, ids: Sequence[str]) -> Pattern:
    first, last = min(pairs), max(pairs)
    count = len(pairs) // 2
    what = "two rows have" if count == 1 else f"{count} pairs of rows have"
    return Pattern(
        kind="swapped",
        manifest=manifest,
        first=ids[first],
        last=ids[last],
        by=None,
        rows=len(pairs),
        sentence=f"{manifest}: {what} each other's text, the first of them {ids[first]} and "
        f"{ids[pairs[first]]}",
    )


def _permuted(rows: Sequence[int], manifest: str, ids: Sequence[str]) -> Pattern:
    first, last = ids[min(rows)], ids[max(rows)]
    return Pattern(
        kind="permuted",
        manifest=manifest,
        first=first,
        last=last,
        by=None,
        rows=len(rows),
        sentence=f"{manifest}: {len(rows)} rows from {first} to {last} have texts of others among "
        "them, in no order",
    )
