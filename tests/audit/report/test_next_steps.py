"""The commands that are named can be typed: their words mean what they should."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from asr_gate.audit.policy import load_policy
from asr_gate.audit.report.next_steps import (
    Data,
    audit_again,
    correct_command,
    next_commands,
    review_command,
)
from asr_gate.cli.main import group
from tests.audit.report.reports import finding, report_of, sound

DATA = Data(["my train.jsonl"], ["--split", "train"])


def parsed(line: str) -> dict[str, Any]:
    """What click makes of a command's arguments; it fails on an option that there is not."""
    name, *arguments = shlex.split(line)[1:]
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command is not None
    if isinstance(command, click.Group):
        command = command.commands[command.default_cmd_name]  # type: ignore[attr-defined]
    return command.make_context(name, arguments, parent=context).params


@pytest.mark.parametrize("decision", ["PROCEED", "CAUTION", "STOP", "NO_VERDICT"])
def test_each_command_is_one(decision: str) -> None:
    swapped = [finding(row, code) for row in ("u1", "u2") for code in ("A001", "A008")]
    report = report_of(*swapped, finding("u3", "A001"), decision=decision)
    commands = next_commands(report, Path("reports/a b"), DATA)
    assert len(commands) == 4
    review = review_command(Path("reports/a b"), DATA)
    assert review in dict(commands)
    for line in (*dict(commands), review, correct_command(Path("reports/a b"), DATA)):
        found = parsed(line)
        assert found.get("report", Path("reports/a b")) in (Path("reports/a b"), "reports/a b")
        data = found.get("data") or found.get("manifests")
        assert data in (None, ("my train.jsonl",))
    assert ("asr explain A008" in dict(commands)) == (decision == "STOP")
    nothing = next_commands(report_of(decision=decision), Path("reports/a b"), DATA)
    assert review not in dict(nothing), "there is nothing to listen to"


def test_the_same_audit_again_gives_latin_letters_again() -> None:
    aligner = sound().aligner.model_copy(update={"romanized": True, "language": "he"})
    again = parsed(audit_again(report_of(aligner=aligner), DATA))
    assert (again["romanize"], again["language"]) == (True, "he")


def test_where_too_few_were_sampled_more_are() -> None:
    sampling = sound().sampling.model_copy(update={"fraction": 0.1})
    report = report_of(decision="NO_VERDICT", total_samples=5, sampling=sampling)
    first, _ = next_commands(report, Path("reports/a"), DATA)[0]
    assert parsed(first)["everything"]
    assert parsed(first)["aligner"] == "m"
    small = sound().dataset.model_copy(update={"utterances": 5})
    report = report_of(decision="NO_VERDICT", total_samples=5).model_copy(update={"dataset": small})
    first, _ = next_commands(report, Path("reports/a"), DATA)[0]
    assert parsed(first)["aligner"] == "mms", "there are no more"


def test_an_audit_is_repeated_as_it_was() -> None:
    found = parsed(audit_again(report_of(), DATA))
    assert found["manifests"] == ("my train.jsonl",)
    assert (found["aligner"], found["language"], found["split"]) == ("m", "en", "train")
    assert (found["everything"], found["policy"], found["controls"]) == (True, None, None)


def test_what_was_not_the_default_is_said() -> None:
    policy = load_policy().model_dump(mode="json")
    policy["controls"]["per_kind"] = 0
    sampling = sound().sampling.model_copy(update={"fraction": 0.5, "seed": 7})
    found = parsed(audit_again(report_of(policy=policy, sampling=sampling), DATA))
    assert (found["controls"], found["fraction"], found["seed"]) == (0, 0.5, 7)
    assert (found["everything"], found["policy"]) == (False, None)
    policy["rules"]["T008"] = "error"
    aligner = sound().aligner.model_copy(update={"language": "und"})
    found = parsed(audit_again(report_of(policy=policy, aligner=aligner), DATA))
    assert (found["policy"], found["language"]) == (Path("FILE"), None)
