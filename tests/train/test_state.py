"""A state is written beside the training: complete or not there, and as it was when asked for."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from asr_gate.corpus.errors import UserError
from asr_gate.train.distributed import Ranks
from asr_gate.train.loop import state
from asr_gate.train.loop.resume import (
    Position,
    collect,
    newest,
    read_position,
    restore_moments,
    restore_parameters,
)
from asr_gate.train.loop.sharding import whole
from asr_gate.train.loop.state import StateWriter


class Trained:
    """A small model after some steps."""

    def __init__(self, steps: int = 0) -> None:
        torch.manual_seed(steps)
        self.model = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), fused=True)
        for _ in range(steps):
            self.model(torch.randn(2, 3)).pow(2).sum().backward()
            self.optimizer.step()

    def tensors(self) -> dict[str, torch.Tensor]:
        return collect(self.model, dict(self.model.named_parameters()), self.optimizer)

    def copy(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.tensors().items()}

    def restore(self, folder: Path) -> None:
        restore_parameters(folder, self.model)
        restore_moments(folder, self.model, self.optimizer)


def read(out: Path) -> tuple[Position, dict[str, torch.Tensor]]:
    folder, fresh = newest(out), Trained()
    assert folder is not None
    fresh.restore(folder)
    return read_position(folder), fresh.tensors()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Nothing is complete before this is set."""
    may_end, finish = threading.Event(), state._Folder.finish

    def waiting(self: Any, *arguments: Any, **named: Any) -> None:
        may_end.wait(30)
        finish(self, *arguments, **named)

    monkeypatch.setattr(state._Folder, "finish", waiting)
    return may_end


def test_a_state_is_as_the_run_was_when_it_was_asked_for(
    tmp_path: Path, held: threading.Event
) -> None:
    trained, position = Trained(2), Position(step=2, scores={"step-2": 0.5}, recent=[1.0])
    with StateWriter(tmp_path, Ranks()) as writer:
        before = trained.copy()
        writer.save(position, trained.tensors())
        assert newest(tmp_path) is None
        position.step, position.recent[0] = 3, 2.0
        for tensor in trained.tensors().values():
            tensor.add_(1)
        held.set()
    found, tensors = read(tmp_path)
    assert found == Position(step=2, scores={"step-2": 0.5}, recent=[1.0])
    assert same(tensors, before)


def test_one_state_at_a_time_and_none_twice(tmp_path: Path, held: threading.Event) -> None:
    trained = Trained(1)
    with StateWriter(tmp_path, Ranks()) as writer:
        writer.save(Position(step=1), trained.tensors())
        threading.Timer(0.2, held.set).start()
        writer.save(Position(step=2), trained.tensors())
        assert held.is_set(), "the second waited for the first"
        writer.wait()
        (folder,) = (tmp_path / "resume").iterdir()
        assert folder.name == "step-00000002-1-0"
        written = folder.stat().st_mtime_ns
        writer.save(Position(step=2), trained.tensors())
    assert folder.stat().st_mtime_ns == written


def test_killed_while_it_writes_the_state_before_is_good(tmp_path: Path) -> None:
    def child() -> None:
        writer, trained = StateWriter(tmp_path, Ranks()), Trained(1)
        writer.save(Position(step=1), trained.tensors())
        writer.wait()
        state._Folder.finish = lambda *_, **__: time.sleep(60)  # type: ignore[method-assign]
        writer.save(Position(step=2), Trained(2).tensors())
        time.sleep(60)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    assert process.pid is not None
    until = time.monotonic() + 30
    partial = "resume/.step-00000002*.partial/*.safetensors"
    while not list(tmp_path.glob(partial)) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    position, tensors = read(tmp_path)
    assert position.step == 1
    assert same(tensors, Trained(1).tensors())
    with StateWriter(tmp_path, Ranks()) as writer:
        writer.save(Position(step=3), Trained(3).tensors())
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["step-00000003-1-0"]


