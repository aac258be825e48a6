"""Writes the state of a run beside the training, with `torch.distributed.checkpoint`.

Every process writes its own part, so that a state can be read by another number of processes. The
parts are safetensors and the rest is JSON: torch's usual writer would add an index that is a
pickle, and reading that would run whatever code a folder brings along.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from concurrent import futures
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, distributed
from torch.distributed.checkpoint._hf_utils import CUSTOM_METADATA_KEY, SAVED_OFFSETS_KEY
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.checkpoint.storage import WriteResult
from torch.distributed.tensor import DTensor
from torch.futures import Future

from asr_gate.corpus.errors import UserError
from asr_gate.train.distributed import Ranks
from asr_gate.train.loop.events import Stopped
from asr_gate.train.loop.resume import FOLDER, POSITION_FILE, Position, newest

# A single process is what we want there, and no mistake.
warnings.filterwarnings("ignore", "torch.distributed is disabled", module=r"torch\.distributed")


class StateWriter:
    """Writes the states of a run, one at a time; a context that ends when the last one is written.

    While a state is copied to main memory, the training waits. A thread writes the copy.
    """

    def __init__(self, out: Path, ranks: Ranks) -> None:
        """Every process makes one, at the same time.

        Args:
            out: the run's folder; all processes see the same.
            ranks: this process among all that train together.
        """
        self.out = out
        self.ranks = ranks
        # A group of its own: the thread must not take messages that are meant for the training.
        self._group = distributed.new_group(backend="gloo") if ranks.world > 1 else None
        self._newest: dict[str, Any] | None = None
        """Position of the newest state, complete or in work."""
        self._writing: futures.Future[Any] | None = None

    def on_disk(self, position: Position) -> None:
        """The state at a position is there already, so it need not be written again."""
        self._newest = asdict(position)

    def save(self, position: Position, tensors: Mapping[str, Tensor]) -> None:
        """Begin to write a state, when the one before is written; every process calls this.

        The one before is deleted only when this one is complete. Nothing is done if the newest
        state is of this position.

        Args:
            position: how far the run has come.
            tensors: of this process, whole or sharded; see `resume.collect`.

        Raises:
            UserError: the state before could not be written.
        """
        self.wait()
        if self._newest == asdict(position):
            return
        self._newest = asdict(position)
        saved = async_save(
            _share(tensors, self.ranks),
            storage_writer=_Folder(self.out, position),
            process_group=self._group,
            no_dist=self._group is None,
        )
        assert isinstance(saved, futures.Future)
        self._writing = saved

    def failed(self) -> bool:
        """Whether `wait` would raise; does not wait."""
        writing = self._writing
        return writing is not None and writing.done() and writing.exception() is not None

    def wait(self) -> None:
        """Wait until the state in work is complete on disk.

        Raises:
            UserError: the disk is full or not writable; the state before is kept.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except CheckpointException as failure:
            error = next(iter(failure.failures.values()))[0]
            if self.ranks.main:
                _remove_partial(self.out / FOLDER)
            if not isinstance(error, (OSError, SafetensorError)):
                raise RuntimeError(f"{self.out / FOLDER}: the state was not written") from failure
            left = newest(self.out)
            kept = f"; the last good one is {left}" if left else ""
            raise UserError(
                f"{self.out / FOLDER}: the state cannot be written ({error}){kept}; free some "
                "space and continue with --resume"
            ) from failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.wait()
        except Exception:
            # What ended the run matters more, unless it says that the state is on disk.
            if error is None or isinstance(error, Stopped):
                raise


class _Folder(HuggingFaceStorageWriter):
    """A state's folder: it has another name until every process has written its part."""

    def __init__(self, out: Path, position: Position) -> None:
        name = f"step-{position.step:08d}-{position.epoch}-{position.epoch_step}"
        self.folder = out / FOLDER / name
        self.partial = self.folder.with_name(f".{name}.partial")
        self.position = asdict(position)
        super().__init__(str(self.partial), save_distributed=True)

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """In the first process, before any process writes: begin with an empty folder."""
        _remove_partial(self.folder.parent)
        self.partial.mkdir(parents=True)
        return super().prepare_global_plan(plans)

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """In every process: write its part, as the reader of this class' format wants it.

        torch's own way makes two more copies of the part in memory, and takes five times as long.
        """
        parts: dict[str, Tensor] = {}
        offsets: dict[str, Any] = {}
        for item in plan.items:
            part, where = planner.resolve_data(item), item.tensor_data
            assert isinstance(part, Tensor) and where is not None, "a state holds only tensors"
            parts[item.index.fqn] = part.contiguous()
            offsets[item.index.fqn] = {SAVED_OFFSETS_KEY: where.chunk.offsets}
        path = self.partial / f"rank-{self.rank}.safetensors"
        if parts:
            save_file(parts, path, metadata={CUSTOM_METADATA_KEY: json.dumps(offsets)})
            with path.open("rb") as file:
                os.fsync(file.fileno())
        written: Future[list[WriteResult]] = Future()
        written.set_result([])
        return written

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """In the first process, when all processes have written: the state is complete."""
        files = sorted(path.name for path in self.partial.iterdir())
        content = json.dumps({"position": self.position, "files": files})
        (self.partial / POSITION_FILE).write_text(content, encoding="utf-8")
        before = [path for path in self.folder.parent.glob("step-*") if path != self.folder]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.partial.rename(self.folder)
        for old in before:
            shutil.rmtree(old)


def _remove_partial(folder: Path) -> None:
    """Remove what is left of states that were not completed."""
    for path in folder.glob(".*.partial"):
        shutil.rmtree(path)


def _share(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """What this process writes: its shards, and its share of the tensors that every process has."""
    load = [0] * ranks.world
    mine: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, DTensor):
            mine[name] = tensor
            continue
        writer = load.index(min(load))
        load[writer] += tensor.nbytes
        if writer == ranks.rank:
            mine[name] = tensor
    return mine
