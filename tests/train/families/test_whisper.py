"""What is Whisper's own: windows, prompts, labels, decoding, checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from asr_gate.corpus.errors import UserError
from asr_gate.train import recipes
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.examples import Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.interface import Source
from asr_gate.train.families.registry import family_of
from asr_gate.train.families.whisper import tiny
from asr_gate.train.families.whisper.checkpoint import Description, source_of
from asr_gate.train.families.whisper.encoder import IGNORE, WindowEncoder, WindowExample, collate
from asr_gate.train.families.whisper.family import Whisper
from asr_gate.train.families.whisper.loss import TranscriptLoss
from asr_gate.train.families.whisper.tiny import tiny_source
from asr_gate.train.model.checkpoint import write_checkpoint
from asr_gate.train.model.lora import add_adapters
from asr_gate.train.plan import Refused
from tests.train.support import RATE, WORDS, utterance

SHAPE = recipes.TinyWhisper(audio_layers=1, text_layers=1, width=16, vocabulary=280, window=3)
SETTINGS = recipes.Data(max_tokens=1000)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source() -> Source:
    return tiny_source(SHAPE, [" ".join(WORDS)] * 3)


@pytest.fixture(scope="module")
def english() -> Source:
    """An English-only one."""
    one = tiny_source(SHAPE, [" ".join(WORDS)] * 3)
    generation = one.config.generation
    generation.is_multilingual = False
    for name in ("lang_to_id", "task_to_id", "task"):
        delattr(generation, name)
    return source_of("english", one.config.config, one.processor, generation)


def model_of(source: Source) -> WhisperForConditionalGeneration:
    settings = recipes.WhisperModel(tiny=SHAPE)
    return Whisper().build(source, settings, seed=1).eval()


def row(text: str = "red", language: str = "English", seconds: float = 1.0) -> Row:
    return Row(utterance(text[:8], seconds, text), seconds, language)


def noise(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return (0.1 * samples).astype(np.float32)


def examples_of(encoder: WindowEncoder, *rows: Row) -> list[Example]:
    return [encoder.encode(one, noise(one.seconds, seed)) for seed, one in enumerate(rows)]


# Labels


def test_supervised_positions_are_the_transcript_and_its_end() -> None:
    end = 9
    # The end id, which pads too, occurs inside prompts and transcripts: position decides.
    cases = {(5, end, 6, 7): [1, 2, 3], (5, 6): [4, end, 5, 6, 7], (5, 6, 7, end): []}
    examples = [
        WindowExample(
            row=row(),
            prompt=torch.tensor(prompt),
            target=torch.tensor([*said, end]),
            features=torch.zeros(80, 10),
            frames=10,
            window=5,
        )
        for prompt, said in cases.items()
    ]
    inputs = collate(examples, pad_id=end)
    assert inputs["decoder_input_ids"].shape == inputs["labels"].shape == (3, 7)
    for index, (prompt, said) in enumerate(cases.items()):
        read, labels = inputs["decoder_input_ids"][index].tolist(), inputs["labels"][index].tolist()
        first, last = len(prompt) - 1, len(prompt) + len(said)
        assert read == [*prompt, *said] + [end] * (7 - last)
        assert labels == [IGNORE] * first + [*said, end] + [IGNORE] * (7 - last)


@pytest.mark.parametrize("language", ["English", "Hebrew"])
def test_real_rows_are_supervised_from_the_transcript_to_the_end(
    source: Source, language: str
) -> None:
    text = "Red  green\nבדיקה <|endoftext|>"
    encoder = Whisper().encoder(source, SETTINGS)
    decode = source.processor.tokenizer.decode
    tag = {"English": "<|en|>", "Hebrew": "<|he|>"}[language]
    batch = encoder.batch(examples_of(encoder, row(text, language), row("a", language)))
    (read, *_), (labels, *_) = batch.inputs["decoder_input_ids"], batch.inputs["labels"]
    prompt = f"<|startoftranscript|>{tag}<|transcribe|><|notimestamps|>"
    assert decode(read).startswith(f"{prompt} Red green בדיקה")
    supervised = labels[labels != IGNORE]
    assert batch.targets[0] == len(supervised)
    assert decode(supervised) == " Red green בדיקה <|endoftext|><|endoftext|>"
    assert supervised.tolist().count(encoder.end_id) == 1, "what a text holds is text"

    learning = Whisper().encoder(source, replace_data(learn_language=True))
    examples = examples_of(learning, row(text, language))
    learnt = learning.batch(examples).inputs["labels"][0]
    assert decode(learnt[learnt != IGNORE]) == f"{tag}{decode(supervised)}"
    told = learning.evaluation_batch(examples)
    assert told.targets == batch.targets[:1], "an evaluation never counts the language"


def replace_data(**changes: object) -> recipes.Data:
    return SETTINGS.model_copy(update=changes)


def test_a_space_begins_the_texts_of_languages_that_have_spaces(source: Source) -> None:
    encoder = Whisper().encoder(source, SETTINGS)
    decode = source.processor.tokenizer.decode
    assert decode(encoder.target(row("red"))) == " red<|endoftext|>"
    assert decode(encoder.target(row("红", "Chinese"))) == "红<|endoftext|>"


def test_the_loss_is_the_models_own(source: Source) -> None:
    encoder, model = Whisper().encoder(source, SETTINGS), model_of(source)
    batch = encoder.batch(examples_of(encoder, row("red green"), row("blue", seconds=2.0)))
    inputs = dict(batch.inputs)
    labels = inputs.pop("labels")
    objective = TranscriptLoss(model)
    with torch.no_grad():
        logits = model(**inputs).logits.double()
        expected = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORE, reduction="none"
        ).sum(1)
        torch.testing.assert_close(
            objective.by_row(**batch.inputs).double(), expected, rtol=1e-5, atol=1e-5
        )
        weights = torch.tensor([0.5, 2.0])
        found = float(objective(weights=weights, **batch.inputs))
    assert found == pytest.approx(float(expected @ weights.double()), rel=1e-5)


def test_masks_follow_the_seed_and_leave_the_padding(source: Source) -> None:
    """Those of the recipe: transformers' own, of `apply_spec_augment`, are drawn by numpy."""
    settings = recipes.Augment(spec_augment=recipes.SpecAugment())
    encoder = Whisper().encoder(source, SETTINGS)
    example = encoder.encode(row(), noise())
    before, drawn = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, again, other = (
        example.augmented(Augmentation(settings, seed=seed, epoch=1, id="u")) for seed in (1, 1, 2)
    )
    assert torch.equal(one.features, again.features)
    assert not torch.equal(one.features, other.features)
    assert torch.equal(one.features[:, 100:], example.features[:, 100:])
    assert np.array_equal(np.random.get_state()[1], before)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_recomputed_activations_change_no_gradient(source: Source) -> None:
    encoder = Whisper().encoder(source, SETTINGS)
    inputs = encoder.batch(examples_of(encoder, row("red green"), row("blue"))).inputs
    gradients = []
    for again in (False, True):
        model = model_of(source).train()
        Whisper().set_gradient_checkpointing(model, again)
        TranscriptLoss(model)(**inputs).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


