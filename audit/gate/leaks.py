"""What stands in two of several sets of rows, by the rules that look for leaks between splits."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from asr_gate.audit.gate.read import NoVerdict
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report
from asr_gate.corpus.utterance import Corpus, Utterance

LEAKS = ("D004", "D005")
"""Rules that find the same audio or text in two splits."""


def find_leaks(report: Report, name: str, rows: Sequence[Utterance]) -> list[Finding]:
    """Rows that stand in another split too, by audio or text; rules that are off find nothing.

    Args:
        report: whose policy is in force.
        name: the report's, for the message.
        rows: with unique ids; their splits say which set each is of.

    Raises:
        NoVerdict: the report's policy cannot be read.
    """
    from asr_gate.audit.checks import find_in_corpus

    policy = policy_of(report, name)
    codes = {code for code in LEAKS if policy.rules[code] != "off"}
    corpus = Corpus(list(rows), [row.origin for row in rows[:1]])
    return list(find_in_corpus(codes, corpus, {}, policy, report.aligner.language))


def policy_of(report: Report, name: str) -> Policy:
    """The policy that a report was made by.

    Raises:
        NoVerdict: it cannot be read.
    """
    try:
        return Policy.model_validate(report.policy)
    except ValidationError as error:
        raise NoVerdict(f"{name}: its policy cannot be read; audit again") from error
