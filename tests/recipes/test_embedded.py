"""What the embedded model is trained by; its synthesizers are not needed."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from asr_gate.embedded import files
from asr_gate.embedded.augment import NO_WORD, Augment, Batch
from asr_gate.embedded.encoding import TOKENS, encode
from asr_gate.embedded.network import MELS, PHONES
from recipes.embedded.kokoro import FRAME, LATE, RATE, Piece, timed
from recipes.embedded.onnx_file import load, to_onnx
from recipes.embedded.train import allowed_tokens, windowed_ctc


def losses(logits: torch.Tensor, allowed: torch.Tensor, text: str) -> float:
    frames = torch.tensor([logits.shape[1]])
    targets, sizes = torch.tensor(encode(text)), torch.tensor([len(text)])
    return float(windowed_ctc(logits, frames, allowed, targets, sizes))


def test_the_recipe_writes_the_file_that_every_model_of_this_network_shares() -> None:
    shipped = (files.SHIPPED / files.WEIGHTS_FILE).read_bytes()
    assert to_onnx(load(files.SHIPPED)) == shipped


def test_where_all_is_allowed_it_is_ctc() -> None:
    logits = torch.randn(1, 20, len(TOKENS), generator=torch.Generator().manual_seed(0))
    everything = torch.ones_like(logits, dtype=torch.bool)
    expected = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        torch.tensor(encode("a cat")),
        torch.tensor([20]),
        torch.tensor([5]),
        reduction="sum",
    )
    assert math.isclose(losses(logits, everything, "a cat"), float(expected) / 5, rel_tol=1e-5)


def test_only_paths_that_keep_to_their_windows_count() -> None:
    """Against all paths of six frames that spell "ab", one by one."""
    logits = torch.randn(1, 6, len(TOKENS), generator=torch.Generator().manual_seed(1))
    a, b = encode("ab")
    allowed = torch.zeros_like(logits, dtype=torch.bool)
    allowed[..., 0] = True
    allowed[0, :3, a] = True
    allowed[0, 2:5, b] = True
    logs = logits[0].double().log_softmax(-1).numpy()
    total = -np.inf
    for path in itertools.product((0, a, b), repeat=6):
        spelled = [token for token, _ in itertools.groupby(path) if token]
        if spelled == [a, b] and all(allowed[0, t, token] for t, token in enumerate(path)):
            total = np.logaddexp(total, sum(logs[t, token] for t, token in enumerate(path)))
    assert math.isclose(losses(logits, allowed, "ab"), -total / 2, rel_tol=1e-4)


def test_a_words_letters_are_allowed_near_the_word() -> None:
    words = torch.full((1, 12), NO_WORD)
    words[0, 2:6] = 0
    words[0, 8:10] = 1
    allowed = allowed_tokens(words, ["ab c"], 1, TOKENS)[0]
    a, _, _, c = encode("ab c")
    assert allowed[:, 0].all()
    assert allowed[:, a].nonzero().flatten().tolist() == [1, 2, 3, 4, 5, 6]
    assert allowed[:, c].nonzero().flatten().tolist() == [7, 8, 9, 10]
    space = allowed[:, TOKENS.index(" ")]
    assert space[5:8].all(), "between the words"
    assert not space[3:5].any(), "within one"


def test_augmentation_keeps_labels_with_their_sound() -> None:
    """A loud word in silence is where its labels say, however it was stretched and warped."""
    frames = 200
    mel = torch.full((4, frames, MELS), -9.0)
    mel[:, 80:120] = 3.0
    words = torch.full((4, frames), NO_WORD)
    words[:, 80:120] = 0
    phones = torch.full((4, frames), PHONES.index("sil"))
    phones[:, 80:120] = PHONES.index("aa")
    batch = Batch(mel, torch.full((4,), frames), phones, words, torch.full((4,), 10))
    augment = Augment(0)
    for _ in range(5):
        out = augment(replace(batch, mel=mel.clone()), 0.0)
        assert out.mel.shape[:2] == out.words.shape == out.phones.shape
        assert torch.isfinite(out.mel).all()
        inside = out.words == 0
        assert ((out.phones == PHONES.index("aa")) == inside).all()
        for row, loud, size in zip(out.mel, inside, out.frames, strict=True):
            level = row[:size].mean(1)
            assert level[loud[:size]].mean() > level[~loud[:size]].mean() + 1


def test_planned_durations_become_phone_and_word_times() -> None:
    pieces = [
        Piece("ˈI", "ay", 0),
        Piece(" ", "?", None),
        Piece("s", "s", 1),
        Piece("O", "ow", 1),
        Piece(".", "sil", None),
    ]
    # Edge, two tokens of the first phone, space, two phones, full stop, edge.
    durations = np.array([8, 1, 5, 1, 4, 6, 10, 5], np.float32)
    wave = np.zeros(round(40 * FRAME * RATE), np.float32)
    wave[: round(22 * FRAME * RATE)] = 0.5  # silent before the last phone's planned end
    speech = timed("I so.", pieces, wave, durations, "kokoro:x")
    assert [phone for phone, _ in speech.phones] == ["sil", "ay", "?", "s", "ow", "sil"]
    ends = np.array([8, 14, 15, 19]) * FRAME - LATE
    np.testing.assert_allclose([end for _, end in speech.phones[:4]], ends, rtol=1e-6)
    assert abs(speech.phones[4][1] - 22 * FRAME) < 1e-3
    first, second = speech.words
    assert first is not None and second is not None
    np.testing.assert_allclose([*first, second[0]], ends[[0, 1, 2]], rtol=1e-6)
    assert abs(second[1] - 22 * FRAME) < 1e-3
