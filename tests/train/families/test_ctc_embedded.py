"""The embedded model as a recogniser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from asr_gate.audit.acoustic import load_model
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance
from asr_gate.embedded import files
from asr_gate.embedded.encoding import ALPHABETS
from asr_gate.embedded.network import load
from asr_gate.embedded.training import TrainedNet
from asr_gate.train import recipes
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.rows import Row
from asr_gate.train.distributed import Ranks
from asr_gate.train.families.ctc_embedded import (
    WEIGHTS_FILE,
    EmbeddedCtc,
    LetterEncoder,
    LetterExample,
)
from asr_gate.train.families.registry import family_of
from asr_gate.train.loop.trainee import Trainee
from asr_gate.train.model.lora import add_adapters
from tests.speech import babble, spoken

FAMILY = EmbeddedCtc()
TEXTS = ("and mister john dashwood had then leisure", "he was not an ill disposed young man")


def row(number: int, text: str, seconds: float) -> Row:
    utterance = Utterance(str(number), text, Path("a.wav"), "a.wav", f"m:{number}", lang="en")
    return Row(utterance, seconds, "English")


@pytest.fixture(scope="module")
def model() -> TrainedNet:
    return FAMILY.load("embedded")


@pytest.fixture(scope="module")
def encoder() -> LetterEncoder:
    settings = recipes.EmbeddedCtcModel(family="ctc-embedded")
    return FAMILY.encoder(FAMILY.source(settings, []), recipes.Data())


@pytest.fixture(scope="module")
def examples(encoder: LetterEncoder) -> list[LetterExample]:
    sounds = [sound[: 3 * 16000] for sound in spoken(2)]
    rows = [row(n, text, 3.0) for n, text in enumerate(TEXTS)]
    return [encoder.encode(one, sound) for one, sound in zip(rows, sounds, strict=True)]


def test_the_loss_is_ctc_of_each_row_however_it_is_batched(
    model: TrainedNet, encoder: LetterEncoder, examples: list[LetterExample]
) -> None:
    short = encoder.encode(row(2, "and mister", 1.0), spoken(1)[0][:16000])
    objective = FAMILY.objective(model.train())
    inputs = encoder.batch([*examples, short]).inputs
    alone = [objective(**encoder.batch([one]).inputs) for one in (*examples, short)]
    torch.testing.assert_close(objective(**inputs), torch.stack(alone).sum(), rtol=1e-3, atol=0.01)
    logits, _, _ = model.logits(examples[0].given[None], torch.tensor([len(examples[0].given)]))
    expected = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        examples[0].target[None],
        torch.tensor([logits.shape[1]]),
        torch.tensor([len(TEXTS[0])]),
        reduction="sum",
    )
    torch.testing.assert_close(alone[0], expected)
    weighted = objective(weights=torch.tensor([1.0, 0.5, 0.0]), **inputs)
    torch.testing.assert_close(weighted, alone[0] + alone[1] / 2, rtol=1e-3, atol=0.01)


def test_silence_reaches_every_parameter_and_teaches_nothing(encoder: LetterEncoder) -> None:
    model = FAMILY.load("embedded").train()
    FAMILY.objective(model)(**encoder.silence().inputs).backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_what_is_heard_is_what_the_shipped_model_hears(
    model: TrainedNet, encoder: LetterEncoder, examples: list[LetterExample]
) -> None:
    with torch.inference_mode():
        batch = encoder.evaluation_batch(examples)
        cpu = torch.device("cpu")
        scored = FAMILY.score(model.eval(), encoder, batch, [0, 0], cpu)
        heard = FAMILY.transcribe(model, encoder, examples, cpu, limit=0)
    assert [one.text for one in scored] == [one.text for one in heard]
    assert "dash" in heard[0].text or "john" in heard[0].text
    assert all(one.loss > 0 for one in scored)


def test_rows_that_it_cannot_write_are_refused_by_name(encoder: LetterEncoder) -> None:
    for text, seconds, rule in (
        ("שלום", 3.0, "unknown_letters"),
        ("no such thing as this", 0.2, "text_too_long"),
    ):
        refused = encoder.check(row(0, text, seconds))
        assert refused is not None and refused.rule == rule
    assert encoder.check(row(0, "It's 7 o'clock!", 3.0)) is None, "numbers are read out"


def test_a_model_of_another_language_writes_its_own_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (files.WEIGHTS_FILE, files.CARD_FILE):
        (tmp_path / name).write_bytes((files.SHIPPED / name).read_bytes())
    card = {"language": "he", "tokens": ALPHABETS["he"], "delay": 0.0, "temperature": 2.0}
    files.write(tmp_path / "he", files.read().weights(), card)
    monkeypatch.setattr(files, "SHIPPED", tmp_path)
    settings = recipes.EmbeddedCtcModel(family="ctc-embedded")
    text = "קניתי 5 תפוחים"
    hebrew = Row(Utterance("1", text, Path("a.wav"), "a.wav", "m:1", lang="he"), 3.0, "Hebrew")
    source = FAMILY.source(settings, [hebrew])
    encoder = FAMILY.encoder(source, recipes.Data())
    assert FAMILY.build(source, settings, seed=1).card["language"] == "he"
    written = [ALPHABETS["he"][one] for one in encoder.encode(hebrew, babble(3.0)).target.tolist()]
    assert "".join(written) == "קניתי חמישה תפוחים"
    refused = encoder.check(row(0, "and", 3.0))
    assert refused is not None and "א to ת" in refused.reason
    mixed = FAMILY.source(settings, [hebrew, row(0, "and", 3.0)])
    assert mixed.processor.tokens == ALPHABETS["en"]


def test_changes_follow_from_the_seed(examples: list[LetterExample]) -> None:
    def changed(epoch: int) -> torch.Tensor:
        settings = recipes.Augment(spec_augment=recipes.SpecAugment())
        return examples[0].augmented(Augmentation(settings, seed=1, epoch=epoch, id="0")).given

    first, again, other = changed(1), changed(1), changed(2)
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert torch.isfinite(first).all()


def test_a_checkpoint_is_a_recogniser_and_an_aligner(tmp_path: Path) -> None:
    model = FAMILY.load("embedded")
    with torch.no_grad():
        model.output.bias += 0.1
    source = FAMILY.open("embedded")
    FAMILY.save(tmp_path, model, source.processor, weights=None, dtype=torch.float32)
    assert isinstance(family_of(str(tmp_path)), EmbeddedCtc)
    again = FAMILY.load(str(tmp_path)).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())
    sound = babble(1.0)
    logs, _ = load(tmp_path).emit(torch.from_numpy(sound)[None], torch.tensor([len(sound)]))
    aligner = load_model(f"embedded:{tmp_path}")
    expected = (logs[0] / aligner.info.temperature).softmax(-1).numpy()
    np.testing.assert_allclose(np.exp(aligner.forward([sound])[0]), expected, atol=1e-4)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"no weights")
    with pytest.raises(UserError, match=WEIGHTS_FILE):
        FAMILY.load(str(tmp_path))


def test_what_so_small_a_network_does_not_have_is_refused(model: TrainedNet) -> None:
    with pytest.raises(UserError, match="gradient_checkpointing=false"):
        FAMILY.set_gradient_checkpointing(model, True)
    with pytest.raises(UserError, match="matches no linear layer"):
        add_adapters(FAMILY.load("embedded"), recipes.Lora(layers=["*"]), seed=1)


def test_checkpoints_have_a_share_of_what_was_learned() -> None:
    _, recipe = recipes.load("ctc-embedded", ["checkpoints.learned_share=0.25"])
    trainee = Trainee(FAMILY.load("embedded"), [], recipe, torch.device("cpu"), Ranks())
    bias = trainee.whole.output.bias
    begun = bias.detach().clone()
    with torch.no_grad():
        bias.add_(1.0)
    trained = bias.detach().clone()
    with trainee.as_kept():
        torch.testing.assert_close(bias, begun + 0.25)
    assert torch.equal(bias, trained)
