"""Train the network on the synthesized set for a given time, keeping averaged weights on disk.

The synthesizers tell when each phone and word is spoken, and both are used: a classifier of phones
in the middle of the network learns from labelled frames, and CTC (Graves et al. 2006) may emit a
word's letters only near that word. So nothing has to be discovered by alignment, and the
model emits when a word is heard rather than late.
"""

import math
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from asr_gate.corpus.files import write_atomically
from asr_gate.embedded.augment import NO_WORD, UNKNOWN_PHONE, Augment, Batch
from asr_gate.embedded.encoding import encode
from asr_gate.embedded.files import CARD_FILE, WEIGHTS_FILE, card_text
from asr_gate.embedded.network import EmbeddedNet, Shape, shape_dict, standardise
from recipes.embedded.dataset import FRAMES_PER_SECOND, Item, read
from recipes.embedded.evaluate import align, greedy
from recipes.embedded.language import Language, find
from recipes.embedded.onnx_file import load, to_onnx
from recipes.embedded.temperature import best_temperature

SPACE = -1
"""The last token, in every language."""
HISTORY = ("revision", "data", "trained", "began_with")
"""What the card of a model keeps of the one that its training began with."""
FORBIDDEN = -30.0
"""Log-probability of a letter outside its word: out of reach, yet finite where labels err."""


@dataclass(frozen=True)
class Settings:
    """What a training run is; stored in `model.json`."""

    minutes: float
    seed: int
    batch_frames: int = 3200
    """Frames of 10 ms in a step's batches, padding included."""
    peak_rate: float = 3e-3
    weight_decay: float = 1e-2
    average: float = 0.999
    """Decay a step of the averaged weights."""
    phone_weight: float = 0.4
    """Weight of the phone classifier's cross-entropy beside CTC's loss a letter."""
    tolerance: int = 3
    """Frames of 20 ms that a word's letters may stand before its start or after its end."""
    checkpoint_minutes: float = 4.0


def collate(items: list[Item]) -> Batch:
    """Pad utterances into one batch."""
    size = max(len(item.mel) for item in items)
    mel = np.full((len(items), size, items[0].mel.shape[1]), -9.0, np.float32)
    phones = np.full((len(items), size), UNKNOWN_PHONE)
    words = np.full((len(items), size), NO_WORD)
    for row, item in enumerate(items):
        mel[row, : len(item.mel)] = item.mel
        phones[row, : len(item.mel)] = item.phones
        words[row, : len(item.mel)] = item.words
    return Batch(
        torch.from_numpy(mel),
        torch.tensor([len(item.mel) for item in items]),
        torch.from_numpy(phones),
        torch.from_numpy(words),
        torch.tensor([len(item.text) for item in items]),
    )


def batches(items: list[Item], budget: int, rng: random.Random) -> Iterator[list[Item]]:
    """Endless passes over the set in batches of like lengths, at most `budget` padded frames."""
    while True:
        order = sorted(items, key=lambda item: len(item.mel) * rng.uniform(0.9, 1.1))
        groups: list[list[Item]] = [[]]
        longest = 0
        for item in order:
            longest = max(longest, len(item.mel))
            if longest * (len(groups[-1]) + 1) > budget and groups[-1]:
                groups.append([])
                longest = len(item.mel)
            groups[-1].append(item)
        rng.shuffle(groups)
        yield from groups


def allowed_tokens(
    words: Tensor, texts: list[str], tolerance: int, tokens: tuple[str, ...]
) -> Tensor:
    """Which tokens each frame may emit: (batch, frames) word labels to (batch, frames, tokens).

    Blank always; a word's letters from `tolerance` frames before it to as many after it; the space
    where two words or a word and no word are within reach. A word without frames of its own was
    run into the one before it, and its letters go there.
    """
    count = len(words)
    most = max(len(text.split()) for text in texts)
    letters = torch.zeros(count, most, len(tokens))
    for row, text in enumerate(texts):
        present = set(words[row].tolist())
        first = min(present - {NO_WORD}, default=0)
        home = first
        for number, word in enumerate(text.split()):
            home = number if number in present else home
            letters[row, home, encode(word, tokens)] = 1
            if home != number:
                letters[row, home, SPACE] = 1
    at = F.one_hot(words + 1, most + 1).float().transpose(1, 2)
    near = F.max_pool1d(at, 2 * tolerance + 1, 1, tolerance)
    allowed = torch.einsum("bwt,bwk->btk", near[:, 1:], letters)
    allowed[:, :, SPACE] += (near.sum(1) > 1).float()
    allowed[:, :, 0] = 1
    return allowed > 0