# Windows and what does not fit


def test_each_row_is_a_window(source: Source) -> None:
    encoder = Whisper().encoder(source, SETTINGS)
    one = encoder.admit(row("red green", seconds=1.0))
    assert isinstance(one, Row)
    assert (one.window, one.padded, one.seconds) == (3.0, 3.0, 1.0)
    example = encoder.encode(one, noise(1.0))
    assert one.tokens == example.tokens == 150 + 4 + len(encoder.target(one))
    assert (example.features.shape, example.frames) == ((80, 300), 100)
    made = source.processor(noise(1.0), sampling_rate=RATE, return_tensors="pt")
    assert torch.equal(example.features, made["input_features"][0])


@pytest.mark.parametrize(
    ("changed", "rule", "says"),
    [
        (row(seconds=3.01), "longer_than_window", "3.01 s, this Whisper hears 3 s at once"),
        (row("x" * 500), "too_long_a_text", "tokens, this Whisper writes 448, prompt and end"),
        (row(language="Klingon"), "unknown_language", "Klingon: this Whisper knows no such"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    changed: Row, rule: str, says: str, source: Source
) -> None:
    encoder = Whisper().encoder(source, replace_data(max_tokens=10_000))
    found = encoder.admit(changed)
    assert isinstance(found, Refused)
    assert found.rule == rule
    assert says in found.reason


def test_a_text_may_fill_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "MOST_DECODER_TOKENS", 20)
    source = tiny.tiny_source(SHAPE, ["red"])
    encoder, model = Whisper().encoder(source, SETTINGS), model_of(source)
    fitting, longer = ("x" * count for count in (14, 15))  # with 4 of the prompt, space and end
    assert isinstance(encoder.admit(row(longer)), Refused)
    one = encoder.admit(row(fitting))
    assert isinstance(one, Row)
    assert one.tokens == source.most_tokens == 150 + 20
    batch = encoder.batch(examples_of(encoder, one))
    with torch.inference_mode():
        (heard,) = Whisper().score(model, encoder, batch, [10_000], CPU)
    assert heard.loss > 0
    assert not heard.finished


def test_an_english_only_model_hears_english_alone(english: Source) -> None:
    encoder = Whisper().encoder(english, SETTINGS)
    tokenizer = english.processor.tokenizer
    assert tokenizer.decode(encoder.prompt("English")) == "<|startoftranscript|><|notimestamps|>"
    assert encoder.prompt("") == encoder.prompt("English")
    refused = encoder.admit(row(language="Hebrew"))
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.reason) == (
        "unknown_language", "Hebrew: this Whisper is English-only",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"english is English-only.*set it to false"):
        Whisper().encoder(english, replace_data(learn_language=True))


