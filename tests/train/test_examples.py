"""Labels lie on the transcript and its end token, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.encoder import (
    IGNORE,
    PromptedExample,
    PromptEncoder,
    audio_tokens,
    collate,
)
from asr_gate.train.families.qwen3_asr.tokenizer import END_OF_TURN
from asr_gate.train.plan import Refused
from tests.train.support import RATE, WORDS, write_tones


def row(path: Path, seconds: float, text: str, language: str = "English") -> Row:
    return Row(
        Utterance(
            id=path.stem,
            text=text,
            audio=path,
            audio_name=path.name,
            origin="m.jsonl:1",
            duration=seconds,
        ),
        seconds,
        language,
    )


def example_of(prompt: int, target: list[int], end: int) -> PromptedExample:
    """An example whose prompt holds end and padding ids too, as the chat's turns do."""
    ids = torch.arange(prompt) % 7 + 100
    ids[::5] = end
    return PromptedExample(
        row=row(Path("x.wav"), 1.0, "x"),
        prompt=ids,
        tag=0,
        target=torch.tensor([*target, end]),
        features=torch.zeros(128, 100),
        features_mask=torch.ones(100, dtype=torch.long),
    )


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pad_equals_end", [True, False])
def test_supervised_positions_are_the_transcript_and_its_end(
    side: str, pad_equals_end: bool
) -> None:
    end = 9
    pad = end if pad_equals_end else 0
    # The end id occurs inside a transcript too: position decides, not the id.
    lengths = {70: [1, 2, 3], 225: [4, end, 5, 6, 7], 435: [8]}
    examples = [example_of(prompt, target, end) for prompt, target in lengths.items()]
    inputs = collate(examples, pad_id=pad, side=side).inputs
    width = inputs["input_ids"].shape[1]
    assert width == 437
    for index, example in enumerate(examples):
        real = len(example.prompt) + len(example.target)
        first = width - real if side == "left" else 0
        supervised = (inputs["labels"][index] != IGNORE).nonzero().flatten().tolist()
        assert supervised == list(range(first + len(example.prompt), first + real))
        assert inputs["labels"][index][supervised].tolist() == example.target.tolist()
        assert inputs["input_ids"][index][supervised].tolist() == example.target.tolist()
        attended = inputs["attention_mask"][index].nonzero().flatten().tolist()
        assert attended == list(range(first, first + real))


@pytest.mark.parametrize("language", ["English", "Hebrew"])
def test_real_rows_are_supervised_from_the_tag_to_the_end(
    processor, tmp_path: Path, language: str
) -> None:
    path = tmp_path / "a.wav"
    text = "Red  green\nבדיקה"
    seconds = write_tones(path, ["red", "green"])
    encoder = PromptEncoder(processor, recipes.Data())
    example = encoder.read(row(path, seconds, text, language))
    assert isinstance(example, PromptedExample)
    tokenizer = processor.tokenizer
    assert tokenizer.decode(example.target) == "Red green בדיקה" + END_OF_TURN
    prompt = tokenizer.decode(example.prompt)
    assert prompt.endswith(f"<|im_start|>assistant\nlanguage {language}<asr_text>")
    inputs = collate([example], pad_id=encoder.pad_id).inputs
    assert (inputs["labels"] != IGNORE).sum() == len(example.target)
    for side in ("left", "right"):
        learnt = collate([example], pad_id=encoder.pad_id, side=side, learn_language=True).inputs
        supervised = learnt["labels"][0][learnt["labels"][0] != IGNORE]
        tagged = f"language {language}<asr_text>Red green בדיקה{END_OF_TURN}"
        assert tokenizer.decode(supervised) == tagged


