"""Admission: may training start on this report and this data?"""

from __future__ import annotations

from audit.report.read import NoVerdict
from audit.report.schema import Report
from corpus.errors import UserError
from corpus.fingerprint import fingerprint
from corpus.utterance import Corpus


class Stopped(UserError):
    """The report says STOP."""

    exit_code = 20


class CautionNotAccepted(UserError):
    """The report says CAUTION and nobody accepted it."""

    exit_code = 10


def admit(report: Report, name: str, *, accept_caution: bool) -> None:
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
        raise Stopped(f"{name}: STOP: {'; '.join(report.reasons)}")
    if report.decision == "CAUTION" and not accept_caution:
        raise CautionNotAccepted(
            f"{name}: CAUTION: {'; '.join(report.reasons)}; accept it with --accept-caution"
        )


def require_same_data(report: Report, name: str, corpus: Corpus) -> None:
    """Check that the report speaks of this very corpus.

    Raises:
        NoVerdict: it was made for other data.
    """
    found = fingerprint(corpus).digest
    if found != report.dataset.fingerprint:
        raise NoVerdict(
            f"{name}: made for other data than {', '.join(corpus.manifests)} "
            f"(fingerprint {report.dataset.fingerprint[:19]}…, found {found[:19]}…); "
            "audit this data, or name its report"
        )
