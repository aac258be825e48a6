"""The model's two files, `model.onnx` and `model.json`, read and written without an ONNX library.

Every model of this network has the same graph; its weights lie in the file in half precision, each
behind its name. So a folder from anybody is checked byte by byte: outside of the weights it must be
the file that comes with the project. No other graph is ever run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import SETTINGS_LIMIT, read_regular, write_atomically
from asr_gate.corpus.strict import parse_json
from asr_gate.corpus.text.language import primary_code
from asr_gate.embedded.encoding import ALPHABETS, SAMPLE_RATE, STRIDE_SECONDS, TOKENS

SHIPPED = Path(__file__).parent
WEIGHTS_FILE = "model.onnx"
CARD_FILE = "model.json"

Half = NDArray[np.float16]

# In the wire format of protocol buffers a tensor's name (field 8) is followed by the tag of its
# data (field 9, 0x4a), their length, and the data.
_TENSOR = re.compile(rb"net\.([\w.]+):half\x4a")


class Card(BaseModel):
    """What `model.json` says; of what else stands in it, only that it is JSON."""

    model_config = ConfigDict(frozen=True, extra="allow")

    revision: str = Field(max_length=100)
    tokens: tuple[str, ...]
    blank: int
    stride: float
    sample_rate: int
    delay: float = Field(ge=-1, le=1, allow_inf_nan=False)
    """Seconds by which the first letter of a word comes after the word's start."""
    temperature: float = Field(ge=0.1, le=100, allow_inf_nan=False)
    """What the logits are divided by before an audit reads them."""
    language: str = Field(default="en", max_length=20)
    """ISO 639 code."""


@dataclass(frozen=True)
class Files:
    """A model as read."""

    graph: bytes
    """Content of `model.onnx`."""
    card: Card
    sha256: str
    """Of both files, one after the other."""

    def weights(self) -> dict[str, Half]:
        """The weights by their names in the network, each flat, read-only."""
        return weights_in(self.graph)


def shipped(language: str | None) -> Path:
    """The folder of the model that comes with the project for a language, else of the English one.

    Args:
        language: code or English name.
    """
    code = primary_code(language) if language else None
    folder = SHIPPED / (code or "")
    return folder if (folder / WEIGHTS_FILE).is_file() else SHIPPED


def read(folder: Path = SHIPPED) -> Files:
    """Read a model of this network.

    Args:
        folder: holds `model.onnx` and `model.json`, from whomever.

    Raises:
        UserError: a file is missing, or it is not a model of this network.
    """
    path = folder / WEIGHTS_FILE
    try:
        # One byte more than it may have, for a message of our own.
        graph = read_regular(path, (SHIPPED / WEIGHTS_FILE).stat().st_size + 1)
        text = read_regular(folder / CARD_FILE, SETTINGS_LIMIT)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: cannot be read ({error.strerror}); a trained embedded "
            f"model is a folder with {WEIGHTS_FILE} and {CARD_FILE}"
        ) from error
    if folder != SHIPPED and _without_weights(graph) != _without_weights(_shipped()):
        raise UserError(
            f"{path}: not a model of the embedded network, which asr train ctc-embedded writes"
        )
    try:
        card = Card.model_validate(parse_json(text))
    except ValueError as error:
        fault = error.errors()[0] if isinstance(error, ValidationError) else None
        said = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault else str(error)
        raise UserError(f"{folder / CARD_FILE}: not the card of a model ({said})") from error
    fixed = (0, STRIDE_SECONDS, SAMPLE_RATE)
    rates = (card.blank, card.stride, card.sample_rate)
    if card.tokens not in ALPHABETS.values() or rates != fixed:
        raise UserError(f"{folder / CARD_FILE}: has other tokens or rates than the network")
    return Files(graph, card, hashlib.sha256(graph + text).hexdigest())


def write(folder: Path, weights: Mapping[str, Half], card: Mapping[str, Any]) -> None:
    """Write a model; its folder is made, and each file is there as a whole or not at all.

    Args:
        folder: of the model.
        weights: all of them, by their names in the network.
        card: what `model.json` says besides what is the same in every model of this network.

    Raises:
        OSError: no space, no permission.
        ValueError: weights of another network.
    """
    graph = with_weights(_shipped(), weights)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS_FILE, graph)
    write_atomically(folder / CARD_FILE, card_text(graph, card))


def card_text(graph: bytes, card: Mapping[str, Any]) -> bytes:
    """Content of `model.json` beside a `model.onnx`."""
    base = {
        "revision": f"embedded-1-{hashlib.sha256(graph).hexdigest()[:12]}",
        "tokens": list(TOKENS),
        "blank": 0,
        "stride": STRIDE_SECONDS,
        "sample_rate": SAMPLE_RATE,
    }
    return (json.dumps({**base, **card}, indent=2) + "\n").encode()


def weights_in(graph: bytes) -> dict[str, Half]:
    """The weights in a `model.onnx` by their names in the network, each flat, read-only."""
    return {
        name: np.frombuffer(graph, "<f2", (end - start) // 2, start)
        for name, (start, end) in _places(graph).items()
    }


def with_weights(graph: bytes, weights: Mapping[str, Half]) -> bytes:
    """The same `model.onnx` with other weights.

    Raises:
        ValueError: weights of another network.
    """
    places = _places(graph)
    if places.keys() != weights.keys():
        raise ValueError(f"other weights: {sorted(places.keys() ^ weights.keys())}")
    content = bytearray(graph)
    for name, (start, end) in places.items():
        data = weights[name].astype("<f2").tobytes()
        if len(data) != end - start:
            raise ValueError(f"{name} has another size")
        content[start:end] = data
    return bytes(content)


def _places(graph: bytes) -> dict[str, tuple[int, int]]:
    """Where the data of each weight begins and ends."""
    found = {}
    for match in _TENSOR.finditer(graph):
        size = shift = 0
        at = match.end()
        while True:  # a length in groups of seven bits, the lowest first
            byte = graph[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found[match.group(1).decode()] = (at, at + size)
    return found


@cache
def _shipped() -> bytes:
    return (SHIPPED / WEIGHTS_FILE).read_bytes()


def _without_weights(graph: bytes) -> bytes:
    """What is the same in every model: the file with zeros for the shipped one's weights."""
    content = bytearray(graph)
    for start, end in _places(_shipped()).values():
        content[start:end] = bytes(end - start)
    return bytes(content)
