"""How texts went astray together: shifted, exchanged, swapped in pairs, numbered anew, or mixed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from asr_gate.audit.pairing.places import Places, pattern
from asr_gate.audit.records.pairing import Partner, Pattern

FEW = 3
"""Rows that make a pattern: so many more than contradict it in its range."""
MOST_SHIFTS = 200
"""Shifts that are tried, the commonest first: among rows that are mixed there are any number."""
NEARLY_ALL = 0.9
"""Share of rows that stay in their recording or folder, for a pattern to be named by it."""


@dataclass(frozen=True)
class Astray:
    """The patterns, and for each row the one whose text it says."""

    patterns: list[Pattern]
    text_of: dict[str, str]
    """From the id of an utterance to that of the row with its text."""
    implied: dict[str, str]
    """The same for rows that a shift goes over, and whose text fits, but not surely by itself."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows, by their place in the corpus, whose texts stand `by` rows later."""

    places: list[int]
    by: int


def find_patterns(
    partners: Mapping[str, Partner],
    right: Collection[str],
    places: Places,
    unsure: Mapping[str, Collection[str]] | None = None,
) -> Astray:
    """Name the patterns in which texts went astray.

    Args:
        partners: the rows whose text was found elsewhere.
        right: rows that were heard and have their own text.
        places: of the rows of the corpus.
        unsure: texts that fit a row better than its own, none of them surely, by the row that has
            them. One of them is taken where a shift says the same; where none fits, what is said
            may stand nowhere.
    """
    text_of = {identity: partner.rows[0] for identity, partner in partners.items()}
    wanted = {
        places.of[identity]: {places.of[row] for row in partner.rows if row in places.of}
        for identity, partner in partners.items()
    }
    wanted = {at: targets for at, targets in wanted.items() if targets}
    sure = {places.of[identity] for identity in right}
    runs = list(_runs(wanted, sure))
    for run in runs:
        text_of |= {places.id(at): places.id(at + run.by) for at in run.places}
    named = [piece for run in runs for piece in _pieces(run, places)]
    patterns = list(_shifts_and_exchanges(named, places))
    in_runs = {at for run in runs for at in run.places}
    rest = {at: targets for at, targets in wanted.items() if at not in in_runs}
    pairs = {at: to for at, tos in rest.items() for to in tos if at in rest.get(to, ())}
    text_of |= {places.id(at): places.id(to) for at, to in pairs.items()}
    patterns += _swapped(pairs, places)
    # Where the text of the other row of a pair was not found, nothing is known of that row.
    apart = {abs(to - at) for at, to in pairs.items()}
    known = rest.keys() | sure
    half = {
        at
        for at, tos in rest.items()
        if any(abs(to - at) in apart and to not in known for to in tos)
    }
    mixed = {at: tos for at, tos in rest.items() if at not in pairs.keys() | half}
    patterns += _mixed(mixed, places)
    open_rows = {
        places.of[identity]: rows
        for identity, rows in (unsure or {}).items()
        if identity not in partners and places.of[identity] not in sure
    }
    implied = {
        places.id(at): places.id(at + run.by)
        for run in named
        if _goes_over_all(run, wanted, sure)
        for at, rows in sorted(open_rows.items())
        if run.places[0] < at < run.places[-1]
        and places.within(at, run.by)
        and places.id(at + run.by) in rows
    }
    return Astray(patterns, text_of, implied)


def _goes_over_all(run: _Run, wanted: Mapping[int, object], sure: Collection[int]) -> bool:
    """Whether nearly all rows within a run of which anything is known are shifted as it says."""
    first, last = run.places[0], run.places[-1]
    known = sum(first <= at <= last for at in {*wanted, *sure})
    return len(run.places) >= NEARLY_ALL * known


def _runs(wanted: Mapping[int, Collection[int]], sure: Collection[int]) -> Iterator[_Run]:
    """The longest runs of one shift each, until none is left that is long enough."""
    left = dict(wanted)
    known = sorted({*wanted, *sure})
    while left:
        votes = Counter(to - at for at, tos in left.items() for to in tos)
        best: list[int] = []
        by, most = 0, FEW - 1
        # Of runs as long the smaller shift is the likelier accident.
        shifts = sorted(votes.items(), key=lambda one: (-one[1], abs(one[0]), one[0]))
        for shift, count in shifts[:MOST_SHIFTS]:
            if count <= most:
                break
            places, surplus = _run(shift, left, known)
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
    known: Sequence[int],
) -> tuple[list[int], int]:
    """The stretch in which a shift explains the most rows (Kadane's search).

    Rows that have another text count twice against it: of rows that are swapped in pairs every
    other one has the same shift. Rows of which nothing is known do not count. Returned are the rows
    with the shift, and how many are left of them after what counts against it.
    """
    best: list[int] = []
    length = most = surplus = 0
    run: list[int] = []
    for at in known:
        if at in left and at + shift in left[at]:
            run.append(at)
            surplus += 1
            if surplus > most:
                best, length, most = run, len(run), surplus
        elif (surplus := surplus - 2) <= 0:
            run, surplus = [], 0
    return best[:length], most