def test_names_of_languages_are_found_among_whisper_s(source: Source) -> None:
    encoder = Whisper().encoder(source, SETTINGS)
    named = {"Hebrew": "he", "Filipino": "tl", "Cantonese": "yue", "Persian": "fa", "Malay": "ms"}
    assert {name: encoder.code(name) for name in named} == named


# Decoding


@pytest.mark.parametrize("kind", ["multilingual", "english-only"])
def test_transformers_alone_decodes_a_saved_checkpoint_the_same(
    kind: str, source: Source, english: Source, tmp_path: Path
) -> None:
    """By its own `generate`, told language and task or, English-only, told nothing."""
    given = source if kind == "multilingual" else english
    family = Whisper()
    spoken = ("Hebrew", "English") if kind == "multilingual" else ("English", "English")
    encoder, model = family.encoder(given, SETTINGS), model_of(given)
    decisive(model)
    write_checkpoint(tmp_path / "saved", model, given.processor, save=family.save)
    rows = [row("red green", spoken[0]), row("blue", spoken[1], 2.0)]
    batch = encoder.evaluation_batch(examples_of(encoder, *rows))
    with torch.inference_mode():
        heard = family.score(model, encoder, batch, [12, 12], CPU)

    theirs = WhisperForConditionalGeneration.from_pretrained(tmp_path / "saved").eval()
    processor = WhisperProcessor.from_pretrained(tmp_path / "saved")
    named = {"language": ["he", "en"], "task": "transcribe"} if kind == "multilingual" else {}
    written = theirs.generate(batch.inputs["input_features"], max_new_tokens=12, **named)
    said = [one.strip() for one in processor.batch_decode(written, skip_special_tokens=True)]
    assert [one.text for one in heard] == said
    assert len(set(said)) == 2, "the test tells prompts and rows apart"


