"""What makes a model faster where a GPU does: fused kernels, compiling."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import Qwen3ASRForConditionalGeneration
from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP, Qwen3RMSNorm

from asr_gate.corpus.errors import UserError
from asr_gate.train import recipes

POSITIONS = 1024
"""Positions whose logits liger-kernel's loss holds at a time: 311 MB with Qwen3-ASR's vocabulary,
and twice that where it rounds up."""


def make_fast(
    model: Qwen3ASRForConditionalGeneration,
    settings: recipes.Qwen3ASRModel,
    device: torch.device,
) -> None:
    """Change a model in place, so that it computes the same in less time.

    Args:
        model: with its adapters.
        settings: of the recipe.
        device: where it computes.

    Raises:
        UserError: kernels are asked for that are not here.
    """
    if choose_kernels(settings.kernels, device) == "liger":
        use_fused_kernels(model)
    if settings.compile:
        compile_layers(model)


def choose_kernels(asked: recipes.Kernels, device: torch.device) -> Literal["liger", "torch"]:
    """`liger` or `torch`; `auto` is liger-kernel on CUDA, if it is installed.

    Raises:
        UserError: liger-kernel is asked for, and not installed or of no use on this device.
    """
    installed = find_spec("liger_kernel") is not None
    usable = installed and device.type == "cuda"
    if asked == "liger" and not usable:
        raise UserError(
            "model.kernels=liger: "
            + ("needs a GPU" if installed else "install it with pip install 'asr-gate[gpu]'")
            + "; or leave model.kernels=auto"
        )
    return "liger" if usable and asked != "torch" else "torch"


class _FusedNorm(Qwen3RMSNorm):  # type: ignore[misc]
    """RMSNorm in one kernel, forward and backward, with the parameters that the norm has."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        from liger_kernel.transformers.functional import liger_rms_norm

        found: Tensor = liger_rms_norm(
            hidden_states, self.weight, self.variance_epsilon, in_place=False
        )
        return found


class _FusedMLP(Qwen3MLP):  # type: ignore[misc]
    """SwiGLU whose product is one kernel."""

    def forward(self, x: Tensor) -> Tensor:
        from liger_kernel.transformers.functional import liger_swiglu

        found: Tensor = self.down_proj(liger_swiglu(self.gate_proj(x), self.up_proj(x)))
        return found


def use_fused_kernels(model: Qwen3ASRForConditionalGeneration) -> None:
    """Let the language model's norms and MLPs compute with liger-kernel's kernels.

    Not by liger-kernel's own patch, which changes the classes for every model of the process.
    """
    for module in model.model.language_model.modules():
        if type(module) is Qwen3RMSNorm:
            module.__class__ = _FusedNorm
        elif type(module) is Qwen3MLP:
            module.__class__ = _FusedMLP


def uses_fused_kernels(model: Qwen3ASRForConditionalGeneration) -> bool:
    """Whether `use_fused_kernels` was called; a head with adapters has no fused loss."""
    return (
        isinstance(model.model.language_model.norm, _FusedNorm) and type(model.lm_head) is nn.Linear
    )


def fused_loss(states: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Summed cross-entropy in nats, and its gradients at once; a scalar.

    Args:
        states: shape (positions, width), at least one.
        head: the output head's weights, shape (tokens, width).
        targets: shape (positions,).
    """
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    # By itself it takes as many positions at a time as their logits are as large as the states:
    # 27 of 2,000, and for each of them the head's whole gradient goes through memory.
    budget = -(-len(head) * POSITIONS // states.numel())
    loss: Tensor = liger_fused_linear_cross_entropy(
        states,
        head,
        targets,
        reduction="sum",
        accum_dtype=torch.float32,
        chunk_mem_const=max(1, budget),
    )
    return loss


def compile_layers(
    model: Qwen3ASRForConditionalGeneration, backend: str | Callable[..., Any] = "inductor"
) -> None:
    """Compile each layer of the language model, for any shape, when it is first called.

    The layers share what was compiled. The audio tower's are left: they read lengths on the host.
    """
    for layer in model.model.language_model.layers:
        layer.compile(dynamic=True, backend=backend)