def test_the_prompt_is_the_one_of_inference(processor, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    seconds = write_tones(path, ["red", "green", "blue"])
    encoder = PromptEncoder(processor, recipes.Data())
    example = encoder.read(row(path, seconds, "red"))
    assert isinstance(example, PromptedExample)
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32")
    expected = processor.apply_transcription_request([samples], language="English")
    assert example.prompt.tolist() == expected["input_ids"][0].tolist()
    assert torch.equal(example.features, expected["input_features"][0])
    assert encoder.count_tokens(example.row) == len(example.prompt) + len(example.target)
    # Without a language the prompt ends where the tag would begin.
    expected = processor.apply_transcription_request([samples])
    assert example.prompt[: -example.tag].tolist() == expected["input_ids"][0].tolist()
    unknown = encoder.prompt("")
    assert unknown.tag == 0
    assert unknown.tokens == encoder.prompt("English").tokens - example.tag


@pytest.mark.parametrize("samples", [3000, 8000, 12345, 16000, 16160, 48777, 160 * 777])
def test_audio_tokens_are_the_processors(processor, samples: int) -> None:
    noise = np.random.default_rng(0).normal(size=samples).astype(np.float32)
    made = processor.apply_transcription_request([noise], language="English")["input_ids"]
    assert int((made == processor.audio_token_id).sum()) == audio_tokens(samples / RATE)


def test_a_row_in_a_batch_is_the_row_alone(processor, manifest: Path) -> None:
    """Neither features nor the loss of a row depend on its neighbours."""
    from asr_gate.train.families.qwen3_asr.build import build_random, tiny_config
    from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss

    corpus = read_corpus([manifest])
    encoder = PromptEncoder(processor, recipes.Data())
    examples = [
        encoder.read(Row(one, one.duration or 0.0, "English")) for one in corpus.utterances[:4]
    ]
    shape = recipes.TinyModel(audio_layers=1, audio_width=16, text_layers=1, text_width=32)
    model = build_random(tiny_config(shape, processor), untie=True, seed=1).eval()
    objective = TranscriptLoss(model)
    with torch.no_grad():
        alone = sum(float(objective(**collate([e], pad_id=0).inputs)) for e in examples)
        for side in ("left", "right"):
            together = float(objective(**collate(examples, pad_id=0, side=side).inputs))
            assert together == pytest.approx(alone, rel=1e-4)


def test_the_loss_is_the_models_own_on_the_same_labels(processor, manifest: Path) -> None:
    from asr_gate.train.families.qwen3_asr.build import build_random, tiny_config
    from asr_gate.train.families.qwen3_asr.encoder import supervised
    from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss

    encoder = PromptEncoder(processor, recipes.Data())
    examples = [
        encoder.read(Row(one, one.duration or 0.0, "English"))
        for one in read_corpus([manifest]).utterances[:3]
    ]
    shape = recipes.TinyModel(audio_layers=1, audio_width=16, text_layers=1, text_width=32)
    model = build_random(tiny_config(shape, processor), untie=True, seed=1).eval()
    inputs = collate(examples, pad_id=encoder.pad_id).inputs
    with torch.no_grad():
        mean = float(TranscriptLoss(model)(**inputs)) / supervised(inputs["labels"]).sum()
        assert mean == pytest.approx(float(model(**inputs).loss), rel=1e-5)


def test_rows_that_turn_out_unfit_are_set_aside(processor, tmp_path: Path) -> None:
    good, long = tmp_path / "good.wav", tmp_path / "long.wav"
    seconds = write_tones(good, ["red"])
    write_tones(long, list(WORDS))
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    settings = recipes.Data(max_seconds=1.0)
    encoder = PromptEncoder(processor, settings)
    items = [
        encoder.read(row(good, seconds, "red")),
        encoder.read(row(broken, 0.5, "red")),
        encoder.read(row(tmp_path / "none.wav", 0.5, "red")),
    ]
    batch = collate(items, pad_id=0)
    assert [one.utterance.id for one in batch.rows] == ["good"]
    assert [(one.id, one.rule) for one in batch.refused] == [
        ("broken", "unreadable"),
        ("none", "unreadable"),
    ]
    assert collate(items[1:], pad_id=0).inputs == {}
    few = PromptEncoder(processor, recipes.Data(max_tokens=32)).read(
        row(good, seconds, "red " * 30)
    )
    assert isinstance(few, Refused)
    assert few.rule == "too_many_tokens"


def test_a_tokenizer_of_another_model_is_refused(processor) -> None:
    import copy

    from asr_gate.corpus.errors import UserError

    other = copy.deepcopy(processor)
    other.tokenizer.get_vocab = dict
    with pytest.raises(UserError, match="it is not Qwen3-ASR's tokenizer"):
        PromptEncoder(other, recipes.Data())
