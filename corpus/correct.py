"""What is done to a corpus by the corrections of people, and what is not, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_gate.corpus.corrections import Correction, Entry, Outcome, read_ledger
from asr_gate.corpus.edit import Edits, Logs, Placed, Row, rows_with, write_edited
from asr_gate.corpus.formats.format import Source, Trim
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import locate
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.utterance import Corpus, Seconds, SkippedRow, Utterance

CORRECTED = "corrected"
"""In the names of manifests that `asr correct` writes."""
SAME_EDGE: Seconds = 0.25
"""Two people's spans may differ by so much and still be the same; a span may end so much after its
utterance."""
SHORTEST: Seconds = 0.01
"""What may be left of an utterance."""
DIGITS = 6
"""Of written times, after the point."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What corrections come to in one corpus."""

    edits: Edits
    entries: tuple[Entry, ...]
    """Every correction, and what came of it."""

    def count(self, *outcomes: Outcome) -> int:
        """How many corrections ended so."""
        return sum(entry.outcome in outcomes for entry in self.entries)


def plan(
    corpus: Corpus,
    corrections: Sequence[Correction],
    *,
    split: str | None = None,
    labels: Sequence[LabelRule] = (),
) -> Plan:
    """Hold corrections against a corpus.

    Of one person's corrections of a row the last counts; a new text and a trim go together. If
    several people want different things done to a row, nothing is.

    Args:
        corpus: as it was read.
        corrections: in their order.
        split: as given to `read_corpus`.
        labels: as given to `read_corpus`.
    """
    by_id: dict[str, list[Correction]] = {}
    for one in corrections:
        by_id.setdefault(one.id, []).append(one)
    rows = rows_with(corpus, by_id.keys())
    abouts = _abouts(corpus, split, labels)
    decoder = Decoder()
    dropped: set[str] = set()
    texts: dict[str, str] = {}
    trims: dict[str, Trim] = {}
    entries: list[Entry] = []
    try:
        for id, given in by_id.items():
            row = rows.get(id)
            if row is None:
                entries += [_entry(one, "unknown", "no row has this id") for one in given]
                continue
            last, conflict = _agreed(given)
            if conflict:
                last = [_named(one, row) for one in last]
                entries += [_entry(one, "conflict", conflict) for one in last]
                continue
            for one in last:
                outcome, reason = _check(one, row, abouts, decoder)
                entries.append(_entry(_named(one, row), outcome, reason))
                if outcome != "applied":
                    continue
                if one.action == "drop":
                    dropped.add(id)
                elif one.text is not None:
                    texts[id] = one.text
                elif isinstance(row, Utterance):
                    trims[id] = _trim(one, row, decoder)
    finally:
        decoder.stop()
    return Plan(Edits(dropped, texts, trims), tuple(entries))


def write_corrected(
    corpus: Corpus,
    plan: Plan,
    *,
    out: Path | None = None,
    audio_root: Path | None = None,
    split: str | None = None,
    labels: Sequence[LabelRule] = (),
) -> list[Placed]:
    """Write the corrected corpus, each manifest with its ledger, as `write_edited` does.

    A ledger begins with that of the manifest that was corrected, so that it tells all that was
    done since the first.

    Raises:
        UserError, OSError: as `write_edited`.
    """
    told_of = {entry.id for entry in plan.entries}
    known = rows_with(corpus, told_of)
    nobodys = [entry for entry in plan.entries if entry.id not in known]
    abouts = _abouts(corpus, split, labels)
    told: list[Path] = []

    def logs(source: Source, target: Path, rows: Sequence[Row]) -> Logs:
        ids = {row.id for row in rows}
        earlier = next(one.ledger for one in abouts if one.source == source)
        here = [entry for entry in plan.entries if entry.id in ids]
        # What is about no row is told once.
        told.append(target)
        here += nobodys if len(told) == 1 else []
        return {ledger_of(target): [one.model_dump() for one in (*earlier, *here)]}

    return write_edited(
        corpus,
        plan.edits,
        logs,
        about=told_of,
        mark=CORRECTED,
        out=out,
        audio_root=audio_root,
        split=split,
        labels=labels,
    )


def ledger_of(target: Path) -> Path:
    """Where it is listed what was done to a corrected manifest."""
    return target.with_name(f"{target.name}.corrections.jsonl")


