"""Hebrew vowel points by Nakdimon (Gershuni & Pinter 2022, arXiv:2105.05209).

Its weights are in the Python package `nakdimon` (MIT). They are read and computed here, as the
package itself needs an old TensorFlow.
"""

from collections.abc import Iterator, Sequence
from importlib import metadata

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

LETTERS = "אבגדהוזחטיךכלםמןנסעףפץצקרשת"
# The tables of Nakdimon's characters and marks; "" is padding or no mark.
CHARACTERS = ("", *"HO5", *" !\"'(),-.:;?", *LETTERS)
POINTS = ("", "", *map(chr, range(0x5B0, 0x5BD)), "\u05b7")
DAGESH = ("", "", "\u05bc")
SIN = ("", "", "\u05c1", "\u05c2")
MAY_POINT = frozenset("אבגדהוזחטיכלמנסעפצקרשת" + "ךן")
MAY_DAGESH = frozenset("בגדהוזטיכלמנספצקשת" + "ךף")
BATCH = 64


class _BothWays(nn.Module):
    """Two LSTMs, one of them backwards; their outputs are added."""

    def __init__(self, weights: h5py.Group) -> None:
        super().__init__()
        self.units = 0
        self.lstm = nn.LSTM(1, 1, bidirectional=True, batch_first=True)
        named = {}
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            layer = next(group for name, group in weights.items() if name.startswith(direction))
            cell = next(iter(layer.values()))
            named[f"weight_ih_l0{suffix}"] = _tensor(cell["kernel:0"]).T
            named[f"weight_hh_l0{suffix}"] = _tensor(cell["recurrent_kernel:0"]).T
            named[f"bias_ih_l0{suffix}"] = _tensor(cell["bias:0"])
            named[f"bias_hh_l0{suffix}"] = torch.zeros_like(_tensor(cell["bias:0"]))
        inputs, self.units = named["weight_ih_l0"].shape[1], named["weight_hh_l0"].shape[1]
        self.lstm = nn.LSTM(inputs, self.units, bidirectional=True, batch_first=True)
        self.lstm.load_state_dict(named)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return y[..., : self.units] + y[..., self.units :]


def _tensor(weights: h5py.Dataset) -> Tensor:
    return torch.from_numpy(np.asarray(weights))


class Nakdimon:
    """The network, and the tables between text and its indices."""

    def __init__(self) -> None:
        path = metadata.distribution("nakdimon").locate_file("nakdimon/Nakdimon.h5")
        with h5py.File(str(path)) as file:
            weights = file["model_weights"]
            self.embedding = _tensor(weights["embedding/embedding/embeddings:0"])
            self.layers = [
                _BothWays(weights[f"{name}/{name}"])
                for name in ("bidirectional", "bidirectional_1")
            ]
            self.dense = {
                name: tuple(
                    _tensor(weights[f"{name}/{name}/{part}:0"]) for part in ("kernel", "bias")
                )
                for name in ("dense", "N", "D", "S")
            }

    @torch.inference_mode()
    def point(self, texts: Sequence[str]) -> list[str]:
        """Each text with its points, in the order of Unicode's normal form less the metegs."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found: dict[int, str] = {}
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            for index, pointed in zip(batch, self._batch([texts[i] for i in batch]), strict=True):
                found[index] = pointed
        return [found[index] for index in range(len(texts))]

    def _batch(self, texts: list[str]) -> Iterator[str]:
        indices = [torch.tensor([_index(letter) for letter in text]) for text in texts]
        lengths = torch.tensor([len(text) for text in texts])
        x = self.embedding[pad_sequence(indices, batch_first=True)]
        for layer in self.layers:
            x = layer(x, lengths)
        x = self._apply("dense", x)
        points, dagesh, sin = (self._apply(name, x).argmax(-1).tolist() for name in "NDS")
        for text, *marks in zip(texts, points, dagesh, sin, strict=True):
            yield "".join(
                letter
                + DAGESH[d] * (letter in MAY_DAGESH)
                + SIN[s] * (letter == "ש")
                + POINTS[n] * (letter in MAY_POINT)
                for letter, n, d, s in zip(
                    text, *(mark[: len(text)] for mark in marks), strict=True
                )
            )

    def _apply(self, name: str, x: Tensor) -> Tensor:
        kernel, bias = self.dense[name]
        return x @ kernel + bias


def _index(letter: str) -> int:
    """Of a letter, a space or plain punctuation; else that of Nakdimon's `5` or `O`."""
    if letter in CHARACTERS[4:]:
        return CHARACTERS.index(letter)
    return CHARACTERS.index("5" if letter.isdigit() else "O")
