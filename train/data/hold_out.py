"""Which rows are held out, by speaker or recording, and which of many rows evaluate.

Hashes of names decide, so the rows are the same at every evaluation and on every resume.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.plan import HeldOutKind, PlannedHoldOut

FEW_GROUPS = 10
"""With fewer speakers or recordings than this, one of them is too large a part to hold out."""

FEW_ROWS = 10
"""Rows that each domain has in an evaluation, if it has as many."""

MOST_OF_A_LIMIT = 20
"""A speaker or recording counts for at most this part of the limit (1/20), so that a bounded
evaluation is not of one long recording alone."""


@dataclass(frozen=True)
class HoldOut:
    """What is held out of the rows to train on."""

    key: Callable[[Utterance], str]
    groups: frozenset[str]
    """Keys of the speakers, recordings or rows that are held out."""
    planned: PlannedHoldOut

    def holds(self, utterance: Utterance) -> bool:
        """Whether a row must not train."""
        return self.key(utterance) in self.groups


def hold_out(rows: Sequence[Utterance], settings: recipes.Data) -> HoldOut:
    """Hold out whole groups of rows: speakers, recordings, or single rows.

    A group whose hash is below `evaluation_share` is held out, so it stays on its side when other
    rows come or go. Four things bound this: at least one group is held out, and one of each domain
    if that is a fifth of it at most; no more than twice `evaluation_share` of the rows; and no more
    groups than `evaluation_limit` needs.

    Args:
        rows: that may be held out.
        settings: `hold_out_by`, `evaluation_share` and `evaluation_limit`.

    Raises:
        UserError: the recipe asks for speakers or recordings, and the rows do not name two.
    """
    by, why = _choose_kind(rows, settings.hold_out_by)
    key = _KEYS[by]
    members: dict[str, list[Utterance]] = {}
    for row in rows:
        members.setdefault(key(row), []).append(row)
    if len(members) == 1 < len(rows):
        raise UserError(f"data.hold_out_by={by}: all rows are of one {by}; leave it at auto")
    taken = _choose_groups(members, settings.evaluation_share, settings.evaluation_limit)
    planned = PlannedHoldOut(by=by, why=why, groups=len(members), held=len(taken))
    return HoldOut(key, frozenset(taken), planned)


def bounded(rows: Sequence[Utterance], limit: int) -> frozenset[str]:
    """Ids of at most `limit` rows, chosen by the hash of their ids; each domain has its share.

    A domain's share is that of its rows, and `FEW_ROWS` at least.
    """
    by_domain: dict[str, list[Utterance]] = {}
    for row in sorted(rows, key=lambda row: _hash(row.id)):
        by_domain.setdefault(row.domain, []).append(row)
    most = shares({domain: len(some) for domain, some in by_domain.items()}, limit)
    return frozenset(row.id for name, some in by_domain.items() for row in some[: most[name]])


def halves(rows: Sequence[Utterance]) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of two halves of rows, by the hash of names; a speaker or recording is in one of them.

    Where there are few of these, rows are divided singly, as in `hold_out`.
    """
    key = _KEYS[_choose_kind(rows, "auto")[0]]
    members: dict[str, list[str]] = {}
    for row in rows:
        members.setdefault(key(row), []).append(row.id)
    parts: tuple[list[str], list[str]] = ([], [])
    for name in sorted(members, key=_hash):
        min(parts, key=len).extend(members[name])
    return frozenset(parts[0]), frozenset(parts[1])


def shares(sizes: Mapping[str, int], limit: int) -> dict[str, int]:
    """How many rows each domain may have, `limit` together: by its size, and a few at least."""
    total = sum(sizes.values())
    if total <= limit:
        return dict(sizes)
    least = {name: min(size, FEW_ROWS, limit // len(sizes)) for name, size in sizes.items()}
    left = limit - sum(least.values())
    spare = total - sum(least.values())
    exact = {name: left * (size - least[name]) for name, size in sizes.items()}
    found = {name: least[name] + one // spare for name, one in exact.items()}
    # What rounding down has left over goes to those that it took most from.
    by_rest = sorted(sizes, key=lambda name: (-(exact[name] % spare), name))
    for name in by_rest[: limit - sum(found.values())]:
        found[name] += 1
    return found


def _choose_kind(
    rows: Sequence[Utterance], asked: recipes.HoldOutBy
) -> tuple[HeldOutKind, str | None]:
    """What is held out as a whole, and why it is not what would be better; None: it is the best."""
    speakers = {row.speaker for row in rows if row.speaker is not None}
    if asked == "speaker" and not speakers:
        raise UserError("data.hold_out_by=speaker: no row names a speaker; say recording")
    if asked != "auto":
        return asked, None
    kinds: tuple[HeldOutKind, ...] = ("speaker", "recording") if speakers else ("recording",)
    reasons = []
    for kind in kinds:
        sizes = Counter(map(_KEYS[kind], rows))
        if len(sizes) < FEW_GROUPS:
            reasons.append(f"{len(sizes)} {kind}{'s' * (len(sizes) > 1)}")
        elif max(sizes.values()) > len(rows) / 2:
            reasons.append(f"one {kind} has more than half of the rows")
        else:
            return kind, ", ".join(reasons) or None
    return "row", ", ".join(reasons)


def _choose_groups(
    members: Mapping[str, Sequence[Utterance]], share: float, limit: int
) -> set[str]:
    """Keys of the groups to hold out; see `hold_out`."""
    hashes = {key: _hash(key) for key in members}
    by_hash = sorted(members, key=hashes.__getitem__)
    domains = {key: Counter(row.domain for row in some) for key, some in members.items()}
    sizes = _sum(domains.values())
    most = 2 * share * sizes.total()
    below = [key for key in by_hash if hashes[key] < share and len(members[key]) <= most]
    due = shares(_sum(domains[key] for key in below), limit)
    cap = max(1.0, limit / MOST_OF_A_LIMIT)
    found = dict.fromkeys(sizes, 0.0)
    taken: set[str] = set()
    held = 0
    for key in below:
        wanted = any(found[domain] < due[domain] for domain in domains[key])
        if wanted and held + len(members[key]) <= most:
            taken.add(key)
            held += len(members[key])
            for domain, count in domains[key].items():
                found[domain] += count * min(1.0, cap / len(members[key]))
    for domain, least in shares(sizes, limit).items():
        fitting = (
            key
            for key in by_hash
            if 0 < 5 * domains[key][domain] <= sizes[domain] and held + len(members[key]) <= most
        )
        if least and not found[domain] and (first := next(fitting, None)) is not None:
            taken.add(first)
            held += len(members[first])
            for also in domains[first]:
                found[also] += 1
    if not taken and members:
        return {min(by_hash, key=lambda key: len(members[key]))}
    return taken


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def _hash(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64


def _recording(row: Utterance) -> str:
    return f"recording:{row.audio_name}"


def _speaker(row: Utterance) -> str:
    return _recording(row) if row.speaker is None else f"speaker:{row.speaker}"


_KEYS: dict[HeldOutKind, Callable[[Utterance], str]] = {
    "speaker": _speaker,
    "recording": _recording,
    "row": lambda row: row.id,
}
