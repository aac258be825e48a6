"""What a gate found, for people and for CI: Markdown, JUnit, SARIF."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_gate.audit.report import sarif_document as sarif
from asr_gate.audit.report.junit_document import (
    add_case,
    add_outcome,
    add_said,
    document,
    new_suite,
)
from asr_gate.audit.report.locations import Locations
from asr_gate.audit.report.markdown_text import escape
from asr_gate.rounds.model_gate.result import GATE_FILE, GateResult
from asr_gate.rounds.model_gate.run import Gated
from asr_gate.train.files import write_file

MOST_ROWS = 1_000
"""Wrong rows of regression sets in SARIF; `gate.json` has all."""


def write_gate(gated: Gated, folder: Path) -> list[Path]:
    """Write `gate.json`, `gate.md`, `junit.xml` and `gate.sarif` into a folder; returns them.

    Raises:
        UserError: one cannot be written.
    """
    result = gated.result
    contents = {
        "gate.md": markdown(gated).encode(),
        "junit.xml": junit(result),
        "gate.sarif": json.dumps(as_sarif(result), indent=1, ensure_ascii=False).encode(),
        # Last: whoever finds it finds the others, too.
        GATE_FILE: (result.model_dump_json(indent=1) + "\n").encode(),
    }
    for name, content in contents.items():
        write_file(folder / name, content)
    return [folder / name for name in contents]


def markdown(gated: Gated) -> str:
    """The checks as a table, the wrong rows of regression sets that failed, the comparison."""
    return "\n".join(_lines(gated)) + "\n"


def _lines(gated: Gated) -> Iterator[str]:
    result = gated.result
    yield f"# Model gate: {result.outcome}"
    yield ""
    for side, model in (("candidate", result.candidate), ("baseline", result.baseline)):
        yield f"{side}: {escape(model.checkpoint)} ({(model.sha256 or 'no digest')[:19]})  "
    yield f"suite: {escape(result.suite)} ({result.suite_digest[:19]})"
    yield ""
    yield "| check | | outcome | |"
    yield "|---|---|---|---|"
    for check in result.checks:
        yield f"| {check.group} | {escape(check.name)} | {check.outcome} | {escape(check.says)} |"
    yield ""
    for one in result.regression:
        if one.wer <= one.limit:
            continue
        yield f"## Regression set {escape(one.name)}"
        yield ""
        yield "| row | reference | hypothesis |"
        yield "|---|---|---|"
        for row in one.wrong[:MOST_ROWS]:
            yield f"| {escape(row.origin)} | {escape(row.reference)} | {escape(row.hypothesis)} |"
        yield ""
    yield "## Comparison"
    yield ""
    yield gated.comparison.markdown()


def junit(result: GateResult) -> bytes:
    """One suite with a testcase a check; one that could not tell fails, one that is skipped not."""
    suite = new_suite("asr-model-gate")
    for check in result.checks:
        case = add_case(suite, f"model.{check.group}", check.name)
        if check.outcome == "skipped":
            add_outcome(case, "skipped", check.says)
        elif check.outcome != "pass":
            add_outcome(case, "failure", check.says, check.outcome)
        add_said(case, [check.says])
    return document(suite)


def as_sarif(result: GateResult) -> dict[str, Any]:
    """One run: checks that failed, at the suite, and wrong rows of regression sets, at their lines.

    Rows of a set that stays within its limit are notes.
    """
    here = Path.cwd()
    manifests = [name for one in result.regression for name in one.data.manifests]
    places = Locations(manifests or [result.suite], here)
    failed = result.failed
    groups = sorted({check.group for check in failed} | ({"regression"} if manifests else set()))
    rules = [
        sarif.rule_of(group, group, "error", f"The gate's checks of the group {group}.", "")
        for group in groups
    ]
    suite = sarif.location_of(places.file(Path(result.suite)))
    results: list[dict[str, Any]] = [
        {
            "ruleId": check.group,
            "ruleIndex": groups.index(check.group),
            "level": "error",
            "message": sarif.message_of(f"{check.name}: {check.says}"),
            "locations": [suite],
            "partialFingerprints": {"asrCheck/v1": sarif.identity_of(check.group, check.name)},
        }
        for check in failed
    ]
    for one in result.regression:
        level = "error" if one.wer > one.limit else "note"
        for row in one.wrong[: max(0, MOST_ROWS - len(results))]:
            place = places.row(str(Path(row.origin).absolute()))
            results.append(
                {
                    "ruleId": "regression",
                    "ruleIndex": groups.index("regression"),
                    "level": level,
                    "message": sarif.message_of(
                        f"{one.name}: {row.hypothesis!r} in place of {row.reference!r}"
                    ),
                    "locations": [sarif.location_of(place)],
                    "partialFingerprints": {
                        "asrRow/v1": sarif.identity_of("regression", one.name, row.id)
                    },
                }
            )
    run = sarif.run_of(rules, results, [], successful=True)
    run["properties"] = {
        "outcome": result.outcome,
        "candidate": result.candidate.sha256,
        "baseline": result.baseline.sha256,
        "suiteDigest": result.suite_digest,
        "dataFingerprint": result.data.fingerprint,
    }
    return sarif.document(run)
