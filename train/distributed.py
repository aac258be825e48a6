"""The processes of one run: torchrun or accelerate starts them, DDP keeps their models equal."""

from __future__ import annotations

import os
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
    try:
        found = Ranks(*(int(os.environ.get(name, default)) for name, default in _NAMES))
    except ValueError as error:
        raise UserError(f"RANK, WORLD_SIZE or LOCAL_RANK is no number ({error})") from error
    if not 0 <= found.rank < found.world:
        raise UserError(f"RANK={found.rank} does not fit WORLD_SIZE={found.world}")
    return found


_NAMES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


def choose_device(wanted: str, here: Ranks, option: str) -> torch.device:
    """The device of this process.

    Args:
        wanted: `auto` (a GPU if there is one), `cpu` or `cuda`.
        here: this process; it uses the GPU with its local number.
        option: how the user sets the device, for messages: `device=`, `--device `.

    Raises:
        UserError: there is no GPU, or too few for this process.
    """
    import torch

    found = torch.cuda.device_count()
    if wanted == "cuda" and not found:
        raise UserError(f"{option}cuda: torch finds no CUDA device here; use {option}auto")
    if not found or wanted == "cpu":
        return torch.device("cpu")
    if here.local >= found:
        raise UserError(
            f"process {here.local} of this machine has no GPU of its own: torch finds {found}; "
            "start at most as many processes as there are GPUs"
        )
    return torch.device("cuda", here.local)


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
        wanted = 1 if small else min(torch.get_num_threads(), usable_cores())
    if wanted is not None:
        torch.set_num_threads(wanted)
    return torch.get_num_threads()


@contextmanager
def together(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Join the process group, and leave it at the end."""
    if ranks.world == 1:
        yield
        return
    import torch
    from torch import distributed

    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Python objects are sent by gloo, gradients on GPUs by nccl.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend)
    try:
        yield
    finally:
        distributed.destroy_process_group()
