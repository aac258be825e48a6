"""`asr config show`: every value and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shown = dict[str, dict[str, Any]]


@pytest.fixture
def show(asr: Callable[..., tuple[int, str, str]]) -> Callable[..., Shown]:
    def run(*arguments: str) -> Shown:
        code, out, said = asr("config", "show", "--json", *arguments)
        assert (code, said) == (0, "")
        return json.loads(out)

    return run


def test_without_a_recipe_it_is_the_block_of_audit_and_eval(
    show: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("WANDB_TAGS", "x,y")
    shown = show("wandb.watch.every=5", "wandb.notes=mine", "--wandb")
    assert shown["wandb.enabled"] == {"value": True, "from": "command line"}
    assert shown["wandb.project"] == {"value": "theirs", "from": "WANDB_PROJECT"}
    assert shown["wandb.tags"] == {"value": ["x", "y"], "from": "WANDB_TAGS"}
    assert shown["wandb.watch.every"] == {"value": 5, "from": "command line"}
    assert shown["wandb.notes"]["value"] == "mine"
    assert shown["wandb.alerts.loss_spike"] == {"value": 3.0, "from": "default"}
    assert {key.partition(".")[0] for key in shown} == {"audit", "corpus", "output", "wandb"}


def test_whether_w_and_b_is_on_and_why(
    show: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    off = {"value": "off", "from": "no login; --wandb switches it on"}
    assert show("train", "round2")["wandb"] == off
    assert show("audit")["wandb"] == {"value": "off", "from": "not asked for"}
    monkeypatch.setenv("WANDB_PHASE0_LOGGING", "true")
    assert show("audit")["wandb"] == {"value": "on", "from": "WANDB_PHASE0_LOGGING"}
    assert show("train", "round2")["wandb"] == off
    monkeypatch.setenv("WANDB_MODE", "offline")
    on = {"value": "on, offline", "from": "WANDB_MODE=offline"}
    assert show("train", "round2")["wandb"] == on
    assert show("train", "round2", "--no-wandb")["wandb"] == {"value": "off", "from": "as asked"}
    assert show("train", "round2")["wandb.run_name"]["value"] == "round2-gradual-unfreezing"


def test_what_asr_toml_says(
    show: Callable[..., Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "asr.toml").write_text(
        '[corpus]\nmanifests = ["m.jsonl"]\nlanguage = "he"\n[audit]\naligner = "mms"\n'
        '[tracking]\nproject = "ours"\ntags = ["t"]\n'
    )
    ours = {"value": "ours", "from": "asr.toml"}
    audit = show("audit")
    assert audit["audit.aligner"] == {"value": "mms", "from": "asr.toml"}
    assert audit["output.reports"] == {"value": "reports", "from": "default"}
    assert audit["wandb.project"] == ours
    assert set(show("gate")) == {
        "corpus.manifests", "corpus.language", "corpus.rules", "output.reports", "output.runs"
    }  # fmt: skip
    train = show("train", "round2")
    assert train["data.language"] == {"value": "he", "from": "asr.toml"}
    assert train["wandb.tags"] == {"value": ["t"], "from": "asr.toml"}
    assert show("round2") == train
    assert show("train", "round2", "wandb.project=x")["wandb.project"]["from"] == "command line"
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    assert show("eval")["wandb.project"]["from"] == "WANDB_PROJECT"


def test_a_recipe_by_precedence(
    show: Callable[..., Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = show("round2")
    assert plain["wandb.tags"]["from"] == "recipe round2"
    assert plain["wandb.project"]["from"] in ("recipe round2", "default")
    assert plain["model.pretrained"]["from"] == "recipe round2"
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("WANDB_ENTITY", "team")
    shown = show("round2", "wandb.project=mine", "seed=7", "--wandb-tags", "a,b")
    assert shown["wandb.project"] == {"value": "mine", "from": "command line"}
    assert shown["wandb.entity"] == {"value": "team", "from": "WANDB_ENTITY"}
    assert shown["wandb.tags"] == {"value": ["a", "b"], "from": "command line"}
    assert shown["seed"] == {"value": 7, "from": "command line"}
    assert shown.keys() == plain.keys()
    flag = show("round2", "wandb.project=mine", "--wandb-project", "flags")
    assert flag["wandb.project"] == {"value": "flags", "from": "command line"}
    monkeypatch.setenv("WANDB_DISABLED", "true")
    assert show("round2")["wandb.mode"] == {"value": "disabled", "from": "WANDB_DISABLED"}


def test_secrets_are_never_shown(
    asr: Callable[..., tuple[int, str, str]],
    show: Callable[..., Shown],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t" * 7)
    notes = f"wandb.notes=key {'s3cr3t' * 7}"
    assert show(notes)["wandb.api_key"] == {"value": "[hidden]", "from": "WANDB_API_KEY"}
    for arguments in ((notes,), ("round2", notes), ("round2", notes, "--json")):
        code, out, said = asr("config", "show", *arguments)
        assert code == 0
        assert "s3cr3t" not in out + said
        assert "[hidden]" in out


def test_the_table(asr: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = asr("config", "show", "round2-tiny", "wandb.notes=שלום")
    assert code == 0
    (line,) = (line for line in out.splitlines() if "wandb.notes" in line)
    assert line.split() == ["wandb.notes", '"שלום"', "command", "line"]
    assert "\x1b" not in asr("config", "show", 'wandb.notes="\\e[31mred"')[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "nosuch: no such recipe"),
        (["round2", "wandb.colour=red"], "wandb.colour"),
        (["wandb.colour=red"], "wandb.colour: there is no such setting"),
        (["wandb.environment={}"], "wandb.environment: there is no such setting"),
        (["wandb.origin=x"], "wandb.origin: there is no such setting"),
        (["wandb.watch.every=0"], "wandb.watch.every"),
        (["wandb.tags=5"], "wandb.tags"),
        (["wandb.notes=2026-13-01"], "wandb.notes=2026-13-01: not a value"),
        (["wandb.notes=[a"], "not a value"),
        (["wandb.mode=sometimes"], "sometimes"),
        (["wandb.project=a/b"], "'a/b'"),
        (["train"], "name the recipe"),
        (["audit", "gate"], "gate: one command"),
        (["gate", "wandb.notes=x"], "the gate is not tracked"),
        (["seed=7"], "without a recipe there is only wandb.KEY=VALUE"),
        (["--wandb-tags", "t" * 65], "65 characters"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str], said: str, asr: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, shown = asr("config", "show", *arguments)
    assert (code, out) == (2, "")
    (line,) = shown.splitlines()
    assert said in line


def test_a_bad_variable_is_one_line(
    asr: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_LOG_INTERVAL", "often")
    for arguments in ([], ["round2"]):
        code, _, said = asr("config", "show", *arguments)
        assert (code, len(said.splitlines())) == (2, 1)
        assert "WANDB_LOG_INTERVAL=often" in said
