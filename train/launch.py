"""Starts the processes of a training on one machine: one for each GPU, as `torchrun` would.

Each process is the same command again, with its rank in the environment. The one that starts them
makes no context on a GPU; it forwards signals, ends all when one has failed, and passes on the exit
code of the first that did. That one alone says why.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.train.distributed import Ranks, launched
from asr_gate.train.signals import die_with_parent

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "asr_gate")
"""`asr` in any folder: with -P no file of that folder is taken for one of ours."""

FOLDER = "ASR_LAUNCH"
"""Environment variable: the folder that the processes of one command share."""
ENDED = "ended"
"""File in it: rank and message of the process that ended first otherwise than well."""

ENDING: Seconds = 30.0
"""What processes get to end, after one has failed or Ctrl-C was pressed; as torchrun gives them."""


class ProcessEnded(UserError):
    """A process ended without a word."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def choose_processes(wanted: int | None, device: str, here: Ranks) -> int:
    """How many processes train together on this machine, or with a launcher altogether.

    Args:
        wanted: what the user asks for; None: one for each GPU, or one on a CPU.
        device: as the recipe says.
        here: this process among those of a launcher.

    Raises:
        UserError: a launcher has started another number, or there are fewer GPUs, or one that
            torch cannot use.
    """
    if launched():
        if wanted not in (None, here.world):
            raise UserError(
                f"--processes {wanted}: the launcher has started {here.world}; leave it out"
            )
        return here.world
    from asr_gate.train.devices import count_gpus

    gpus = count_gpus(device, "device=")
    if wanted is not None and 0 < gpus < wanted:
        raise UserError(
            f"--processes {wanted}: each needs a GPU of its own, and torch sees {gpus}; ask for "
            f"{gpus} at most, or set device=cpu"
        )
    return wanted or max(gpus, 1)


def start(count: int, arguments: Sequence[str]) -> int:
    """Start the processes, and wait until all have ended.

    Args:
        count: of processes.
        arguments: of the command `asr`.

    Returns:
        The exit code of the process that ended first otherwise than well, which has said why; 0:
        all ended well.

    Raises:
        ProcessEnded: a process was killed, or ended without a word.
        KeyboardInterrupt: the processes were interrupted before they could say so.
    """
    from torch import distributed

    # The processes meet here, at a port that is free: none of them has to open one.
    store = distributed.TCPStore(  # type: ignore[attr-defined]  # it is in torch's manual
        "127.0.0.1", 0, is_master=True, wait_for_workers=False
    )
    with TemporaryDirectory(prefix="asr-train-") as folder:
        group = _Group()
        with group.forwarding():
            for rank in range(count):
                place = {
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "WORLD_SIZE": str(count),
                    "LOCAL_WORLD_SIZE": str(count),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(store.port),
                    "TORCHELASTIC_USE_AGENT_STORE": "True",
                    FOLDER: folder,
                }
                group.start([*COMMAND, *arguments], os.environ | place)
            group.wait()
        return group.outcome(Path(folder, ENDED))


class _Group:
    """The processes, and what they are told."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ended: list[int] = []
        """Ranks in the order in which they ended."""
        self.asked: list[int] = []
        """Signals that came from outside."""
        self.until: float | None = None
        """When those that are left are killed, by `time.monotonic`."""

    def start(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start one more, in a process group of its own: what a terminal sends is sent once."""
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, process_group=0
        )
        self.processes.append(process)
        for number in self.asked:
            process.send_signal(number)

    @contextmanager
    def forwarding(self) -> Iterator[None]:
        """Pass SIGTERM on to all, and the first Ctrl-C to the process that prints and tracks."""

        def forward(signum: int, frame: FrameType | None) -> None:
            if signum == signal.SIGTERM:
                self.send(signal.SIGTERM)
            elif signum not in self.asked and self.processes:
                self.processes[0].send_signal(signum)
                self.until = time.monotonic() + ENDING
            self.asked.append(signum)

        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as `nohup` and `&` in a script ask for
                signal.signal(number, forward)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """To each that still runs; SIGKILL to its own children as well."""
        for process in self.processes:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    if number == signal.SIGKILL:
                        os.killpg(process.pid, number)
                    else:
                        process.send_signal(number)

    def wait(self) -> None:
        """Wait for all; once one has failed, the others end soon."""
        while len(self.ended) < len(self.processes):
            for rank, process in enumerate(self.processes):
                if process.poll() is not None and rank not in self.ended:
                    self.ended.append(rank)
                    if process.returncode and self.until is None:
                        self.until = time.monotonic() + ENDING
                        self.send(signal.SIGTERM)
            if self.until is not None and time.monotonic() > self.until:
                self.send(signal.SIGKILL)
            time.sleep(0.05)

    def outcome(self, said: Path) -> int:
        """The exit code of the whole; `said` is the file of the one that has told why."""
        codes = [process.returncode for process in self.processes]
        if said.is_file():
            return codes[int(said.read_text().partition("\n")[0])] or 1
        failed = [rank for rank in self.ended if codes[rank]]
        if not failed:
            return 0
        if self.asked:
            raise KeyboardInterrupt
        first, code = failed[0], codes[failed[0]]
        how = f"ended with exit code {code}" if code > 0 else f"was killed by {_name(-code)}"
        memory = "; the machine may have run out of memory" if code == -signal.SIGKILL else ""
        raise ProcessEnded(
            f"process {first} of {len(codes)} {how}{memory}; the same command with --resume goes "
            "on from the last state on disk",
            code if code > 0 else 128 - code,
        )


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def started() -> bool:
    """Whether this process is one of those that `start` has started."""
    return FOLDER in os.environ


def join() -> None:
    """Be one of the processes that `start` has started, if this is one: stop when that is gone."""
    if started():
        die_with_parent(signal.SIGTERM)


def first_to_end(message: str) -> bool:
    """Whether this process is the first of its command that ends otherwise than well.

    Args:
        message: why it ends.
    """
    try:
        with Path(os.environ[FOLDER], ENDED).open("x", encoding="utf-8") as file:
            file.write(f"{os.environ.get('RANK', 0)}\n{message}")
    except FileExistsError:
        return False
    except OSError:
        return True  # the process that started this one is gone, and its folder too
    return True


def why_ended() -> str | None:
    """Why another process of this command has ended; None: none has."""
    with suppress(KeyError, OSError, UnicodeDecodeError):
        text = Path(os.environ[FOLDER], ENDED).read_text(encoding="utf-8")
        rank, _, message = text.partition("\n")
        return f"process {rank}: {message}"
    return None
