"""All who ask which rows are excluded get the same answer, whatever the policy makes an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped

from asr_gate.audit.checks import run_rules
from asr_gate.audit.gate.drop import rows_to_drop
from asr_gate.audit.records.excluded import Choice, excluded, excluded_ids
from asr_gate.audit.records.report import Skipped as SkippedRow
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.junit import junit
from asr_gate.audit.report.locations import Locations
from asr_gate.audit.report.sarif import sarif
from asr_gate.audit.review.apply import reviewed
from asr_gate.corpus.utterance import Corpus, Utterance
from asr_gate.corpus.write import clean_jsonl
from tests.audit.checks.test_rules import DEFECTS, GOOD, but, context, goods
from tests.audit.report.reports import report_of
from tests.audit.review.verdicts import verdict

HERE = Path("/checkout")
SKIPPED = "skipped-1"

SEVERITIES = st.sampled_from(["off", "info", "warning", "error"])
POLICIES = st.fixed_dictionaries(dict.fromkeys(catalogue(), SEVERITIES))
SAMPLED = st.sets(st.sampled_from(sorted(DEFECTS)))
SAID = st.dictionaries(
    st.sampled_from(sorted(DEFECTS)), st.sampled_from(["right", "wrong", "bad_audio", "unsure"])
)
"""What people say of some of the rows."""


@settings(max_examples=25, deadline=None)
@given(rules=POLICIES, sampled=SAMPLED, can_detect=st.booleans(), said=SAID)
def test_all_agree(
    rules: dict[str, Any], sampled: set[str], can_detect: bool, said: dict[str, str]
) -> None:
    bad = {code: but(GOOD, **{**changes, "id": f"bad-{code}"}) for code, changes in DEFECTS.items()}
    rows = [*goods(), *bad.values()]
    usual = context(rows, underpowered=frozenset() if can_detect else frozenset({"swapped"}))
    usual.content.update({row.id: row.id for row in rows})  # type: ignore[attr-defined]
    policy = usual.policy.model_copy(update={"rules": rules})
    usual = type(usual)(**{**vars(usual), "policy": policy})
    judged = [*goods(), *(bad[code] for code in sampled)]
    findings = list(run_rules(judged, usual))
    skipped = [SkippedRow(id=SKIPPED, origin="train.jsonl:9", reason="leaves the root")]
    report = report_of(*findings, skipped=skipped)
    if said:
        named = (verdict(f"bad-{code}", word) for code, word in said.items())
        report = reviewed(report, [_sampled(row.id) for row in rows], [list(named)], usual.policy)

    found = excluded(report)
    assert set(found) - {SKIPPED} == excluded_ids(report.findings)
    assert found[SKIPPED] == "leaves the root"
    assert rows_to_drop(report, "r").keys() == found.keys()
    # What a user chooses besides is taken as if the policy said so.
    chosen = Choice(drop=frozenset({"T008", "D001"}), keep=frozenset({"A001", "S003"}))
    weights = dict.fromkeys(chosen.drop, "error") | dict.fromkeys(chosen.keep, "warning")
    as_if = report_of(
        *(
            f.model_copy(update={"severity": weights.get(f.code, f.severity)})
            for f in report.findings
        ),
        skipped=skipped,
    )
    by_choice, by_policy = excluded(report, choice=chosen), excluded(as_if)
    # The reasons stand by weight, and more than one is there where people say so too.
    assert by_choice.keys() == by_policy.keys() if said else by_choice == by_policy

    cases = [
        case for suite in JUnitXml.fromstring(junit(report, LOCATIONS, None)) for case in suite
    ]
    by_class = {
        (case.classname, case.name): type(case.result[0]) if case.result else None for case in cases
    }
    assert {name for (group, name), kind in by_class.items() if group == "asr.utterance"} == (
        set(found) - {SKIPPED}
    )
    assert all(kind is Failure for (group, _), kind in by_class.items() if group == "asr.utterance")
    assert by_class["asr.skipped", SKIPPED] is Skipped

    (run,) = sarif(report, LOCATIONS)["runs"]
    errors = {r["properties"]["utterance"] for r in run["results"] if r["level"] == "error"}
    assert errors == set(found) - {SKIPPED}

    corpus = Corpus([utterance(row.id) for row in rows], ["train.jsonl"])
    lines = b"".join(clean_jsonl(corpus, set(found))).decode().splitlines()
    assert len(lines) == len(rows) - len(found.keys() & {row.id for row in rows})
    assert all(json.loads(line) for line in lines)


def _sampled(identity: str) -> dict[str, Any]:
    return {
        "id": identity,
        "domain": "d",
        "origin": "train.jsonl:1",
        "speaker": None,
        "split": None,
    }


LOCATIONS = Locations(["train.jsonl"], HERE)


def utterance(identity: str) -> Utterance:
    return Utterance(identity, "text", Path("a.wav"), "a.wav", "train.jsonl:1")
