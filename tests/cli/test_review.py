"""`asr review`: what is put into the report is said, and what stands in the way is one line."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from asr_gate.audit.gate import read_report
from asr_gate.audit.review.store import ReviewFile
from asr_gate.audit.review.verdicts import REVIEW_FILE, Verdict
from tests.audit.review.audits import write_audit
from tests.audit.review.verdicts import fields, verdict
from tests.e2e.asr import ASR

Asr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_audit(tmp_path)
    return Path("reports/phase0")


def about(folder: Path, identity: str, word: str = "right", who: str = "") -> Verdict:
    return verdict(identity, word, report=read_report(folder).audit_digest, who=who)


def test_verdicts_of_the_folder_and_of_files_are_put_in(folder: Path, asr: Asr) -> None:
    (folder / REVIEW_FILE).write_bytes(about(folder, "u00", who="Dana").line())
    Path("ali.jsonl").write_bytes(
        about(folder, "u00", "wrong", "Ali").line() + about(folder, "u19", "wrong", "Ali").line()
    )
    code, out, err = asr("review", folder, "--apply", "ali.jsonl")
    assert (code, err) == (0, "")
    assert "conflict: u00: Ali: wrong; Dana: right" in out
    assert asr("findings", folder, "--code", "R001")[1].count("R001") == 1
    code, out, _ = asr("gate", folder, "--json")
    assert read_report(folder).digest in out


def test_what_was_put_in_can_be_corrected_after(folder: Path, asr: Asr) -> None:
    (folder / REVIEW_FILE).write_bytes(about(folder, "u00", "wrong", "Dana").line())
    assert asr("review", folder, "--apply")[0] == 0
    given = ("--report", folder, "--corrections", folder / REVIEW_FILE)
    code, out, err = asr("correct", "--data", "train.jsonl", *given)
    assert code == 0, err
    assert "train.corrected.jsonl" in out
    assert len(Path("train.corrected.jsonl").read_text().splitlines()) == 19


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["reports/phase0", "--apply"], 2, "no verdicts"),
        (["reports/phase0", "--apply", "nowhere.jsonl"], 2, "nowhere.jsonl"),
        (["reports/phase0", "ali.jsonl"], 2, "--apply"),
        (["reports/none"], 30, "no such report"),
        (["reports/phase0", "--data", "other.jsonl"], 2, "other.jsonl"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(
    folder: Path, asr: Asr, arguments: list[str], code: int, said: str
) -> None:
    found, _, err = asr("review", *arguments)
    assert found == code
    assert said in err and err.count("\n") == 1
    assert not (folder / REVIEW_FILE).exists(), "nothing is left behind"


def test_one_at_a_time(folder: Path, asr: Asr) -> None:
    store = ReviewFile(folder, read_report(folder).digest)
    code, _, err = asr("review", folder)
    store.close()
    assert (code, err.count("\n")) == (2, 1)
    assert "another asr review" in err


def test_a_review_is_served_until_ctrl_c_and_goes_on_the_next_time(folder: Path) -> None:
    digest = read_report(folder).digest
    for number, identity in enumerate(("u00", "u01")):
        command = [*ASR, "review", str(folder), "--reviewer", "Dana"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            line = running.stdout.readline()
            address = line.split()[-1]
            place, _, token = address.partition("?token=")
            with urlopen(address, timeout=60) as answer:
                assert (b'"u00"' in answer.read()) and ("1 verdict so far" in line) == bool(number)
            body = json.dumps(fields(identity, report=digest)).encode()
            headers = {"X-Token": token, "Content-Type": "application/json"}
            urlopen(Request(f"{place}verdicts", body, headers), timeout=60).close()
            running.send_signal(signal.SIGINT)
            rest, _ = running.communicate(timeout=60)
        assert running.returncode == 0
        assert f"1 verdict given, {number + 1} row" in rest