def test_a_full_disk_keeps_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = StateWriter(tmp_path, Ranks())
    writer.save(Position(step=1), Trained(1).tensors())
    writer.wait()

    def full(tensors: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    writer.save(Position(step=2), Trained(2).tensors())
    while not writer.failed():
        time.sleep(0.01)
    with pytest.raises(UserError, match=r"No space left.*the last good one is .*step-00000001"):
        writer.wait()
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["step-00000001-1-0"]
    with pytest.raises(KeyError), writer:  # what ended the run is told, and not what came of it
        writer.save(Position(step=3), Trained(3).tensors())
        raise KeyError


def damage(folder: Path, how: str) -> None:
    first, *_ = sorted(folder.glob("*.safetensors"))
    if how == "half a file":
        first.write_bytes(first.read_bytes()[:-8])
    elif how == "a file is missing":
        first.unlink()
    elif how == "a file too many":
        first.with_name("more.safetensors").write_bytes(first.read_bytes())
    elif how == "another shape":
        tensors = safetensors.torch.load_file(first)
        more = {name: tensor.new_zeros(7) for name, tensor in tensors.items()}
        safetensors.torch.save_file(more, first)
    elif how == "another model":
        safetensors.torch.save_file({"parameter/elsewhere": torch.zeros(1)}, first)
    elif how == "a header that is no list":
        safetensors.torch.save_file(
            {"parameter/0.weight": torch.zeros(5, 3)}, first, metadata={"DCP_SHARDING_INFO": "[1]"}
        )
    else:
        (folder / "position.json").write_text(how)


@pytest.mark.parametrize(
    "how",
    ["half a file", "a file is missing", "a file too many", "another shape", "another model",
     "a header that is no list", "[]", "half", '{"files": 1, "position": {}}',
     '{"files": ["rank-0.safetensors"], "position": {"step": "x"}}'],
)  # fmt: skip
def test_a_damaged_state_is_one_line(how: str, tmp_path: Path) -> None:
    with StateWriter(tmp_path, Ranks()) as writer:
        writer.save(Position(step=1), Trained(1).tensors())
    folder = newest(tmp_path)
    assert folder is not None
    assert read(tmp_path)[0].step == 1
    damage(folder, how)
    with pytest.raises(UserError, match="not a state of this run") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def sharded(steps: int) -> Trained:
    """The small model on two processes, each with a shard; of some parameters one has nothing."""
    trained = Trained()
    fully_shard(trained.model, mesh=init_device_mesh("cpu", (2,)))
    trained.optimizer = torch.optim.AdamW(trained.model.parameters(), fused=True)
    for step in range(steps):
        for parameter in trained.model.parameters():
            parameter.grad = torch.full_like(parameter, step + 1.0)
        trained.optimizer.step()
    return trained


def in_two_processes(work: Callable[[Ranks], None], folder: Path) -> None:
    """Do something in two processes of one group."""

    def process(rank: int) -> None:
        torch.set_num_threads(1)
        distributed.init_process_group(
            "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2
        )
        work(Ranks(rank, 2, rank))
        distributed.destroy_process_group()

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=process, args=(rank,)) for rank in (0, 1)]
    for one in processes:
        one.start()
    for one in processes:
        one.join(60)
    assert [one.exitcode for one in processes] == [0, 0]
    (folder / "meeting").unlink(missing_ok=True)


def test_another_number_of_processes_reads_the_same(tmp_path: Path) -> None:
    """Two with shards write, one reads and writes, two read; two without write, one reads."""

    def write_shards(ranks: Ranks) -> None:
        with StateWriter(tmp_path / "two", ranks) as writer:
            writer.save(Position(step=2), sharded(2).tensors())

    def read_shards(ranks: Ranks) -> None:
        folder = newest(tmp_path / "one")
        assert folder is not None
        trained = sharded(0)
        trained.optimizer.zero_grad()
        restore_moments(folder, trained.model, trained.optimizer)
        for name, tensor in trained.tensors().items():
            if not name.startswith("parameter/"):  # those are restored before there are shards
                assert torch.equal(whole(tensor), expected[name]), name

    def write_wholes(ranks: Ranks) -> None:
        with StateWriter(tmp_path / "ddp", ranks) as writer:
            writer.save(Position(step=3), Trained(3).tensors())

    in_two_processes(write_shards, tmp_path)
    position, expected = read(tmp_path / "two")
    assert position.step == 2
    assert expected["step/0.weight"] == 2
    assert expected["exp_avg/0.weight"].shape == (5, 3)
    assert torch.allclose(expected["exp_avg/0.weight"], torch.tensor(0.29))
    with StateWriter(tmp_path / "one", Ranks()) as writer:
        writer.save(Position(step=2), expected)
    in_two_processes(read_shards, tmp_path)
    in_two_processes(write_wholes, tmp_path)
    assert same(read(tmp_path / "ddp")[1], Trained(3).tensors())
    assert len(list((tmp_path / "ddp").glob("resume/*/rank-*"))) == 2, "each wrote its share"


class Attack:
    """Unpickled, it makes a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("attacked",)


def test_a_pickled_index_in_a_state_is_never_read(tmp_path: Path) -> None:
    with StateWriter(tmp_path, Ranks()) as writer:
        writer.save(Position(step=1), Trained(1).tensors())
    folder = newest(tmp_path)
    assert folder is not None
    for name in (".metadata", "__0_0.distcp"):
        (folder / name).write_bytes(pickle.dumps(Attack()))
    assert same(read(tmp_path)[1], Trained(1).tensors())
    assert not Path("attacked").exists()