def windowed_ctc(
    logits: Tensor, lengths: Tensor, allowed: Tensor, targets: Tensor, sizes: Tensor
) -> Tensor:
    """CTC loss a letter over alignments that keep to `allowed`, exactly normalised.

    log p(token) = log p(token | allowed) + log p(allowed): CTC sees the first, normalised as its
    gradient requires, and the second is the same for every alignment.
    """
    inside = torch.where(allowed, logits, FORBIDDEN + logits.detach().amax(-1, keepdim=True))
    mass = inside.logsumexp(-1) - logits.logsumexp(-1)
    conditional = inside.log_softmax(-1).transpose(0, 1)
    loss = F.ctc_loss(conditional, targets, lengths, sizes, reduction="none", zero_infinity=True)
    frames = torch.arange(logits.shape[1])[None] < lengths[:, None]
    return (loss.sum() - (mass * frames).sum()) / sizes.sum()


def export(net: EmbeddedNet, folder: Path, card: dict[str, Any]) -> None:
    """`model.onnx` and `model.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = to_onnx(net)
    base = {
        "shape": shape_dict(net.shape),
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    write_atomically(folder / WEIGHTS_FILE, data)
    write_atomically(folder / CARD_FILE, card_text(data, {**base, **card}))


class Average:
    """Exponential moving average of a network's weights and statistics."""

    def __init__(self, net: EmbeddedNet, decay: float, steps: int = 0) -> None:
        self.net = EmbeddedNet(net.shape).eval()
        self.net.load_state_dict(net.state_dict())
        self.decay, self.steps = decay, steps

    @torch.no_grad()
    def update(self, net: EmbeddedNet) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        mine, theirs = self.net.state_dict(), net.state_dict()
        names = [name for name in mine if mine[name].is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in names], [theirs[n] for n in names], 1 - decay)


def rate_at(progress: float, step: int, peak: float) -> float:
    """Linear warm-up over 300 steps, then a cosine to nothing over the time that is left."""
    return peak * min(1.0, (step + 1) / 300) * max(0.01, 0.5 * (1 + math.cos(math.pi * progress)))


def strength_at(progress: float) -> float:
    """Strength of augmentation: up in the first quarter, down to half in the last."""
    return min(1.0, 0.3 + 2.8 * progress, 1.0 - 2 * (progress - 0.75))


@torch.inference_mode()
def figures(net: EmbeddedNet, items: list[Item], language: Language) -> dict[str, float]:
    """Greedy errors a letter, seconds by which aligned word starts come late, and a temperature."""
    heard, late, emissions = [], [], []
    for item in items:
        batch = collate([item])
        tokens, _, _ = net.logits(standardise(batch.mel, batch.frames), batch.frames)
        log_probs = tokens[0].log_softmax(-1)
        heard.append(greedy(log_probs, language.tokens))
        emissions.append(log_probs)
        starts = align(log_probs, item.text, language.tokens).starts
        for number, start in enumerate(starts):
            spoken = np.flatnonzero(item.words == number)
            if len(spoken):
                late.append(start - spoken[0] / FRAMES_PER_SECOND)
    errors = float(jiwer.cer([item.text for item in items], heard))
    return {
        "character_error_rate": round(errors, 4),
        "delay": round(float(np.median(late)), 3),
        "temperature": best_temperature(emissions, [item.text for item in items], language),
    }


def train(
    data: Path,
    settings: Settings,
    out: Path,
    card: dict[str, Any],
    language: Language,
    processes: int,
    resume: bool = False,
    begin_with: Path | None = None,
) -> None:
    """Train for `settings.minutes` on the set in `data`; leaves the model in `out`.

    The minutes are processor time of the first process, so that other work, or a pause, makes the
    training longer and not worse.

    With `resume`, go on from the averaged weights in `out`, if there are any, at the share of the
    time that they had, or, where that time was over, with a schedule of its own. Otherwise begin
    with the model in the folder `begin_with`, of which all layers but the last are taken where it
    is of another language.

    One thread in each process, gradients averaged once a step: where other programs want the
    processors too, several threads would wait for each other at every layer instead.
    """
    with tempfile.TemporaryDirectory() as scratch:
        meeting = f"file://{scratch}/meeting"
        resumed = resume and (out / CARD_FILE).exists()
        begin = out if resumed else begin_with
        arguments = (processes, meeting, data, settings, out, card, language.code, begin)
        spawn(_run, arguments, processes)  # type: ignore[no-untyped-call]