def _pieces(run: _Run, places: Places) -> Iterator[_Run]:
    """The parts of a run by the manifests that its rows and their texts are in."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at in run.places:
        found[places.manifest(at), places.manifest(at + run.by)].append(at)
    for piece in found.values():
        if len(piece) >= FEW:
            yield _Run(piece, run.by)


def _shifts_and_exchanges(runs: Sequence[_Run], places: Places) -> Iterator[Pattern]:
    """Two runs of opposite shifts, each where the other's texts are, are an exchange."""
    left = list(runs)
    while left:
        run = left.pop(0)
        other = next((o for o in left if o.by == -run.by and _meets(run, o)), None)
        if other is None:
            yield _shifted(run, places)
        else:
            left.remove(other)
            earlier, later = sorted((run, other), key=lambda r: r.places[0])
            yield _exchanged(earlier, later, places)


def _meets(run: _Run, other: _Run) -> bool:
    """Whether most texts of a run stand within the other."""
    first, last = other.places[0], other.places[-1]
    inside = sum(first <= at + run.by <= last for at in run.places)
    return 2 * inside > len(run.places)


def _shifted(run: _Run, places: Places) -> Pattern:
    first, last = run.places[0], run.places[-1]
    manifest, other = places.manifest(first), places.manifest(first + run.by)
    if manifest == other:
        rows = f"{abs(run.by)} {'row' if abs(run.by) == 1 else 'rows'}"
        what = (
            f"the texts are shifted from {places.id(first)} to {places.id(last)}: what is said in "
            f"a row is written {rows} {'later' if run.by > 0 else 'earlier'}"
        )
    else:
        what = (
            f"what is said from {places.id(first)} to {places.id(last)} is written in {other}, "
            f"from {places.id(first + run.by)} to {places.id(last + run.by)}"
        )
    return pattern("shifted", run.places, f"{what} ({_heard(len(run.places))})", places, run.by)


def _exchanged(one: _Run, two: _Run, places: Places) -> Pattern:
    both = [*one.places, *two.places]
    spans = [f"{places.id(run.places[0])} to {places.id(run.places[-1])}" for run in (one, two)]
    files = [places.manifest(run.places[0]) for run in (one, two)]
    folders = [places.only(run.places) for run in (one, two)]
    if files[0] != files[1]:
        what = f"the texts of {spans[0]}, and of {spans[1]} in {files[1]},"
    elif None not in folders and folders[0] != folders[1]:
        what = f"the texts of the folders {folders[0]} and {folders[1]} ({' and '.join(spans)})"
    else:
        what = f"the texts of {spans[0]} and of {spans[1]}"
    return pattern("exchanged", both, f"{what} are exchanged ({_heard(len(both))})", places, one.by)


def _swapped(pairs: Mapping[int, int], places: Places) -> Iterator[Pattern]:
    for firsts in _by_manifest((at for at, to in pairs.items() if at < to), places):
        what = "two rows have" if len(firsts) == 1 else f"{len(firsts)} pairs of rows have"
        sentence = (
            f"{what} each other's text, the first of them {places.id(firsts[0])} and "
            f"{places.id(pairs[firsts[0]])}"
        )
        both = sorted({*firsts, *(pairs[at] for at in firsts)})
        yield pattern("swapped", both, sentence, places)


def _mixed(mixed: Mapping[int, Collection[int]], places: Places) -> Iterator[Pattern]:
    """Texts in no order: within recordings, within folders, or anywhere in a manifest."""
    for members in _by_manifest(mixed, places):
        if len(members) < FEW:
            continue
        recordings, folders = (
            Counter(name for at in members if (name := _stays(at, mixed[at], of)) is not None)
            for of in (places.recording, places.folder)
        )
        if recordings.total() >= NEARLY_ALL * len(members):
            for name, count in sorted(recordings.items()):
                inside = [at for at in members if places.recording(at) == name]
                if count >= FEW:
                    sentence = (
                        f"the segments of {name} are numbered anew: {count} of them, from "
                        f"{places.id(inside[0])} to {places.id(inside[-1])}, have texts of others "
                        "of this recording"
                    )
                    yield pattern("renumbered", inside, sentence, places)
            continue
        where = ""
        if folders.total() >= NEARLY_ALL * len(members) and (name := places.only(members)):
            where = f" of the folder {name}"
        sentence = (
            f"{len(members)} rows{where} from {places.id(members[0])} to {places.id(members[-1])} "
            "have texts of others among them, in no order"
        )
        yield pattern("permuted", members, sentence, places)


def _stays(at: int, targets: Collection[int], of: Callable[[int], str | None]) -> str | None:
    """What a row and the row with its text have in common."""
    own = of(at)
    return own if any(of(to) == own for to in targets) else None


def _by_manifest(members: Iterable[int], places: Places) -> Iterator[list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for at in sorted(members):
        found[places.manifest(at)].append(at)
    yield from found.values()


def _heard(rows: int) -> str:
    return f"{rows} rows heard so"
