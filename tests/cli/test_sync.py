"""`asr sync` and `asr link`: what they print, and their exit codes.

`tests/tracking/test_sync.py` has what they do, and `tests/e2e/test_chain.py` both together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from asr_gate.tracking import TrackingError, sync
from asr_gate.tracking.sync import Synced

SENT = Synced("wandb/a", "team/speech/a", "https://w.example", True, [], "")
LINKED = Synced(
    "wandb/b", "team/speech/b", "https://w.example", False, ["team/speech/report:v0"], ""
)
LEFT = Synced("wandb/c", "", "", False, [], "asr.json is damaged")

Asr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[Synced | TrackingError]:
    """What sending and linking comes to, an error among them when it is reached."""
    results: list[Synced | TrackingError] = []

    def sync_all(_: object) -> Iterator[Synced]:
        for result in results:
            if isinstance(result, TrackingError):
                raise result
            yield result

    monkeypatch.setattr(sync, "pending", lambda: [Path(f"wandb/{n}") for n in range(len(results))])
    monkeypatch.setattr(sync, "sync", sync_all)
    monkeypatch.setattr(sync, "link", lambda _: next(sync_all(None)))
    return results


def test_each_run_has_its_line(asr: Asr, results: list[Synced | TrackingError]) -> None:
    assert (asr("sync")[0], asr("sync", "--json")[1]) == (0, "[]\n")
    results += [SENT, LINKED]
    code, out, said = asr("sync")
    assert (code, said) == (0, "")
    first, *lines = out.splitlines()
    assert first == "2 runs wait to be sent: wandb/0, wandb/1"
    assert [line.partition(": ")[0] for line in lines] == ["wandb/a", *["wandb/b"] * 2]
    assert "team/speech/report:v0" in out
    code, out, said = asr("sync", "--json")
    assert (code, json.loads(out), said) == (0, [asdict(SENT), asdict(LINKED)], "")


@pytest.mark.parametrize("last", [LEFT, TrackingError("the server is lost")])
def test_what_is_left_is_one_line_and_exit_code_2(
    last: Synced | TrackingError, asr: Asr, results: list[Synced | TrackingError]
) -> None:
    """What was sent before is printed all the same."""
    results += [SENT, last]
    for option in ([], ["--json"]):
        code, out, said = asr("sync", *option)
        assert (code, "team/speech/a" in out) == (2, True)
        if not option or isinstance(last, TrackingError):
            (line,) = said.splitlines()
            assert line.startswith("asr: ")


def test_link(asr: Asr, results: list[Synced | TrackingError]) -> None:
    results.append(LINKED)
    code, out, said = asr("link", "team/speech/b")
    assert (code, "team/speech/report:v0" in out, said) == (0, True, "")
    code, out, said = asr("link", "team/speech/b", "--json")
    assert (code, json.loads(out), said) == (0, asdict(LINKED), "")
    results[0] = LEFT
    code, out, said = asr("link", "wandb/c")
    assert (code, out, said.count("\n")) == (2, "", 1)


def test_switched_off_is_one_line(
    asr: Asr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_DISABLED", "true")
    for arguments in (["sync", "nosuch"], ["link", "team/speech/abc"]):
        code, out, said = asr(*arguments)
        assert (code, out, said.count("\n")) == (2, "", 1)