def decisive(model: WhisperForConditionalGeneration) -> None:
    """Random weights that say another thing for each prompt, instead of one token for ever."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) * 0.4)


def test_a_language_that_nobody_names_is_recognised(source: Source) -> None:
    family, model = Whisper(), model_of(source)
    decisive(model)
    encoder = family.encoder(source, SETTINGS)
    rows = [row("", ""), row("", "Hebrew", 2.0)]
    examples = examples_of(encoder, *rows)
    with torch.inference_mode():
        heard = family.transcribe(model, encoder, examples, CPU, limit=12)
        features = torch.stack([one.features for one in examples])
        recognised = int(model.detect_language(input_features=features)[0])
        told = [replace(one, language=two.language) for one, two in zip(rows, heard, strict=True)]
        again = family.transcribe(model, encoder, examples_of(encoder, *told), CPU, limit=12)
    assert encoder.languages[encoder.code(heard[0].language or "") or ""] == recognised
    assert heard[1].language == "Hebrew"
    assert heard == again


def test_neighbours_change_nothing(source: Source) -> None:
    family, model = Whisper(), model_of(source)
    decisive(model)
    encoder = family.encoder(source, SETTINGS)
    examples = examples_of(encoder, row("red green"), row("blue", "Hebrew", 2.0))
    with torch.inference_mode():
        together = family.score(model, encoder, encoder.evaluation_batch(examples), [3, 9], CPU)
        for example, one, limit in zip(examples, together, [3, 9], strict=True):
            alone = family.score(model, encoder, encoder.evaluation_batch([example]), [limit], CPU)
            assert alone == [replace(one, loss=pytest.approx(one.loss, rel=1e-5))]


# Checkpoints


@pytest.fixture
def saved(source: Source, tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "saved", model_of(source), source.processor, save=Whisper().save)
    return tmp_path / "saved"


def change(path: Path, **fields: object) -> None:
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({k: v for k, v in content.items() if v != "gone"}))


def test_a_checkpoint_loads_equal_to_the_bit(saved: Path, source: Source) -> None:
    found = family_of(str(saved))
    assert isinstance(found, Whisper)
    ours, theirs = model_of(source).state_dict(), found.load(str(saved)).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert found.longest(found.open(str(saved))) == 3.0


def test_adapters_are_merged_into_what_is_saved(source: Source, tmp_path: Path) -> None:
    model, encoder = model_of(source), Whisper().encoder(source, SETTINGS)
    add_adapters(model, recipes.Lora(layers=["model.decoder.layers.*_attn.*_proj"]), seed=1)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.normal_()
    write_checkpoint(tmp_path / "saved", model, source.processor, save=Whisper().save)
    merged = Whisper().load(str(tmp_path / "saved")).eval()
    batch = encoder.batch(examples_of(encoder, row("red green")))
    with torch.no_grad():
        ours, theirs, before = (
            float(TranscriptLoss(one)(**batch.inputs)) for one in (model, merged, model_of(source))
        )
    assert theirs == pytest.approx(ours, rel=1e-5)
    assert ours != pytest.approx(before, rel=1e-3)


def test_old_settings_of_decoding_are_completed(saved: Path, source: Source) -> None:
    """Those of 2022 force tokens, and say neither languages nor tasks."""
    change(
        saved / "generation_config.json", lang_to_id="gone", task_to_id="gone", task="gone",
        is_multilingual="gone", no_timestamps_token_id="gone",
        forced_decoder_ids=[[1, None], [2, 5]],
    )  # fmt: skip
    description: Description = Whisper().open(str(saved)).config
    assert description.generation.to_dict() == source.config.generation.to_dict()
    (saved / "generation_config.json").unlink()
    description = Whisper().open(str(saved)).config
    assert description.generation.lang_to_id == source.config.generation.lang_to_id
    change(saved / "config.json", vocab_size=51_864)
    assert not Whisper().open(str(saved)).config.generation.is_multilingual


def test_settings_of_decoding_in_a_released_config_json_do_no_harm(
    saved: Path, tmp_path: Path
) -> None:
    """Transformers 5 refuses to decode with them in `config.json`, where released models have
    them."""
    end = json.loads((saved / "config.json").read_text())["eos_token_id"]
    suppressed = {"suppress_tokens": [3, 4], "begin_suppress_tokens": [220, end]}
    change(
        saved / "config.json", **suppressed, max_length=448, num_hidden_layers=1,
        forced_decoder_ids=[[1, 5], [2, 6], [3, 7]],
    )  # fmt: skip
    change(saved / "generation_config.json", **suppressed)
    family, again = Whisper(), tmp_path / "again"
    source, model = family.open(str(saved)), family.load(str(saved)).eval()
    write_checkpoint(again, model, source.processor, save=family.save)
    encoder = family.encoder(source, SETTINGS)
    batch = encoder.evaluation_batch(examples_of(encoder, row("red", "Hebrew")))
    with torch.inference_mode():
        (heard,) = family.score(model, encoder, batch, [5], CPU)
    theirs = WhisperForConditionalGeneration.from_pretrained(again)
    written = theirs.generate(batch.inputs["input_features"], language="he", max_new_tokens=5)
    said = source.processor.tokenizer.decode(written[0], skip_special_tokens=True)
    assert said.strip() == heard.text


def test_nothing_in_it_draws_from_numpy_or_leaves_layers_out(saved: Path) -> None:
    change(saved / "config.json", apply_spec_augment=True, encoder_layerdrop=0.5)
    model = Whisper().load(str(saved))
    assert not model.config.apply_spec_augment
    assert model.model.encoder.layerdrop == model.model.decoder.layerdrop == 0


@pytest.mark.parametrize(
    ("file", "fields", "says"),
    [
        ("config.json", {"num_mel_bins": 128}, "makes 80 mel bins and 300 frames, the model hears"),
        ("config.json", {"model_type": "bert"}, "holds a bert model, not Whisper"),
        ("config.json", {"decoder_layers": 2}, "the weights do not fit Whisper.*missing keys"),
        ("generation_config.json", None, "no usable Whisper checkpoint"),
        ("tokenizer.json", None, "no usable Whisper checkpoint|not Whisper's tokenizer"),
    ],
)
def test_checkpoints_that_do_not_fit_are_one_line(
    file: str, fields: dict[str, object] | None, says: str, saved: Path
) -> None:
    if fields is None:
        (saved / file).write_text("{}" if file == "tokenizer.json" else "{")
    else:
        change(saved / file, **fields)
    with pytest.raises(UserError, match=says) as caught:
        Whisper().load(str(saved))
    assert "\n" not in str(caught.value)
