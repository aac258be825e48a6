"""The processes of one run: we, torchrun, accelerate or srun start them, DDP keeps them equal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from asr_gate.corpus.cores import usable_cores
from asr_gate.corpus.errors import UserError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

SMALL = 20_000_000
"""Parameters. With as many or more, several threads compute faster than one."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all of them; a single process communicates with nobody."""

    rank: int = 0
    world: int = 1
    local: int = 0
    """Number of the process on its machine, and of the GPU that it uses."""

    @property
    def main(self) -> bool:
        """Whether this is the process that writes, prints and tracks."""
        return self.rank == 0

    def total(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Sums over all processes."""
        if self.world == 1:
            return list(values)
        import torch
        from torch import distributed

        summed = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(summed)
        return [float(value) for value in summed]

    def gathered(self, value: T) -> list[T]:
        """The value of every process, in order."""
        if self.world == 1:
            return [value]
        from torch import distributed

        values: list[T | None] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values  # type: ignore[return-value]  # all are filled

    def from_main(self, value: T) -> T:
        """The value of the main process."""
        return self.gathered(value)[0]

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.gathered(None)


def ranks() -> Ranks:
    """The ranks that the launcher put into the environment.

    Raises:
        UserError: they are no numbers, or contradict each other.
    """
    names = _SRUN if in_srun() else _TORCHRUN
    try:
        found = Ranks(*(int(os.environ.get(name, default)) for name, default in names))
    except ValueError as error:
        raise UserError(f"{', '.join(name for name, _ in names)}: no number ({error})") from error
    if not 0 <= found.rank < found.world:
        raise UserError(f"{names[0][0]}={found.rank} does not fit {names[1][0]}={found.world}")
    return found


def launched() -> bool:
    """Whether a launcher has started this process as one of several, or as the only one."""
    return "RANK" in os.environ or in_srun()


def in_srun() -> bool:
    """Whether this is one of several tasks of srun, without torchrun in between.

    The script of a batch job is none: it has the number of the job's tasks, and is alone.
    """
    several = os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1"
    return several and "SLURM_PROCID" in os.environ and "RANK" not in os.environ


_TORCHRUN = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
_SRUN = (("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_LOCALID", "0"))


def _meeting_point() -> str:
    """Where the processes find each other, as torch takes it.

    Tasks of srun meet on the first node, at a port that the numbers of job and step decide.
    """
    if not in_srun():
        return "env://"
    host = os.environ.get("MASTER_ADDR") or _first_node(os.environ.get("SLURM_STEP_NODELIST", ""))
    numbers = (os.environ.get(name, "0") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    port = os.environ.get("MASTER_PORT") or 20_000 + sum(map(int, numbers)) % 10_000
    return f"tcp://{host}:{port}"


def _first_node(nodes: str) -> str:
    """The first of a list as Slurm writes it: `gpu03-a` of `gpu[03-07,12]-a,gpu20`."""
    found = re.match(r"([^\[,]+)(?:\[(\d+)[^\]]*\]([^,\[]*))?", nodes)
    return "localhost" if found is None else "".join(part or "" for part in found.groups())


def choose_threads(wanted: int | None, device: torch.device, parameters: int) -> int:
    """Set how many CPU threads torch computes with; returns their number.

    What a small model computes is not worth sharing: its threads wait for each other after every
    operation, and much longer where other processes want the same cores.

    Args:
        wanted: as a recipe says; None: OMP_NUM_THREADS, or else one for a small model on a CPU, and
            for others what torch chooses, but no more than the cores that this process may use.
        device: where the model computes.
        parameters: of the model.
    """
    import torch

    if wanted is None and "OMP_NUM_THREADS" not in os.environ and device.type == "cpu":
        small = parameters < SMALL
        share = max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        wanted = 1 if small else min(torch.get_num_threads(), share)
    if wanted is not None:
        torch.set_num_threads(wanted)
    return torch.get_num_threads()


@contextmanager
def together(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Join the process group, and leave it at a good end.

    After an error nobody waits: other processes may be gone, or stand in a call that never returns.
    """
    if ranks.world == 1:
        yield
        return
    import torch
    from torch import distributed

    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Python objects are sent by gloo, gradients on GPUs by nccl.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(
        backend, init_method=_meeting_point(), rank=ranks.rank, world_size=ranks.world
    )
    yield
    distributed.destroy_process_group()
