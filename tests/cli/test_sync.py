"""`asr sync` and `asr link`: what they print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import sync
from tests.tracking.isolation import FAKE_KEY, isolated_wandb
from tests.tracking.loopback import ENTITY, Loopback
from tests.tracking.test_sync import bare, make_audit, make_training


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.chdir(tmp_path)
    with isolated_wandb(tmp_path), Loopback() as server:
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server


Asr = Callable[..., tuple[int, str, str]]


def test_a_chain_is_sent_bit_by_bit(asr: Asr, server: Loopback, tmp_path: Path) -> None:
    audit, reference = make_audit(tmp_path)
    training = make_training(reference)
    code, out, said = asr("sync", training)
    assert code == 2
    assert out.startswith(f"{training}: sent to {ENTITY}/speech/")
    assert said.startswith(f"asr: {training}: wandb-offline:")
    assert "is not on the server: send the audit's run first" in said
    assert len(said.splitlines()) == 1

    code, out, said = asr("sync", "--json")
    assert (code, said) == (0, "")
    first, second = json.loads(out)
    assert (first["folder"], first["sent"]) == (str(audit), True)
    assert (second["sent"], second["linked"]) == (False, [f"{ENTITY}/speech/report:proceed"])
    assert asr("sync") == (0, "Nothing waits to be sent.\n", "")
    assert asr("sync", "--json") == (0, "[]\n", "")
    linked = f"{second['run']}: linked to {ENTITY}/speech/report:proceed\n"
    assert asr("link", second["run"]) == (0, linked, "")
    code, out, said = asr("link", training, "--json")
    assert (code, json.loads(out)["run"], said) == (0, second["run"], "")


def test_one_that_is_damaged_holds_up_nothing(asr: Asr, server: Loopback, tmp_path: Path) -> None:
    damaged = bare(tmp_path, "offline-run-20250101_000000-a")
    (damaged / "asr.json").write_text("{")
    audit, _ = make_audit(tmp_path)
    code, out, said = asr("sync")
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(f"asr: {damaged}: asr.json is damaged (")
    assert out.startswith(f"{audit}: sent to ")


def test_what_was_sent_is_told_where_the_server_is_lost(
    asr: Asr, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "TIMEOUT", 1)
    audit, reference = make_audit(tmp_path)
    make_training(reference)
    send = sync._send

    def send_and_lose(*given: Any) -> str:
        problem = send(*given)
        server.behave("closed")
        return problem

    monkeypatch.setattr(sync, "_send", send_and_lose)
    code, out, said = asr("sync", "--json")
    assert (code, said.count("\n")) == (2, 1)
    assert "gave no usable answer in 1 s" in said
    assert [(one["folder"], one["sent"]) for one in json.loads(out)] == [(str(audit), True)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sync", "nosuch"], "asr: nosuch: no run of asr (no asr.json)"),
        (["sync", "wandb/a"], "WANDB_DISABLED is set"),
        (["link", "team/speech/abc"], "WANDB_DISABLED is set"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str],
    said: str,
    asr: Asr,
    server: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare(tmp_path, "a")
    monkeypatch.setenv("WANDB_DISABLED", "true")
    code, out, shown = asr(*arguments)
    assert (code, out, shown.count("\n")) == (2, "", 1)
    assert said in shown
    assert server.operations == []
