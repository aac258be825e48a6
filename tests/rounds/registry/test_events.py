"""The log of promotions: nothing that was written can be changed, lost or added unseen."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import held
from asr_gate.rounds.registry import events as module
from asr_gate.rounds.registry.events import PromotedModel, Registry, production_of


def model(name: str) -> PromotedModel:
    return PromotedModel(checkpoint=f"/runs/{name}", sha256=f"sha256:{name}")


def filled(folder: Path, names: str = "abc") -> Registry:
    registry = Registry(folder)
    with registry.writing():
        for name in names:
            registry.add("promote", model(name), None, "")
    return registry


def test_events_follow_from_each_other(tmp_path: Path) -> None:
    registry = filled(tmp_path / "registry")
    events = registry.events()
    assert [one.number for one in events] == [1, 2, 3]
    assert [one.before for one in events] == ["", events[0].digest, events[1].digest]
    assert [one.predecessor for one in events] == [None, model("a"), model("b")]
    shown = json.loads((registry.folder / "production.json").read_text())
    assert (shown["model"]["checkpoint"], shown["event"]) == ("/runs/c", events[2].digest)


def test_rollbacks_go_back_one_by_one(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    for back, left in (("b", "a"), ("a", None)):
        with registry.writing():
            registry.add("rollback", model(back), None, "")
        found = production_of(registry.events())
        assert found.model == model(back)
        assert found.predecessor == (left and model(left))
    with registry.writing():
        registry.add("promote", model("d"), None, "")
    assert production_of(registry.events()).predecessor == model("a")
    assert production_of([]) is None


def test_every_change_is_seen(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    altered = [
        whole.replace(b"/runs/b", b"/runs/x"),
        b"".join(lines[1:]),
        lines[0] + lines[2],
        lines[1] + lines[0] + lines[2],
        whole + lines[2],
        whole + b"{}\n",
        whole + b"\n",
        b"".join(lines[:2]),  # the last one is gone, and production.json names it
        lines[0],
        b"",
    ]
    for content in altered:
        path.write_bytes(content)
        with pytest.raises(NoVerdict, match="altered") as error:
            registry.events()
        assert error.value.exit_code == 30
        with pytest.raises(NoVerdict), registry.writing():
            registry.add("promote", model("z"), None, "")
        assert path.read_bytes() == content
    path.write_bytes(whole)
    assert len(registry.events()) == 3


def test_every_bit_of_the_log_counts(tmp_path: Path) -> None:
    registry = filled(tmp_path, "ab")
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    for place in range(0, len(whole) - 1, 3):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(NoVerdict):
            registry.events()


def test_a_line_that_was_left_half_written_never_counted(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    for torn in (b"{", whole.splitlines()[2], whole.splitlines()[2][:40]):
        path.write_bytes(whole + torn)
        assert len(registry.events()) == 3
        with registry.writing():
            registry.add("promote", model("d"), None, "")
        assert [one.model for one in registry.events()] == [model(name) for name in "abcd"]
        path.write_bytes(whole)
        (tmp_path / "production.json").unlink()


def test_the_view_is_made_again_from_the_log(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    view = tmp_path / "production.json"
    right = view.read_bytes()
    for content in (b"", b"{", right.replace(b"/runs/c", b"/runs/x")):
        view.write_bytes(content)
        assert registry.show().model == model("c")
        assert view.read_bytes() == right
    # A process that was killed between the log and the view leaves an older view.
    older = production_of(registry.events()[:2]).model_dump_json()
    view.write_text(older)
    assert registry.show().model == model("c")


WRITER = """
import sys
from pathlib import Path
from tests.rounds.registry.test_events import Registry, model
registry = Registry(Path(sys.argv[1]))
for number in range(10_000):
    with registry.writing():
        registry.add("promote", model(str(number)), None, "")
    print(number, flush=True)
"""


def test_what_was_said_to_be_done_outlives_kill(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(5)][-1]
    os.kill(writer.pid, signal.SIGKILL)
    told = [told, *writer.stdout.read().split()][-1]
    writer.wait()
    registry = Registry(tmp_path)
    assert len(registry.events()) >= int(told) + 1
    with registry.writing():
        registry.add("promote", model("after"), None, "")
    assert registry.show().model == model("after")


def test_promotions_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = filled(tmp_path)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with held(tmp_path), pytest.raises(UserError, match="another process"), registry.writing():
        pass
