"""Admission: may training start on this report and this data?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from asr_gate.audit.gate.read import (
    NoVerdict,
    age,
    check_tables,
    dated_ahead,
    read_report,
    same_manifests,
)
from asr_gate.audit.policy import GatePolicy, Policy, load_policy
from asr_gate.audit.records.report import ROWS_FILE, Report
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import MEGABYTE, open_regular
from asr_gate.corpus.fingerprint import (
    Fingerprint,
    RowDigest,
    differences,
    fingerprint,
    from_lines,
    in_order,
)
from asr_gate.corpus.rows import origins_of
from asr_gate.corpus.utterance import Corpus

LONGEST_ROW = MEGABYTE
"""Bytes of a line of digests."""

NAMED = 3
"""Rows that are named of those that changed."""

SIGNED_DAYS = 30.0
"""Days for which a signed report is good, where the policy names no limit: the signature says who
made the report, not that it is the last one."""


class Stopped(UserError):
    """The report says STOP."""

    exit_code = 20


class CautionNotAccepted(UserError):
    """The report says CAUTION and nobody accepted it."""

    exit_code = 10


def verify(
    path: Path, name: str, *, policy: Policy | None = None, verify_key: Path | None = None
) -> Report:
    """Read a report that can be relied on: whole, of this policy, young enough, signed if asked.

    Args:
        path: `alignment_report.json`, or the folder of the audit.
        name: of the report, for messages.
        policy: under which it must have been judged; None: any, and the report's own policy says
            what is asked of it.
        verify_key: public key that must have signed it; None: no signature is looked at.

    Raises:
        NoVerdict: the report is missing, altered, of another policy, stale or not signed.
        UserError: the key cannot be read.
    """
    report = read_report(path)
    folder = path if path.is_dir() else path.parent
    check_tables(report, folder)
    if policy is not None:
        _require_policy(report, name, policy)
    asked = policy.gate if policy is not None else _own_gate(report, name)
    if asked.audio == "full" != report.dataset.fingerprint_audio:
        raise NoVerdict(
            f"{name}: bound to blocks of the audio alone, where gate.audio asks for every byte; "
            "audit again with this --policy"
        )
    _require_age(report, name, asked, signed=verify_key is not None)
    _require_review(report, name, asked)
    if verify_key is not None:
        from asr_gate.audit.gate.signature import verify

        verify(report, name, folder, verify_key)
    elif asked.require_signature:
        raise NoVerdict(
            f"{name}: must be signed (gate.require_signature); say by whom with --verify-key FILE"
        )
    return report


def _own_gate(report: Report, name: str) -> GatePolicy:
    given = report.policy.get("gate")
    if given is None:
        return load_policy().gate
    try:
        return GatePolicy.model_validate(given)
    except ValidationError as error:
        raise NoVerdict(f"{name}: its policy cannot be read; audit again") from error


def _require_policy(report: Report, name: str, policy: Policy) -> None:
    asked = policy.model_dump(mode="json", exclude={"gate"})
    given = {section: values for section, values in report.policy.items() if section != "gate"}
    for line, now, then in _unlike(asked, given):
        if then is None and now is not None:
            raise NoVerdict(f"{name}: made before there was {line}; audit again with this --policy")
        raise NoVerdict(
            f"{name}: judged under another policy: {line} was {then}, is {now}; audit again with "
            "this --policy"
        )


def _unlike(asked: dict[str, Any], given: dict[str, Any]) -> list[tuple[str, object, object]]:
    """Lines that two policies differ in, with their values."""
    found: list[tuple[str, object, object]] = []
    for section in sorted(asked.keys() | given.keys()):
        one, other = asked.get(section), given.get(section)
        if isinstance(one, dict) and isinstance(other, dict):
            found += [(f"{section}.{key}", a, b) for key, a, b in _unlike(one, other)]
        elif one != other:
            found.append((section, one, other))
    return found


def _require_age(report: Report, name: str, asked: GatePolicy, *, signed: bool) -> None:
    days = asked.max_age_days or (SIGNED_DAYS if signed else 0)
    try:
        ahead, old = dated_ahead(report.created_at), age(report.created_at)
    except ValueError as error:
        raise NoVerdict(f"{name}: does not say when it was made; audit again") from error
    if ahead:
        raise NoVerdict(
            f"{name}: made {report.created_at[:10]}, which is in the future; correct the clock, or "
            "audit again"
        )
    if days and old > timedelta(days=days):
        raise NoVerdict(
            f"{name}: too old: made {report.created_at[:10]}, more than {days:g} days ago "
            "(gate.max_age_days); audit again"
        )


def _require_review(report: Report, name: str, asked: GatePolicy) -> None:
    blind = report.review and report.review.blind
    judged = blind.flagged + blind.others - blind.unsure if blind else 0
    if judged < asked.min_reviewed:
        raise NoVerdict(
            f"{name}: people judged {judged} rows of a blind sample, and gate.min_reviewed asks "
            f"for {asked.min_reviewed}; judge more with asr review {shlex.quote(name)} --sample "
            f"{asked.min_reviewed}, then asr review {shlex.quote(name)} --apply"
        )


def authorise(report: Report, name: str, *, accept_caution: bool) -> None:
    """Let a report pass, or say why not.

    Args:
        report: a report whose digest was checked.
        name: of the report, for the message.
        accept_caution: whether CAUTION passes.

    Raises:
        NoVerdict: the audit could not tell.
        Stopped: the decision is STOP.
        CautionNotAccepted: it is CAUTION and `accept_caution` is false.
    """
    if report.decision == "NO_VERDICT":
        raise NoVerdict(f"{name}: no verdict: {report.reasons[0]}")
    if report.decision == "STOP":
        vain = "; --accept-caution does not apply" if accept_caution else ""
        raise Stopped(
            f"{name}: STOP: {'; '.join(report.reasons)}{vain}; see the rows with "
            f"asr findings {name}"
        )
    if report.decision == "CAUTION" and not accept_caution:
        raise CautionNotAccepted(
            f"{name}: CAUTION: {'; '.join(report.reasons)}; accept it with --accept-caution"
        )


def require_same_data(
    report: Report,
    name: str,
    corpus: Corpus,
    folder: Path,
    *,
    cached: bool = True,
    part: bool = False,
) -> Fingerprint:
    """Check that the report speaks of this very corpus.

    Args:
        report: whose fingerprint counts.
        name: of the report, for the message.
        corpus: as it is now.
        folder: of the audit, where the digests of its rows lie.
        cached: whether digests of unchanged audio may come from the user's cache.
        part: whether some of the audited rows are enough.

    Returns:
        The digests of the corpus.

    Raises:
        NoVerdict: it was made for other data; names rows that were added, removed or changed.
    """
    now = fingerprint(corpus, audio=report.dataset.fingerprint_audio, cached=cached)
    if now.digest == report.dataset.fingerprint:
        return now
    manifests = ", ".join(corpus.manifests)
    what = f"(fingerprint {report.dataset.fingerprint[:19]}…, found {now.digest[:19]}…)"
    then = _stored_rows(report, folder)
    if then is not None:
        found = (
            (identity, how)
            for identity, how in differences(then, in_order(now.rows))
            if not (part and how == "removed")
        )
        first = list(islice(found, NAMED))
        if part and not first:
            return now
        what = _named(first, len(first) + sum(1 for _ in found), corpus) or what
    mend = "audit this data, or name its report"
    if not same_manifests(report.dataset.manifests, corpus.manifests):
        audited = " ".join(f"--data {shlex.quote(one)}" for one in report.dataset.manifests)
        mend = f"the report is for another manifest: name that one with {audited}, or {mend}"
    raise NoVerdict(f"{name}: made for other data than {manifests} {what}; {mend}")


def rows_of(report: Report, folder: Path) -> dict[str, RowDigest | None] | None:
    """The digests of the audited rows; None: they are not there.

    Raises:
        NoVerdict: they were altered.
    """
    rows = _stored_rows(report, folder)
    return None if rows is None else dict(rows)


def _stored_rows(report: Report, folder: Path) -> Iterator[tuple[str, RowDigest | None]] | None:
    """The digests of the audited rows, in the order of their ids, one at a time."""
    if ROWS_FILE not in report.tables:
        return None
    check_tables(report, folder)
    try:
        stream = open_regular(folder / ROWS_FILE)
    except OSError:  # without them the report still refuses; it can only not say why
        return None
    return _checked(stream, folder / ROWS_FILE)


def _checked(stream: BinaryIO, path: Path) -> Iterator[tuple[str, RowDigest | None]]:
    with stream:
        try:
            yield from from_lines(iter(partial(stream.readline, LONGEST_ROW), b""))
        except (OSError, ValueError) as error:
            raise NoVerdict(f"{path}: {error}; audit again") from error


def _named(first: Sequence[tuple[str, str]], number: int, corpus: Corpus) -> str:
    """How many rows differ, and the first of them with their places; empty: none does."""
    if not first:
        return ""
    places = origins_of(corpus, [identity for identity, _ in first])
    named = [f"{places[i]} '{i}' {what}" if i in places else f"'{i}' {what}" for i, what in first]
    more = f" and {number - NAMED} more" if number > NAMED else ""
    many = "1 row differs" if number == 1 else f"{number} rows differ"
    return f"({many}: {'; '.join(named)}{more})"
