"""What batches take on GPUs, counted from shapes: the table of docs/training.md.

    python -m bench.memory             # the table
    python -m bench.memory --measure   # also what a layer keeps, beside what is counted

What a layer keeps for the backward pass is measured on a processor, under the arithmetic of a GPU,
with an eighth of the widths of the 1.7B: it grows with the width and with nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen3ASRConfig

from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr import memory
from asr_gate.train.families.qwen3_asr.build import build_on_meta, build_random
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.model.layers import set_gradient_checkpointing
from asr_gate.train.model.lora import add_adapters
from asr_gate.train.model.parameter_groups import match
from asr_gate.train.prepare import memory_needs
from bench.docs import replace_figures

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
RECIPES = ("round2", "full", "lora", "projector-only")
MACHINES = ((None, 1), (39.4, 1), (39.4, 2), (79.2, 1), (79.2, 2), (79.2, 8))
"""GiB of each GPU, as A100s have them, and their number."""
AUDIO, PROMPT, END = 5, 7, 1
"""Ids of tokens."""


def config(text_layers: int = 28, audio_layers: int = 24, part: int = 1) -> Qwen3ASRConfig:
    """The 1.7B's configuration, or with fewer layers and a part of each width."""
    return Qwen3ASRConfig(
        audio_config={
            "model_type": "qwen3_asr_encoder",
            "encoder_layers": audio_layers,
            "encoder_attention_heads": 16,
            "encoder_ffn_dim": 4096 // part,
            "d_model": 1024 // part,
            "output_dim": 2048 // part,
            "downsample_hidden_size": 480 if part == 1 else 16,
        },
        text_config={
            "model_type": "qwen3",
            "vocab_size": 151_936 if part == 1 else 300,
            "hidden_size": 2048 // part,
            "intermediate_size": 6144 // part,
            "num_hidden_layers": text_layers,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128 // part,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
        audio_token_id=AUDIO,
        eos_token_id=END,
        pad_token_id=END,
    )


def needs_of(recipe: recipes.Recipe) -> dict[str, recipes.Need]:
    """What the phases of a recipe need with the 1.7B."""
    assert isinstance(recipe.model, recipes.Qwen3ASRModel)
    model = build_on_meta(config(), untie=recipe.model.untie_embeddings)
    if recipe.model.lora is not None:
        add_adapters(model, recipe.model.lora, seed=1)
    return memory_needs(Qwen3ASR(), model, match(model, recipe.phases))


def table(names: Sequence[str] = RECIPES) -> list[str]:
    """What `auto` becomes in recipes of the 1.7B."""
    lines = [
        "| recipe | machine | `batch_seconds` | `batch_tokens` | `accumulate` | audio a step, s | "
        "`gradient_checkpointing` |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for name in names:
        recipe = recipes.load(name)[1]
        needs = needs_of(recipe)
        for gib, processes in MACHINES:
            one = recipes.resolve_for_machine(
                recipe, needs, Qwen3ASR.sizes, memory=gib, processes=processes
            )
            machine = "CPU" if gib is None else f"{processes} × {'40' if gib < 50 else '80'} GB"
            data, many = one.data, one.optimizer.accumulate
            kept = [phase.name for phase in one.phases if phase.gradient_checkpointing]
            lines.append(
                f"| `{name}` | {machine} | {data.batch_seconds:g} | {data.batch_tokens:,} | {many} "
                f"| {data.batch_seconds * many * processes:.0f} | {', '.join(kept) or 'none'} |"
            )
    return lines


@contextmanager
def _kept(model: torch.nn.Module) -> Iterator[dict[int, int]]:
    """Bytes that the backward pass would need, by the storage that holds them; no weights."""
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    found: dict[int, int] = {}
    held: list[Tensor] = []  # so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield found


def _bytes_of_a_token(text_layers: int, audio_layers: int, *, tower: bool, again: bool) -> float:
    """What each token of a batch keeps in a small model; audio and other tokens are as many."""
    model = build_random(config(text_layers, audio_layers, part=8), untie=True, seed=1)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("audio_tower" not in name or (tower and ".layers." in name))
    model.train()
    set_gradient_checkpointing(model, again)
    sizes = []
    for rows in (1, 2):
        ids = torch.full((rows, 52), PROMPT)
        ids[:, :26] = AUDIO
        labels = torch.full((rows, 52), -100)
        labels[:, -8:] = END
        with _kept(model) as kept, torch.autocast("cpu", dtype=torch.bfloat16):
            TranscriptLoss(model)(
                labels=labels,
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                input_features=torch.zeros(rows, 128, 200),
                input_features_mask=torch.ones(rows, 200, dtype=torch.long),
            )
        sizes.append(sum(kept.values()))
    return (sizes[1] - sizes[0]) / 52


def measured() -> dict[str, tuple[float, float]]:
    """Bytes for each token and unit of width: measured, and as they are counted."""
    base = _bytes_of_a_token(1, 1, tower=False, again=False)
    text = (_bytes_of_a_token(2, 1, tower=False, again=False) - base) / 256
    heard = _bytes_of_a_token(1, 1, tower=True, again=False)
    # Half of the tokens are audio.
    audio = 2 * (_bytes_of_a_token(1, 2, tower=True, again=False) - heard) / 128
    once = _bytes_of_a_token(1, 1, tower=False, again=True)
    again = (_bytes_of_a_token(2, 1, tower=False, again=True) - once) / 256
    return {
        "layer of the language model": (text, memory.TEXT_LAYER),
        "beside the layers": (base / 256 - text, memory.TEXT_REST),
        "layer of the audio tower": (audio, memory.AUDIO_LAYER),
        "layer with gradient checkpointing": (again, memory.INPUT),
    }


def main() -> None:
    """Print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help="also what a layer keeps")
    if parser.parse_args().measure:
        for name, (found, counted) in measured().items():
            print(f"{name}: {found:.1f} bytes for each token and unit of width, {counted} counted")
    lines = table()
    print("\n".join(lines))
    replace_figures(PAGE, "machines", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
