"""Low-rank adapters, by peft (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models").

They are part of the model while it trains; checkpoints hold the merged weights and need no peft.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr_gate.train import recipes
from asr_gate.train.model.parameter_groups import expand, matches, summary
from asr_gate.train.recipes import RecipeError

ADAPTER = "default"
"""peft's name for the only adapter of a layer."""


def add_adapters(model: nn.Module, settings: recipes.Lora, *, seed: int) -> None:
    """Add adapters to linear layers; they change nothing until they are trained.

    Their parameters are called `….lora_A.default.weight` and `….lora_B.default.weight`; the layer's
    own parameters are renamed to `….base_layer.…`.

    Args:
        model: changed in place; on the meta device nothing is allocated.
        settings: of the recipe.
        seed: decides the initial values.

    Raises:
        RecipeError: a pattern matches no linear layer.
    """
    from peft import LoraConfig, inject_adapter_in_model

    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    chosen: dict[str, None] = {}
    for pattern in (one for many in settings.layers for one in expand(many)):
        hits = [name for name in linear if matches(pattern, name)]
        if not hits:
            raise RecipeError(
                f"model.lora.layers: {pattern} matches no linear layer; there are "
                f"{summary(f'{name}.weight' for name in linear)}"
            )
        chosen.update(dict.fromkeys(hits))
    torch.manual_seed(seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(chosen),
    )
    meta = next(model.parameters()).is_meta
    inject_adapter_in_model(config, model, adapter_name=ADAPTER, low_cpu_mem_usage=meta)


def merged(model: nn.Module) -> dict[str, Tensor] | None:
    """The weights with the adapters merged in, under the names of a model without adapters.

    The model itself is not changed. None: it has no adapters.
    """
    if not any(".lora_" in name for name, _ in model.named_parameters()):
        return None
    from peft.tuners.lora import Linear

    layers = {n: m for n, m in model.named_modules() if isinstance(m, Linear)}
    weights = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in model.state_dict().items()
        if ".lora_" not in name
    }
    with torch.no_grad():
        for name, layer in layers.items():
            weight = weights[f"{name}.weight"]
            # The layer's own weights may be stored in bfloat16, which would round the sum.
            weights[f"{name}.weight"] = weight.float() + layer.get_delta_weight(ADAPTER)
    return weights
