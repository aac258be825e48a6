"""The network as one ONNX file: what an audit runs, and the form in which weights are kept.

The graph goes from power spectra and frame counts to logits. Waveforms become spectra in numpy
(`asr_gate.audit.acoustic.spectrum`), so that an audit needs no torch. Weights are stored in half
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

from recipes.embedded.network import FFT, EmbeddedNet, Shape, standardise

WEIGHTS = "model.onnx"
CARD = "model.json"

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


def weights(path: Path) -> dict[str, Tensor]:
    """The weights of a file, in single precision, by their names in the network."""
    return {
        tensor.name.removeprefix("net.").removesuffix(HALF): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.endswith(HALF)
    }


def load(folder: Path) -> EmbeddedNet:
    """A trained network, ready to `emit`; its `card` holds `model.json`."""
    card = json.loads((folder / CARD).read_text("utf-8"))
    net = EmbeddedNet(Shape(**{**card["shape"], "kernels": tuple(card["shape"]["kernels"])}))
    # Batch normalisation counts its batches in integers that inference never reads.
    missing, unexpected = net.load_state_dict(weights(folder / WEIGHTS), strict=False)
    wrong = [name for name in missing if not name.endswith("num_batches_tracked")] + unexpected
    if wrong:
        raise ValueError(f"{WEIGHTS} does not fit network.py: {', '.join(wrong)}")
    net.card = card
    return net.eval()
