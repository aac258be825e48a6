"""Processes that `asr train` starts: how many, with which signals, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.train import devices, launch, recipes
from asr_gate.train.data.examples import Examples
from asr_gate.train.data.rows import select
from asr_gate.train.distributed import Ranks, ranks
from asr_gate.train.evaluation.evaluate import EvaluationStopped, evaluate
from asr_gate.train.families.qwen3_asr.encoder import PromptedExample, PromptEncoder
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.loop.batch_plan import BatchOrder, build_loader
from asr_gate.train.signals import asked_to_stop
from bench import signals
from tests.speech import ROOT

CHILD = """
import os, signal, sys, time
from pathlib import Path
from asr_gate.train.launch import first_to_end, join
rank = int(os.environ["RANK"])
join()
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], int]:
    """Start two processes that do what a text says, and wait for them."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(launch, "ENDING", 2.0)

    def start(text: str) -> int:
        script = tmp_path / "child.py"
        script.write_text(CHILD + text)
        monkeypatch.setattr(launch, "COMMAND", (sys.executable, str(script)))
        return launch.start(2, ["one", "two"])

    return start


def send_once_there(path: Path, number: signal.Signals) -> None:
    """Send this process a signal as soon as there is a file."""

    def send() -> None:
        until = time.monotonic() + 60
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def test_each_process_has_its_place_and_the_same_arguments(
    started: Callable[[str], int], tmp_path: Path
) -> None:
    write = "Path(f'{rank}.txt').write_text(' '.join([*sys.argv[1:], *map(os.environ.get, ("
    write += "'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR'))]))"
    assert started(write) == 0
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == [
        "one two 2 0 2 127.0.0.1", "one two 2 1 2 127.0.0.1"
    ]  # fmt: skip


def test_the_first_that_fails_says_why_and_decides_the_exit_code(
    started: Callable[[str], int], capfd: pytest.CaptureFixture[str]
) -> None:
    # The other one fails because of the first, and would wait for ever.
    code = started(
        "if rank == 0:\n"
        "    said = Path(os.environ['ASR_LAUNCH'], 'ended')\n"
        "    while not said.exists(): time.sleep(.02)\n"
        "if first_to_end('its disk is full'): print(f'said by {rank}', flush=True)\n"
        "if rank == 1: sys.exit(30)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "time.sleep(100)\n"
    )
    assert code == 30
    assert capfd.readouterr().out == "said by 1\n"


def test_one_that_is_killed_is_named(started: Callable[[str], int]) -> None:
    with pytest.raises(UserError, match="process 1 of 2 was killed by SIGKILL") as error:
        started("if rank: os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(100)")
    assert error.value.exit_code == 128 + 9
    assert "--resume" in str(error.value)


def test_sigterm_reaches_all_and_they_decide(started: Callable[[str], int], tmp_path: Path) -> None:
    send_once_there(tmp_path / "ready-0", signal.SIGTERM)
    code = started(
        "asked = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: asked.append(rank))\n"
        "while rank == 0 and not Path('ready-1').exists(): time.sleep(.02)\n"
        "Path(f'ready-{rank}').touch()\n"
        "while not asked: time.sleep(.02)\n"
        "Path(f'asked-{rank}').touch()\n"
    )
    assert code == 0
    assert len(list(tmp_path.glob("asked-*"))) == 2


def test_ctrl_c_reaches_the_first_alone_and_the_others_are_ended(
    started: Callable[[str], int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    send_once_there(tmp_path / "ready-0", signal.SIGINT)
    code = started(
        "Path(f'ready-{rank}').touch()\n"
        "try: time.sleep(100)\n"
        "except KeyboardInterrupt:\n"
        "    if first_to_end('Ctrl-C'): print(f'said by {rank}', flush=True)\n"
        "    sys.exit(130)\n"
    )
    assert code == 130
    assert capfd.readouterr().out == "said by 0\n"
    (tmp_path / "ready-0").unlink()
    send_once_there(tmp_path / "ready-0", signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # none can say anything
        started(
            "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "Path(f'ready-{rank}').touch()\n"
            "time.sleep(100)\n"
        )


@pytest.mark.slow
def test_they_stop_when_what_started_them_is_gone(tmp_path: Path) -> None:
    child = tmp_path / "child.py"
    child.write_text(
        CHILD + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(Path(f'{rank}.end').touch()))\n"
        "Path(f'{rank}.pid').write_text(str(os.getpid()))\n"
        "time.sleep(100)\n"
    )
    script = f"from asr_gate.train import launch; launch.COMMAND = {(sys.executable, str(child))}\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", script + "launch.start(2, [])"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    parent.kill()
    parent.wait()
    wait_for(lambda: len(list(tmp_path.glob("*.end"))) == 2)


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_an_error_of_one_process_ends_all_with_its_message(
    monkeypatch: pytest.MonkeyPatch,
    started: Callable[[str], int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = started(
        "import torch\n"
        "from asr_gate.cli import main\n"
        "from asr_gate.corpus.errors import UserError\n"
        "from asr_gate.train.distributed import ranks, together\n"
        "def train(**_):\n"
        "    with together(ranks(), torch.device('cpu')):\n"
        "        ranks().wait()\n"
        "        if rank: raise UserError('its row is no row')\n"
        "        ranks().wait()\n"
        "main.group.main = train\n"
        "main.main()\n"
    )
    assert code == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("asr: ")]
    assert lines == ["asr: its row is no row"]


def test_how_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Ranks()
    assert launch.choose_processes(None, "auto", alone) == 1
    assert launch.choose_processes(3, "auto", alone) == 3
    monkeypatch.setattr(devices, "count_gpus", lambda wanted, option: 0 if wanted == "cpu" else 2)
    assert launch.choose_processes(None, "auto", alone) == 2
    assert launch.choose_processes(1, "auto", alone) == 1
    assert launch.choose_processes(3, "cpu", alone) == 3
    with pytest.raises(UserError, match="torch sees 2"):
        launch.choose_processes(3, "auto", alone)
    monkeypatch.setenv("RANK", "0")
    assert launch.choose_processes(None, "auto", Ranks(0, 4)) == 4
    assert launch.choose_processes(4, "auto", Ranks(0, 4)) == 4
    with pytest.raises(UserError, match="the launcher has started 4"):
        launch.choose_processes(2, "auto", Ranks(0, 4))


def torch_sees(monkeypatch: pytest.MonkeyPatch, *, counted: int, usable: bool, there: bool) -> None:
    """Let torch find GPUs that are not here, and let the system have files of them."""

    def is_available() -> bool:
        import warnings

        if not usable:
            warnings.warn(
                "CUDA initialization: The NVIDIA driver on your system is too old (found version "
                "11040). Please update your GPU driver", stacklevel=1,
            )  # fmt: skip
        return usable

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: counted)
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(devices, "NODES", "null" if there else "no-such-file")


def test_a_gpu_that_is_there_is_used_or_its_fault_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch_sees(monkeypatch, counted=0, usable=False, there=False)
    assert devices.choose_device("auto", Ranks(), "device=") == torch.device("cpu")
    assert "no GPU" in devices.explain(torch.device("cpu"), Ranks())
    torch_sees(monkeypatch, counted=0, usable=False, there=True)
    assert devices.count_gpus("cpu", "device=") == 0
    for counted, there in ((0, True), (2, True), (2, False)):
        torch_sees(monkeypatch, counted=counted, usable=False, there=there)
        with pytest.raises(UserError, match=r"driver on your system is too old.*device=cpu"):
            devices.count_gpus("auto", "device=")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(UserError, match="built without CUDA"):
        devices.count_gpus("auto", "device=")
    # Somebody has taken the GPUs away.
    torch_sees(monkeypatch, counted=0, usable=False, there=True)
    for value in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert devices.count_gpus("auto", "device=") == 0
        assert "CUDA_VISIBLE_DEVICES" in devices.explain(torch.device("cpu"), Ranks())


def test_a_gpu_is_tried_before_anything_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_sees(monkeypatch, counted=2, usable=True, there=True)
    real, tried = torch.zeros, []

    def zeros(*shape: int, device: torch.device) -> torch.Tensor:
        tried.append(device)
        return real(*shape)

    monkeypatch.setattr(torch, "zeros", zeros)
    assert devices.choose_device("auto", Ranks(1, 2, 1), "device=") == torch.device("cuda", 1)
    assert tried == [torch.device("cuda", 1)]
    with pytest.raises(UserError, match="no GPU of its own"):
        devices.choose_device("auto", Ranks(2, 3, 2), "device=")

    def fails(*shape: int, device: torch.device) -> torch.Tensor:
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be …")

    monkeypatch.setattr(torch, "zeros", fails)
    with pytest.raises(UserError, match="cuda:0 cannot be used: CUDA error: out of memory;"):
        devices.choose_device("auto", Ranks(), "device=")


def srun(monkeypatch: pytest.MonkeyPatch, task: int, tasks: int, nodes: str = "localhost") -> None:
    for name, value in {
        "SLURM_PROCID": task, "SLURM_STEP_NUM_TASKS": tasks, "SLURM_LOCALID": task,
        "SLURM_STEP_NODELIST": nodes, "SLURM_JOB_ID": os.getpid(), "SLURM_STEP_ID": 0,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))


@pytest.mark.slow
def test_tasks_of_srun_train_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert ranks() == Ranks(), "the script of a batch job is alone"
    together = (
        "import torch; from asr_gate.train.distributed import ranks, together\n"
        "with together(ranks(), torch.device('cpu')): print(*ranks().gathered(ranks().rank))"
    )
    tasks = []
    for task in (0, 1):
        srun(monkeypatch, task, 2)
        assert ranks() == Ranks(task, 2, task)
        tasks.append(
            subprocess.Popen([sys.executable, "-c", together], stdout=subprocess.PIPE, text=True)
        )
    assert [task.communicate(timeout=200)[0] for task in tasks] == ["0 1\n"] * 2
    with pytest.raises(UserError, match="the launcher has started 2"):
        launch.choose_processes(4, "auto", ranks())
    # Each task may see its own GPU alone.
    torch_sees(monkeypatch, counted=1, usable=True, there=True)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: torch.ones(*shape))
    assert devices.choose_device("auto", ranks(), "device=") == torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[03-07,12]-a,gpu20", "gpu03-a"), ("n1,n2", "n1"), ("a[1,3]", "a1"),
        ("one", "one"), ("", "localhost"),
    ],
)  # fmt: skip
def test_tasks_of_srun_meet_on_the_first_node(
    nodes: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_gate.train.distributed import _meeting_point

    srun(monkeypatch, 0, 2, nodes)
    monkeypatch.setenv("SLURM_JOB_ID", "70000003")
    assert _meeting_point() == f"tcp://{first}:20003"
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert _meeting_point() == "tcp://10.0.0.1:29500"
    monkeypatch.setenv("RANK", "0")
    assert _meeting_point() == "env://"


@pytest.fixture
def loader(processor, manifest: Path) -> DataLoader[PromptedExample]:
    """A loader with one worker over the small corpus."""
    recipe = recipes.load("round2-tiny", ["data.workers=1"])[1]
    selection = select(read_corpus([manifest]).utterances, frozenset(), recipe.data)
    order = BatchOrder()
    order.batches = [[(1, index)] for index in range(8)]
    encoder = PromptEncoder(processor, recipe.data)
    assert len(pickle.loads(pickle.dumps(Examples(selection.training, encoder, 0)))) > 8
    return build_loader(order, encoder, selection, recipe)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_only_its_own_process_ends_a_worker(
    method: str, loader: DataLoader[PromptedExample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    loader.multiprocessing_context = method
    items = iter(loader)
    assert next(items).rows, "in either way a worker has what it needs"
    (worker,) = (child for child in multiprocessing.active_children() if child.daemon)
    for name in ("TERM", "INT"):
        subprocess.run(["kill", f"-{name}", str(worker.pid)], check=True)
    assert len(list(items)) == 7
    assert worker.is_alive()
    worker.terminate()
    worker.join(30)
    assert worker.exitcode == 0


def test_a_second_sigterm_does_not_interrupt_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command has it
    try:
        with asked_to_stop() as asked:
            pass
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        with asked_to_stop() as asked:
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked.wait(10)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


class _Two(Ranks):
    """Two processes, the other of which was asked to stop."""

    def gathered(self, value):
        return [value, True]


def test_an_evaluation_stops_in_all_processes_together(processor) -> None:
    with pytest.raises(EvaluationStopped):
        evaluate(
            Qwen3ASR(), torch.nn.Linear(1, 1), PromptEncoder(processor, recipes.Data()), [],
            batch_seconds=1, most_tokens=lambda row, reference: 1, device=torch.device("cpu"),
            memory_advice="", numbers="spoken", ranks=_Two(0, 2),
        )  # fmt: skip


@pytest.mark.slow
def test_sigterm_in_an_evaluation_of_two_processes_that_have_workers(tmp_path: Path) -> None:
    """One cell of the table in docs/training.md, which `python -m bench.signals` makes."""
    outcome = signals.run(signals.Cell("`--processes 2`", "group", 2, "evaluation"), tmp_path)
    assert outcome.good, outcome.said
    assert outcome.code == 0, outcome.said
    assert outcome.said.count("Stopped after step") == 1
