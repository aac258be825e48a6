"""SARIF that the standard's own schema takes, and that GitHub shows.

`sarif-schema-2.1.0.json` is OASIS Open's, unchanged (errata 01; OASIS allows copies).
"""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.audit.records.report import Report, Skipped
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.locations import Locations
from asr_gate.audit.report.sarif import MOST_RESULTS, sarif, sarif_of_refusal
from tests.audit.report.reports import finding, report_of

HERE = Path("/checkout")
"""No such folder: nothing is looked up in it."""
LINK = re.compile(r"\[(?:[^\\\[\]]|\\[\\\[\]])*\]\([^)]*\)")
"""An embedded link in plain text, as 3.11.6 spells it."""


@cache
def validator() -> Any:
    schema = json.loads(Path(__file__).with_name("sarif-schema-2.1.0.json").read_text())
    return jsonschema.Draft4Validator(schema)


def run_of(report: Report, here: Path = HERE, manifests: list[str] | None = None) -> Any:
    """The run of a report, once its log is known to be valid."""
    log = sarif(report, Locations(manifests or report.dataset.manifests, here))
    validator().validate(log)
    assert len(log["runs"]) == 1
    return log["runs"][0]


def place_of(result: Any) -> tuple[str, int | None]:
    physical = result["locations"][0]["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical.get("region", {}).get("startLine")


def test_each_finding_is_a_result_with_its_rule_and_line() -> None:
    run = run_of(
        report_of(
            finding("u1", "A001", origin="train.jsonl:7"),
            finding("u2", "A005", severity="warning", start=1.0, end=2.5),
            finding("u3", "T005", severity="info"),
        )
    )
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [
        "verdict",
        *(rule.code for rule in catalogue().values()),
    ]
    first, second, third = run["results"]
    assert [r["level"] for r in run["results"]] == ["error", "warning", "note"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert "kind" not in result
        assert "suppressions" not in result
    assert place_of(first) == ("corpus/train.jsonl", 7)
    assert first["message"]["text"] == "u1: 40% of the text is said"
    assert second["message"]["text"] == "u2: 40% of the text is said (1.00 to 2.50 s)"
    assert third["properties"] == {"utterance": "u3", "start": None, "end": None, "counts": True}
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]
    assert run["tool"]["driver"]["name"] == "asr"


def test_rules_say_what_to_do_and_how_much_they_weigh() -> None:
    levels = {"error": "error", "warning": "warning", "info": "note"}
    shown = {rule["id"]: rule for rule in run_of(report_of())["tool"]["driver"]["rules"]}
    for rule in catalogue().values():
        told = shown[rule.code]
        assert told["defaultConfiguration"] == {"level": levels[rule.severity]}
        assert told["help"] == {"text": rule.fix}
        assert told["fullDescription"]["text"] == f"{rule.summary} {rule.fix}"
        assert told["name"] == rule.name


def test_a_rule_that_this_version_does_not_know_is_named_all_the_same() -> None:
    run = run_of(report_of(finding("u1", "Z999", severity="warning")))
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "Z999"
    assert result["level"] == "warning"


def test_a_finding_that_does_not_count_is_a_suppressed_note() -> None:
    (result,) = run_of(report_of(finding(counts=False)))["results"]
    assert result["level"] == "note"
    assert "kind" not in result, "any kind but fail allows no level"
    (suppression,) = result["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")


@pytest.mark.parametrize(
    ("decision", "level"),
    [("STOP", "error"), ("CAUTION", "warning"), ("NO_VERDICT", "warning"), ("PROCEED", None)],
)
def test_the_verdict_is_a_result_of_the_manifests(decision: str, level: str | None) -> None:
    manifests = ["corpus/a.jsonl", "corpus/b.csv"]
    report = report_of(decision=decision, reasons=["too bad"], manifests=manifests)
    run = run_of(report)
    assert run["properties"]["decision"] == decision
    assert run["properties"]["digest"] == report.digest
    if level is None:
        assert run["results"] == []
        return
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("verdict", level)
    assert result["message"]["text"] == f"{decision}: too bad"
    files = [place["physicalLocation"]["artifactLocation"]["uri"] for place in result["locations"]]
    assert files == manifests


def test_a_refusal_is_one_result_at_the_report() -> None:
    places = Locations([], HERE)
    log = sarif_of_refusal("reports/a: altered", places.file(Path("reports/a")))
    validator().validate(log)
    (run,) = log["runs"]
    (result,) = run["results"]
    assert result["level"] == "error"
    assert place_of(result) == ("reports/a", None)
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert run["invocations"][0]["executionSuccessful"] is False


@pytest.mark.parametrize(
    ("manifests", "origin", "expected"),
    [
        (["corpus/train.jsonl"], "train.jsonl:12", ("corpus/train.jsonl", 12)),
        (["train.tsv"], "train.tsv:2", ("train.tsv", 2)),
        (["a/x.csv", "b/x.csv"], "b/x.csv:3", ("b/x.csv", 3)),
        (["../shared/a.jsonl"], "a.jsonl:3", ("file:///shared/a.jsonl", 3)),
        (["/data/a b.jsonl"], "a b.jsonl:3", ("file:///data/a%20b.jsonl", 3)),
        (["/checkout/a.jsonl"], "a.jsonl:3", ("a.jsonl", 3)),
        (["c/קול #1?%.jsonl"], "קול #1?%.jsonl:3", ("c/%D7%A7%D7%95%D7%9C%20%231%3F%25.jsonl", 3)),
        (["a:b.jsonl"], "a:b.jsonl:3", ("a%3Ab.jsonl", 3)),
        (["data.parquet"], "data.parquet:3", ("data.parquet", None)),
        (["cuts.jsonl.gz"], "cuts.jsonl.gz:3", ("cuts.jsonl.gz", None)),
        (["saved"], "saved:3", ("saved", None)),
        (["kaldi/train"], "train/text:3", ("kaldi/train/text", 3)),
        (["clips"], "clips/metadata.csv:3", ("clips/metadata.csv", 3)),
        (["hf:owner/name"], "name:3", ("hf%3Aowner/name", None)),
        (["hf:owner/name", "b.jsonl"], "hf:owner/name:3", ("hf%3Aowner/name", None)),
        (["s3://corpora/a b.jsonl"], "a b.jsonl:3", ("s3://corpora/a%20b.jsonl", 3)),
        (["s3://c/x/a.jsonl", "s3://c/y/b.csv"], "y/b.csv:3", ("s3://c/y/b.csv", 3)),
        (["a.jsonl"], "a.jsonl", ("a.jsonl", None)),
        (["a.jsonl"], "a.jsonl:0", ("a.jsonl", None)),
        (["a.jsonl"], "a.jsonl:99999999999999999999", ("a.jsonl", None)),
        (["a.jsonl"], "a.jsonl:²", ("a.jsonl%3A%C2%B2", None)),
        ([], "a.jsonl:3", ("a.jsonl", 3)),
        (["."], "checkout/metadata.csv:3", ("metadata.csv", 3)),
    ],
)
def test_rows_are_placed_in_the_checkout(
    manifests: list[str], origin: str, expected: tuple[str, int | None]
) -> None:
    run = run_of(report_of(finding(origin=origin), manifests=manifests))
    (result,) = run["results"]
    uri, line = place_of(result)
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert ("uriBaseId" in artifact) == (not urlsplit(uri).scheme)
    assert re.fullmatch(r"[A-Za-z0-9\-._~:/%]+", uri), "RFC 3986"
    assert (uri, line) == expected


def test_places_are_told_from_the_root_of_the_checkout(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    below = tmp_path / "model" / "hebrew"
    below.mkdir(parents=True)
    report = report_of(finding(), manifests=["train.jsonl"])
    assert place_of(run_of(report, below)["results"][0])[0] == "model/hebrew/train.jsonl"
    moved = run_of(report, below, manifests=["../data/train.jsonl"])
    assert place_of(moved["results"][0])[0] == "model/data/train.jsonl", "as --data names it"


def test_fingerprints_stay_when_rows_move_and_differ_by_finding(tmp_path: Path) -> None:
    def prints(*found: Any, here: Path = HERE) -> list[dict[str, str]]:
        run = run_of(report_of(*found, manifests=["train.jsonl"]), here)
        return [result["partialFingerprints"] for result in run["results"]]

    one = prints(finding(origin="train.jsonl:1"))
    assert one == prints(finding(origin="train.jsonl:900", message="41% of the text is said"))
    twice = [
        finding("u1", "A005", start=1.0, end=2.0),
        finding("u1", "A005", start=3.0, end=4.0),
        finding("u1", "A006"),
        finding("u2", "A006"),
    ]
    assert len({tuple(p.values()) for p in prints(*twice)}) == 4
    # Where GitHub finds the line in the checkout, it makes its own.
    assert "primaryLocationLineHash" in one[0]
    (tmp_path / "train.jsonl").write_text("{}\n")
    (there,) = prints(finding(), here=tmp_path)
    assert "primaryLocationLineHash" not in there
    assert set(there.items()) < set(one[0].items())


def shown(text: str) -> str:
    """What a reader of the standard shows of a message without arguments (3.11.5)."""
    assert not re.search(r"(?<!\{)(?:\{\{)*\{(?!\{)", text), "a placeholder"
    return text.replace("{{", "{").replace("}}", "}")


@given(st.text(alphabet=st.sampled_from("ab [](){}\\\\0:/<>&\"'%\u202e\n"), max_size=40))
@settings(max_examples=400, deadline=None)
def test_no_message_holds_a_link_or_a_placeholder(text: str) -> None:
    log = sarif_of_refusal(text, Locations([], HERE).file(Path("a")))
    validator().validate(log)
    message = log["runs"][0]["results"][0]["message"]["text"]
    assert not LINK.search(message)
    assert "\n" not in message
    shown(message)


def test_messages_show_what_was_written() -> None:
    for text in ("a {0} b", "{{x}}", "[a] (b)", "[a]", "100 %", "<b>x</b>", r"c:\dir"):
        log = sarif_of_refusal(text, Locations([], HERE).file(Path("a")))
        assert shown(log["runs"][0]["results"][0]["message"]["text"]) == text
    log = sarif_of_refusal(
        r"see [docs](https://x) and [a\](b)", Locations([], HERE).file(Path("a"))
    )
    message = log["runs"][0]["results"][0]["message"]["text"]
    assert message == r"see [docs\](https://x) and [a\\\](b)"


def test_what_goes_beyond_githubs_limit_is_counted_and_weighs_least() -> None:
    found = [
        finding(f"w{n}", "A005", severity="warning", origin=f"train.jsonl:{n + 1}")
        for n in range(MOST_RESULTS + 500)
    ]
    found += [finding(f"e{n}", "A001", origin=f"train.jsonl:{n + 1}") for n in range(10)]
    (run,) = sarif(report_of(*found, decision="STOP"), Locations(["train.jsonl"], HERE))["runs"]
    assert len(run["results"]) == MOST_RESULTS
    assert [r["level"] for r in run["results"]][:12] == ["error"] * 11 + ["warning"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].endswith(": 511; the report has all.")
    assert run_of(report_of(*found[:50]))["invocations"][0]["toolExecutionNotifications"] == []


def test_rows_that_could_not_be_audited_are_told() -> None:
    row = Skipped(id="u9", origin="train.jsonl:9", reason="leaves {the} root")
    run = run_of(report_of(skipped=[row]))
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("Rows that could not be audited: 1;")
    assert notification["message"]["text"].endswith("train.jsonl:9: leaves {{the}} root")


def test_the_file_stays_under_githubs_size() -> None:
    loud = "".join(chr(0x1F300 + n % 700) for n in range(2000))
    found = [finding(f"u{n}", message=loud[n % 50 :]) for n in range(MOST_RESULTS)]
    log = sarif(report_of(*found), Locations(["train.jsonl"], HERE))
    content = json.dumps(log, ensure_ascii=False).encode()
    assert len(gzip.compress(content)) < 10_000_000
    assert len(content) < 10_000_000
    (run,) = log["runs"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    (left,) = map(int, re.findall(r"\d+", notification["message"]["text"]))
    assert len(run["results"]) + left == len(found)
