"""Outputs of a frozen audio tower for each row, computed once and kept on disk.

A row's output is always computed on that row alone. In a batch, its last digits would depend on the
other rows, and a run that finds it on disk would differ from the run that computed it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from transformers import Qwen3ASRForConditionalGeneration
from transformers import __version__ as transformers_version

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import cache_home, write_atomically
from asr_gate.train.data.examples import Batch
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.encoder import audio_tokens
from asr_gate.train.recipes import Data

TOWER = "model.audio_tower."


def can_cache_audio(
    model: Qwen3ASRForConditionalGeneration, trained_names: Iterable[str], settings: Data
) -> bool:
    """Whether the audio tower gives the same output for a row in each epoch of a phase.

    Args:
        model: the model that trains.
        trained_names: names of the parameters that the phase trains.
        settings: of the recipe.
    """
    trained = any(name.startswith(TOWER) for name in trained_names)
    # Qwen3-ASR's tower has no dropout, but an adapter in it may.
    random = any(isinstance(one, nn.Dropout) and one.p for one in model.model.audio_tower.modules())
    return not (trained or random or settings.augment)


def default_folder() -> Path:
    """`asr-gate/audio-tower` under XDG_CACHE_HOME (default `~/.cache`); runs share it.

    Raises:
        UserError: the user has no home folder.
    """
    try:
        return cache_home() / "audio-tower"
    except RuntimeError as error:
        raise UserError(
            "there is no home folder for the audio cache: set XDG_CACHE_HOME, or switch the cache "
            "off with data.audio_cache_gib=0"
        ) from error


class AudioCache:
    """Outputs of one audio tower with its current weights.

    A file's name is the SHA-256 of the tower, of everything else that decides the last digits
    (device, threads, versions), and of a row's features. Several processes may share a folder.
    """

    def __init__(
        self,
        model: Qwen3ASRForConditionalGeneration,
        rows: Iterable[Row],
        *,
        bound: int,
        device: torch.device,
        world: int = 1,
        folder: Path | None = None,
    ) -> None:
        """Plan which rows are kept, and list the files that are there.

        Args:
            model: on `device`; its tower must not change any more.
            rows: rows that will be used. As many as fit into `bound` are kept; the others go
                through the tower in their batches, as without a cache.
            bound: most bytes in the folder. The files unused for longest are deleted to make room.
            device: where the outputs are needed.
            world: number of processes that fill the folder together.
            folder: None: `default_folder`.

        Raises:
            UserError: there is no home folder and no XDG_CACHE_HOME.
        """
        self.model = model
        self.tower = model.model.audio_tower
        self.bound = bound
        self.device = device
        self.world = world
        self.folder = folder or default_folder()
        # The projector rounds to this type anyway.
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.width = int(self.tower.config.d_model)
        self.chunk = 2 * int(self.tower.config.n_window)
        self.hits = self.misses = 0
        self._kept = self._plan(rows)
        config = self.tower.config.to_json_string(use_diff=False)
        self._base = _digest_tower(self.tower, f"{_platform(device)} {self.dtype}\n{config}\n")
        self._began = time.time()
        self._full = False
        self._used, self._oldest = self._list_files()

    def _plan(self, rows: Iterable[Row]) -> set[str]:
        """Ids of the rows to keep; they depend on the rows alone, so that all processes agree."""
        kept, left = set(), self.bound
        for row in rows:
            left -= audio_tokens(row.seconds) * self.width * self.dtype.itemsize
            if left < 0:
                break
            kept.add(row.utterance.id)
        return kept

    def _list_files(self) -> tuple[int, list[tuple[float, Path, int]]]:
        """Bytes in the folder, and its files; the one unused for longest is last."""
        found = []
        for path in self.folder.glob("??/*.safetensors"):
            try:
                there = path.stat()
            except OSError:  # another run has just deleted it
                continue
            found.append((there.st_mtime, path, there.st_size))
        found.sort(reverse=True)
        return sum(size for _, _, size in found), found

    def inputs_of(self, batch: Batch) -> dict[str, Tensor]:
        """The batch's inputs, with `audio_states` instead of the features.

        Returns:
            `audio_states` is on `device`, shape (audio tokens of all rows, tower's width).
        """
        inputs = dict(batch.inputs)
        features, mask = inputs.pop("input_features"), inputs.pop("input_features_mask")
        tokens = (inputs["input_ids"] == self.model.config.audio_token_id).sum(1).tolist()
        kept = [row.utterance.id in self._kept for row in batch.rows]
        others = [index for index, keep in enumerate(kept) if not keep]
        states: dict[int, Tensor] = {}
        if others:
            computed = self._through_tower(features[others], mask[others])
            parts = torch.split(computed, [tokens[index] for index in others])
            states = dict(zip(others, parts, strict=True))
        for index in (index for index, keep in enumerate(kept) if keep):
            # As many frames as the row would have alone.
            frames = -(-int(mask[index].sum()) // self.chunk) * self.chunk
            row = features[index : index + 1, :, :frames], mask[index : index + 1, :frames]
            states[index] = self._of_row(*row, tokens[index])
        inputs["audio_states"] = torch.cat([states[index] for index in range(len(kept))])
        return inputs

    def _of_row(self, features: Tensor, mask: Tensor, tokens: int) -> Tensor:
        """The tower's output for one row, shape (audio tokens, tower's width)."""
        name = _digest(self._base, [features, mask])
        path = self.folder / name[:2] / f"{name}.safetensors"
        states = self._read(path, (tokens, self.width))
        if states is not None:
            self.hits += 1
            return states.to(self.device)
        self.misses += 1
        states = self._through_tower(features, mask)
        self._write(path, states.cpu())
        return states

    @torch.no_grad()
    def _through_tower(self, features: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.tower(
            input_features=features.to(self.device), input_features_mask=mask.to(self.device)
        ).last_hidden_state
        return states.to(self.dtype)

    def _read(self, path: Path, shape: tuple[int, int]) -> Tensor | None:
        """The tensor in a file; None: the file is missing, damaged, or of another kind."""
        try:
            with safe_open(path, framework="pt") as file:
                states = file.get_tensor("states")
                digest = (file.metadata() or {}).get("sha256")
            if (*states.shape, states.dtype) != (*shape, self.dtype):
                return None
            if digest != _digest(b"", [states]):
                return None
            os.utime(path)
        except (OSError, SafetensorError):
            return None
        assert isinstance(states, Tensor)
        return states

    def _write(self, path: Path, states: Tensor) -> None:
        if self._full:
            return
        content = save({"states": states}, {"sha256": _digest(b"", [states])})
        # The other processes write about as much in the meantime.
        size = len(content) * self.world
        try:
            if not self._make_room(size):
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            self._full = True
            logging.getLogger(__name__).warning(
                "%s: the audio tower's outputs cannot be kept (%s); the rest is computed again in "
                "each epoch",
                self.folder,
                error.strerror,
            )
            return
        self._used += size

    def _make_room(self, size: int) -> bool:
        """Delete files that were not used in this phase, as long as that is needed."""
        while self._used + size > self.bound and self._oldest:
            _, path, there = self._oldest.pop()
            try:
                if path.stat().st_mtime < self._began:
                    path.unlink()
                    self._used -= there
            except FileNotFoundError:
                self._used -= there
        return self._used + size <= self.bound


def _platform(device: torch.device) -> str:
    """What decides the last digits of an output, besides weights and features."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()} threads"
    )
    return f"{name} torch {torch.__version__} transformers {transformers_version}"


def _digest_tower(tower: nn.Module, platform: str) -> bytes:
    start = hashlib.sha256(platform.encode())
    for name, tensor in sorted(tower.state_dict().items()):
        start.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        start.update(_bytes(tensor))
    return start.digest()


def _digest(start: bytes, tensors: Iterable[Tensor]) -> str:
    found = hashlib.sha256(start)
    for tensor in tensors:
        found.update(f"{tuple(tensor.shape)} {tensor.dtype}\n".encode())
        found.update(_bytes(tensor))
    return found.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    # numpy knows no bfloat16.
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
