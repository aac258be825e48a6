"""The network as one ONNX file: what an audit runs, and the form in which weights are kept.

The graph goes from power spectra and frame counts to logits. Waveforms become spectra in numpy
(`asr_gate.embedded.encoding`), so that an audit needs no torch. Weights are stored in half
precision and cast where they are used; onnxruntime does that once, when it loads the file.
"""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from asr_gate.embedded.encoding import FFT
from asr_gate.embedded.files import CARD_FILE, WEIGHTS_FILE, weights_in
from asr_gate.embedded.network import EmbeddedNet, Shape, build, standardise

OPSET = 17
HALF = ":half"
"""What the name of a weight ends with in the file."""


class _Graph(nn.Module):
    """(batch, frames, FFT / 2 + 1) and (batch,) to (batch, frames / 2, tokens)."""

    def __init__(self, net: EmbeddedNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, power: Tensor, frames: Tensor) -> Tensor:
        mel = self.net.features.mel(power, frames)
        return self.net.logits(standardise(mel, frames), frames)[0]


def to_onnx(net: EmbeddedNet) -> bytes:
    """The file's content."""
    buffer: Any = io.BytesIO()  # which the exporter takes without saying so
    example = torch.rand(2, 101, FFT // 2 + 1), torch.tensor([101, 77])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated; the new one needs onnxscript
        torch.onnx.export(
            _Graph(net).eval(),
            example,
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=["power", "frames"],
            output_names=["logits"],
            dynamic_axes={
                "power": {0: "batch", 1: "frames"},
                "frames": {0: "batch"},
                "logits": {0: "batch", 1: "halved"},
            },
            # Batch normalisation stays apart, so that the file holds the weights themselves.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    graph = model.graph
    learnt = {f"net.{name}" for name in net.state_dict()}
    kept, casts = [], []
    for tensor in graph.initializer:
        if tensor.name in learnt:
            values, name = numpy_helper.to_array(tensor).astype(np.float16), tensor.name + HALF
            kept.append(numpy_helper.from_array(values, name))
            casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def load(folder: Path) -> EmbeddedNet:
    """A network of any shape, ready to `emit`; its `card` holds `model.json`."""
    card = json.loads((folder / CARD_FILE).read_text("utf-8"))
    shape = Shape(**{**card["shape"], "kernels": tuple(card["shape"]["kernels"])})
    net = build(shape, weights_in((folder / WEIGHTS_FILE).read_bytes()))
    net.card = card
    return net