@dataclass(frozen=True, slots=True)
class _About:
    """What has to be known of a source."""

    source: Source
    no_text: str | None
    """Why no text can be corrected."""
    no_trim: str | None
    ledger: list[Entry]
    """Of the source, if `asr correct` wrote it."""
    trimmed: set[object]
    """What was trimmed in it before: the same trim again would be another one."""


def _abouts(corpus: Corpus, split: str | None, labels: Sequence[LabelRule]) -> list[_About]:
    abouts = []
    for name in corpus.manifests:
        for source in locate(name, split, labels):
            path = source.path.absolute()
            ledger = read_ledger(
                ledger_of(path.parent if source.folder and path.is_file() else path)
            )
            form = source.format
            trimmed = {_key(one) for one in ledger if one.outcome == "applied"}
            abouts.append(
                _About(source, form.untextable(source), form.untrimmable(source), ledger, trimmed)
            )
    return abouts


def _about(row: Row, abouts: Sequence[_About]) -> _About:
    return next(one for one in abouts if one.source.format.holds(one.source, row.origin))


def _key(one: Correction) -> object:
    return one.id, one.action, one.start, one.end, one.who, one.at


def _named(one: Correction, row: Row) -> Correction:
    """A correction with the place of its row, if it does not say one."""
    return one if one.origin else one.model_copy(update={"origin": row.origin})


def _entry(correction: Correction, outcome: Outcome, reason: str = "") -> Entry:
    return Entry(**correction.model_dump(), outcome=outcome, reason=reason)


def _agreed(given: Iterable[Correction]) -> tuple[list[Correction], str | None]:
    """The last word of everybody about one row, once; or all of it, and how it contradicts."""
    people: dict[str, list[Correction]] = {}
    for one in given:
        said = people.get(one.who, [])
        # Without a name it may be two people.
        over = [other for other in said if not _together(other, one)]
        if not one.who and any(not _same(other, one) for other in over):
            return list(given), "corrections without a name contradict each other"
        people[one.who] = [other for other in said if other not in over] + [one]
    first, *others = people.values()
    for said in others:
        if len(first) != len(said) or not all(any(_same(a, b) for b in said) for a in first):
            names = " and ".join(repr(name) for name in people)
            return [one for said in people.values() for one in said], f"{names} disagree"
    return first, None


def _together(one: Correction, other: Correction) -> bool:
    """Whether both can be done to a row."""
    return {one.action, other.action} == {"text", "trim"}


def _same(one: Correction, other: Correction) -> bool:
    if (one.action, one.text) != (other.action, other.text):
        return False
    if one.action != "trim":
        return True
    return all(abs(a - b) <= SAME_EDGE for a, b in zip(one.span(), other.span(), strict=True))


def _trim(one: Correction, row: Utterance, decoder: Decoder) -> Trim:
    start, end = one.span()
    end = min(end, decoder.stored_duration(row) or end)
    return Trim(round(row.offset + start, DIGITS), round(end - start, DIGITS))


def _check(
    one: Correction, row: Row, abouts: Sequence[_About], decoder: Decoder
) -> tuple[Outcome, str]:
    """What comes of a correction, and why."""
    if isinstance(row, SkippedRow):
        if one.action == "drop":
            return "applied", ""
        return "refused", f"the row cannot be read: {row.reason}"
    about = _about(row, abouts)
    if one.action == "text" and one.text == row.text:
        return "nothing to do", "the text is already so"
    if one.action == "trim" and _key(one) in about.trimmed:
        return "nothing to do", "was trimmed before"
    if one.old_text is not None and one.old_text != row.text:
        return "conflict", "the text is not the one that was reviewed"
    if one.action == "text" and about.no_text:
        return "refused", about.no_text
    if one.action == "trim":
        return _check_trim(one, row, about.no_trim, decoder)
    return ("nothing to do", "") if one.action == "keep" else ("applied", "")


def _check_trim(
    one: Correction, row: Utterance, no_trim: str | None, decoder: Decoder
) -> tuple[Outcome, str]:
    if no_trim:
        return "refused", no_trim
    start, end = one.span()
    length = decoder.stored_duration(row)
    if length is None:
        return "refused", "the length of its audio cannot be read"
    if end > length + SAME_EDGE or start >= length:
        return "refused", f"the span ends after its audio, which has {length:.2f} s"
    if min(end, length) - start < SHORTEST:
        return "refused", f"less than {SHORTEST:g} s would be left"
    return "applied", ""