def _run(
    rank: int,
    world: int,
    meeting: str,
    data: Path,
    settings: Settings,
    out: Path,
    card: dict[str, Any],
    code: str,
    begin: Path | None,
) -> None:
    """One of `world` processes; the first keeps the time, the averaged weights and the log."""
    parent = os.getppid()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    language = find(code)
    items = read(data, "train", rank, world)
    held_out = read(data, "held_out") if rank == 0 else []
    torch.manual_seed(settings.seed)
    net = load(begin).train() if begin else EmbeddedNet(Shape()).train()
    before = net.card.get("trained", {"steps": 0, "minutes": 0.0, "progress": 0.0})
    if begin and begin != out:
        before = {**before, "progress": 1.0}
        if net.card.get("language", "en") != code:
            net.output.reset_parameters()
    if before["progress"] >= 1:
        card = {
            **card,
            "began_with": {key: net.card[key] for key in HISTORY if key in net.card},
        }
        before = {**before, "progress": 0.0}
    elif "began_with" in net.card:
        card = {**card, "began_with": net.card["began_with"]}
    # Of another language's weights the average shall keep nothing.
    average = Average(net, settings.average, before["steps"] if begin == out else 0)
    seed = settings.seed + rank + world * before["steps"]
    rng = random.Random(seed)
    augment = Augment(seed)
    parameters = list(net.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.peak_rate, betas=(0.9, 0.98), foreach=True)
    progress: float = before["progress"]
    started = saved = time.process_time()
    totals = np.zeros(3)
    for step, group in enumerate(batches(items, settings.batch_frames // world, rng), 1):
        strength = strength_at(progress)
        if os.getppid() != parent:  # killed, and nobody reads what is written here
            break
        batch = augment(collate(group), strength)
        letters, phone = losses(
            net, augment, batch, [i.text for i in group], strength, settings, language.tokens
        )
        for part in optimizer.param_groups:
            part["lr"] = rate_at(progress, step, settings.peak_rate)
        optimizer.zero_grad()
        (letters + settings.phone_weight * phone).backward()  # type: ignore[no-untyped-call]
        now = time.process_time()
        # The first process's clock travels with the gradients, so that all stop at one step.
        share = before["progress"] + (now - started) / (60 * settings.minutes)
        clock = share * world if rank == 0 else 0.0
        progress = share_gradients(parameters, clock, world)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        done = progress >= 1
        if rank == 0:
            average.update(net)
            seconds = float(batch.frames.sum()) / 100 * world
            totals += [float(letters.detach()), float(phone.detach()), seconds]
            if step % 100 == 0:
                speed = step * totals[2] / 100 / (now - started)
                print(
                    f"step {step}, {100 * progress:.0f} %: ctc {totals[0] / 100:.3f}, phones"
                    f" {totals[1] / 100:.3f}, {speed:.0f} x real time", flush=True,
                )  # fmt: skip
                totals[:] = 0
            if done or now - saved > 60 * settings.checkpoint_minutes:
                saved = now
                found = figures(average.net, held_out, language)
                about = {
                    "steps": before["steps"] + step,
                    "minutes": round(before["minutes"] + (now - started) / 60, 1),
                    "progress": round(progress, 3),
                    "held_out_character_error_rate": found["character_error_rate"],
                }
                measured = {"delay": found["delay"], "temperature": found["temperature"]}
                export(average.net, out, {**card, **measured, "trained": about})
                print(f"saved after step {step}: held-out voice {found}", flush=True)
        if done:
            break
    dist.destroy_process_group()


def share_gradients(parameters: list[nn.Parameter], extra: float, world: int) -> float:
    """Replace every gradient by its mean over the processes; returns the mean of `extra`."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([extra])])
    dist.all_reduce(flat)
    flat /= world
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
    return float(flat[-1])


def losses(
    net: EmbeddedNet,
    augment: Augment,
    batch: Batch,
    texts: list[str],
    strength: float,
    settings: Settings,
    tokens: tuple[str, ...],
) -> tuple[Tensor, Tensor]:
    """CTC loss a letter and the phone classifier's cross-entropy a frame."""
    mel = augment.mask(standardise(batch.mel, batch.frames), batch.frames, strength)
    logits, phones, lengths = net.logits(mel, batch.frames)
    allowed = allowed_tokens(batch.words[:, ::2], texts, settings.tolerance, tokens)
    targets = torch.tensor([token for text in texts for token in encode(text, tokens)])
    letters = windowed_ctc(logits, lengths, allowed, targets, batch.characters)
    padding = torch.arange(logits.shape[1])[None] >= lengths[:, None]
    phone = F.cross_entropy(
        phones.transpose(1, 2),
        batch.phones[:, ::2].masked_fill(padding, UNKNOWN_PHONE),
        ignore_index=UNKNOWN_PHONE,
        label_smoothing=0.05,
    )
    return letters, phone
