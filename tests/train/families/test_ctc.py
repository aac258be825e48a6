"""Letters, frames and losses of encoders with a CTC head, and where they come from."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoTokenizer,
    Data2VecAudioConfig,
    HubertConfig,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
)

from asr_gate.audit.acoustic.huggingface import HuggingFaceModel
from asr_gate.corpus.errors import UserError
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row
from asr_gate.train.families.ctc.encoder import LetterEncoder, LetterExample
from asr_gate.train.families.ctc.family import Ctc
from asr_gate.train.families.ctc.frames import frames_of, inputs_of
from asr_gate.train.families.ctc.load import fitted, load_model
from asr_gate.train.families.ctc.loss import LetterLoss
from asr_gate.train.families.ctc.vocabulary import Processor, Vocabulary
from asr_gate.train.families.interface import Heard, Source
from asr_gate.train.model.ctc import best_path, ctc_losses, fewest_frames
from asr_gate.train.model.lora import add_adapters
from asr_gate.train.model.parameter_groups import match
from asr_gate.train.plan import Refused
from tests.train.families.recipes import load, train_tiny
from tests.train.support import RATE, utterance, write_report

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
EXACT = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
BERT = {name: x for name, x in SMALL.items() if "conv" not in name}
KINDS = {
    "wav2vec2": Wav2Vec2Config(**SMALL, **EXACT),
    "wav2vec2, group norm": Wav2Vec2Config(**SMALL),
    "MMS": Wav2Vec2Config(**SMALL, **EXACT, adapter_attn_dim=8),
    "hubert": HubertConfig(**SMALL, **EXACT),
    "hubert, group norm": HubertConfig(**SMALL),
    "wav2vec2 with an adapter": Wav2Vec2Config(**SMALL, **EXACT, add_adapter=True),
    "data2vec": Data2VecAudioConfig(**SMALL),
    "wavlm": WavLMConfig(**SMALL, **EXACT),
    "w2v-BERT 2": Wav2Vec2BertConfig(**BERT),
    "w2v-BERT 2 with an adapter": Wav2Vec2BertConfig(**BERT, add_adapter=True),
}


def row(text: str, seconds: float = 2.0, id: str = "u", language: str = "English") -> Row:
    return Row(utterance(id, seconds, text), seconds, language)


ROWS = [row("Red green"), row("it's 7 Blue-birds!")]


def source(config: Any, rows: list[Row] = ROWS) -> Source:
    vocabulary = Vocabulary.learnt(rows)
    extractor = (
        SeamlessM4TFeatureExtractor()
        if config.model_type == "wav2vec2-bert"
        else Wav2Vec2FeatureExtractor(return_attention_mask=True)
    )
    fitting = fitted(config, vocabulary)
    return Source("t", fitting, Processor(extractor, vocabulary), len(vocabulary.tokens), 1)


def encoder(kind: str = "wav2vec2", **settings: Any) -> LetterEncoder:
    return Ctc().encoder(source(KINDS[kind]), recipes.Data(**settings))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return made.astype(np.float32)


def test_a_transcript_becomes_the_letters_that_are_said() -> None:
    vocabulary = Vocabulary.learnt(ROWS)
    assert vocabulary.tokens == (
        "<pad>", "<unk>", "|", *sorted(set("redgreenit'ssevenbluebirds")),
    )  # fmt: skip
    ids = vocabulary.ids("It's  7 blue birds.", "English")
    assert vocabulary.text(ids) == "it's seven blue birds"
    assert vocabulary.blank not in ids
    strange = vocabulary.ids("red ßred", "English")
    assert strange.count(vocabulary.unknown) == 1
    assert vocabulary.text(strange) == "red red"


def test_plain_transformers_has_the_same_letters(tmp_path: Path) -> None:
    made = source(KINDS["wav2vec2"]).processor
    made.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "red green birds"
    assert tokenizer(text).input_ids == made.vocabulary.ids(text, "English")
    assert Vocabulary.of(tokenizer, 0, len(made.vocabulary.tokens), "t") == made.vocabulary


def test_capitals_are_written_where_there_are_no_small_letters() -> None:
    upper = Vocabulary(("<pad>", "<unk>", "|", "D", "E", "R"), blank=0, unknown=1, space=2)
    assert upper.ids("Red", "English") == [5, 4, 3]
    upper.require([row("red")] * 3, "t")
    with pytest.raises(UserError, match=r"cannot write 25 % of the letters.*vocabulary=corpus"):
        upper.require([row("red green")], "t")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [RATE // 2, 12_345, 31_999])
def test_frames_are_counted_as_the_model_makes_them(kind: str, samples: int) -> None:
    made = encoder(kind)
    model = Ctc().build(source(KINDS[kind]), recipes.CtcModel(family="ctc", tiny={}), seed=1).eval()
    example = made.encode(row("red", samples / RATE), noise(samples / RATE))
    assert len(example.values) == inputs_of(made.config, samples)
    with torch.no_grad():
        logits, frames = LetterLoss(model, 0).logits(
            example.values[None], torch.tensor([len(example.values)])
        )
    assert logits.shape[1] == int(frames) == example.frames == made.count_tokens(example.row)
    assert example.frames == frames_of(made.config, len(example.values))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_batch_do_not_see_each_other(kind: str) -> None:
    made = encoder(kind)
    model = Ctc().build(source(KINDS[kind]), recipes.CtcModel(family="ctc", tiny={}), seed=1).eval()
    objective = Ctc().objective(model)
    examples = [
        made.encode(row("red green", seconds), noise(seconds, seed))
        for seed, seconds in enumerate((1.0, 0.43, 0.71))
    ]
    with torch.no_grad():
        together = made.batch(examples).inputs
        logits, frames = objective.logits(together["values"], together["inputs"])
        for place, example in enumerate(examples):
            alone = made.batch([example]).inputs
            expected, _ = objective.logits(alone["values"], alone["inputs"])
            found = logits[place, : int(frames[place])]
            torch.testing.assert_close(found, expected[0], rtol=1e-3, atol=1e-5)


STILL = {
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0, "final_dropout": 0.0, "mask_time_prob": 0.0,
}  # fmt: skip
EVERY_FRAME = {"mask_time_prob": 1.0, "mask_time_length": 1}
PADDED = [
    *((kind, "plain") for kind in ("wav2vec2", "hubert", "hubert, group norm", "data2vec")),
    *(
        ("wav2vec2, group norm", way)
        for way in ("plain", "checkpointed", "frozen convolutions", "adapters", "masked")
    ),
    ("wav2vec2", "checkpointed"),
]


@pytest.mark.parametrize(("kind", "way"), PADDED)
def test_a_padded_batch_trains_as_its_rows_do(kind: str, way: str) -> None:
    config = copy.deepcopy(KINDS[kind])
    config.update(STILL | (EVERY_FRAME if way == "masked" else {}))
    made = Ctc().encoder(source(config), recipes.Data())
    model: Any = Ctc().build(source(config), recipes.CtcModel(family="ctc", tiny={}), seed=1)
    model.train()
    if way == "adapters":
        add_adapters(model, recipes.Lora(layers=["*.attention.*_proj"], rank=2, alpha=4), seed=1)
        model.requires_grad_(False)
    trained = {
        name: parameter.requires_grad_()
        for name, parameter in model.named_parameters()
        if (way != "adapters" or ".lora_" in name)
        and (way != "frozen convolutions" or "feature_extractor" not in name)
    }
    model.base_model.feature_extractor.requires_grad_(
        way not in ("frozen convolutions", "adapters")
    )
    Ctc().set_gradient_checkpointing(model, way == "checkpointed")
    examples = [
        made.encode(row(text, seconds), noise(seconds, seed))
        for seed, (text, seconds) in enumerate((("red", 0.43), ("it's", 1.0), ("green", 0.7)))
    ]

    def learnt(some: list[LetterExample]) -> tuple[float, dict[str, torch.Tensor]]:
        model.zero_grad()
        loss = Ctc().objective(model)(**made.batch(some).inputs)
        loss.backward()
        return float(loss.detach()), {name: one.grad.clone() for name, one in trained.items()}

    loss, gradients = learnt(examples)
    alone = [learnt([example]) for example in examples]
    assert loss == pytest.approx(sum(one for one, _ in alone), rel=1e-4)
    assert any(gradient.any() for gradient in gradients.values())
    for name, gradient in gradients.items():
        expected = sum((of[name] for _, of in alone), torch.zeros(()))
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("kind", ["wav2vec2, group norm", "hubert"])
def test_a_padded_batch_is_heard_as_its_rows_are(kind: str) -> None:
    made = encoder(kind)
    model = Ctc().build(source(KINDS[kind]), recipes.CtcModel(family="ctc", tiny={}), seed=1).eval()
    examples = [
        made.encode(row("red", seconds), noise(seconds, seed))
        for seed, seconds in enumerate((0.43, 1.0, 0.7))
    ]
    host = torch.device("cpu")

    def score(some: list[LetterExample]) -> list[Heard]:
        return Ctc().score(model, made, made.batch(some), [], host)

    with torch.no_grad():
        together = score(examples)
        alone = [heard for example in examples for heard in score([example])]
        heard = Ctc().transcribe(model, made, examples, host, limit=1)
    assert [one.text for one in together] == [one.text for one in alone]
    assert [one.text for one in together] == [one.text for one in heard]
    assert any(one.text for one in together)
    losses = [one.loss for one in alone]
    assert [one.loss for one in together] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("kind", ["wav2vec2, group norm", "data2vec"])
def test_a_row_shorter_than_a_mask_trains_beside_longer_ones(kind: str) -> None:
    made = encoder(kind)
    model = Ctc().build(source(KINDS[kind]), recipes.CtcModel(family="ctc", tiny={}), seed=1)
    model.train()
    examples = [made.encode(row("red", seconds), noise(seconds)) for seconds in (0.1, 1.0)]
    assert examples[0].frames < KINDS[kind].mask_time_length
    assert torch.isfinite(Ctc().objective(model)(**made.batch(examples).inputs))


def test_the_loss_is_the_models_own_on_the_same_letters() -> None:
    made = encoder()
    model = Ctc().build(source(KINDS["wav2vec2"]), recipes.CtcModel(family="ctc", tiny={}), seed=1)
    model.eval()
    texts = ("red green", "it's", "birds")
    batch = made.batch([
        made.encode(row(text, 1 + n), noise(1 + n, n)) for n, text in enumerate(texts)
    ])  # fmt: skip
    inputs = batch.inputs
    labels = inputs["targets"].clone()
    labels[torch.arange(labels.shape[1]) >= inputs["letters"][:, None]] = -100
    mask = torch.arange(inputs["values"].shape[1]) < inputs["inputs"][:, None]
    with torch.no_grad():
        own = model(input_values=inputs["values"], attention_mask=mask.long(), labels=labels).loss
        found = Ctc().objective(model)(**inputs)
    assert float(found) == pytest.approx(float(own), rel=1e-5)
    assert batch.targets == [len(text) for text in texts]


def test_a_target_that_audio_is_too_short_for_is_refused_by_name() -> None:
    assert fewest_frames([3, 3, 4]) == 4
    made = encoder()
    short = made.admit(row("seven blue birds green green", 0.5, id="u7"))
    assert isinstance(short, Refused)
    assert (short.id, short.rule) == ("u7", "too_few_frames")
    assert "need 30 frames, 0.50 s of audio have 24" in short.reason
    assert isinstance(made.admit(row("seven blue birds green green", 1.0)), Row)


@pytest.mark.parametrize("target", [[1, 2, 3], [1, 1, 2], [2, 2, 2, 2]])
def test_fewest_frames_is_where_the_loss_becomes_finite(target: list[int]) -> None:
    least = fewest_frames(target)
    logits = torch.randn(1, least, 5)
    for frames in (least - 1, least):
        (loss,) = ctc_losses(
            logits, torch.tensor([frames]), torch.tensor([target]), torch.tensor([len(target)]),
            blank=0,
        )  # fmt: skip
        assert bool(torch.isfinite(loss)) is (frames == least)


def test_the_best_path_merges_repeats_and_blanks() -> None:
    best = torch.nn.functional.one_hot(torch.tensor([[1, 1, 0, 1, 2, 2, 0, 3]]), 4)
    assert best_path(best, [8], blank=0) == [[1, 1, 2, 3]]
    assert best_path(best, [4], blank=0) == [[1, 1]]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learn_language": True}, "learn_language"),
        ({"augment": recipes.Augment(spec_augment=recipes.SpecAugment())}, "spec_augment"),
    ],
)
def test_what_it_does_not_have_is_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        encoder(**settings)


def test_its_own_masks_follow_the_seed_of_torch_alone() -> None:
    config = Wav2Vec2Config(**SMALL, **EXACT, mask_time_prob=0.5, mask_time_length=2)
    made = Ctc().encoder(source(config), recipes.Data())
    model = Ctc().build(source(config), recipes.CtcModel(family="ctc", tiny={}), seed=1).train()
    objective = Ctc().objective(model)
    batch = made.batch([made.encode(row("red"), noise(1.0))]).inputs
    found = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        np.random.seed(len(found))
        found.append(float(objective(**batch).detach()))
        assert np.random.randint(2**30) == np.random.RandomState(len(found) - 1).randint(2**30)
    assert found[0] == found[2] != found[1]


def test_a_trained_model_is_one_of_transformers_and_an_aligner(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    result = train_tiny("ctc", manifest, report, out=tmp_path / "r")
    final = str(tmp_path / "r" / "final")
    model = AutoModelForCTC.from_pretrained(final).eval()
    assert AutoFeatureExtractor.from_pretrained(final).sampling_rate == RATE
    aligner = HuggingFaceModel(final, "en", "cpu")
    assert aligner.info.blank == 0
    assert aligner.info.tokens[2] == " "
    (emission,) = aligner.forward([noise(1.0)])
    assert emission.shape == (49, model.config.vocab_size)
    assert result.plan.tokens == model.config.vocab_size


def test_rows_that_cannot_be_learnt_are_listed_in_the_plan(manifest: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines[4]["text"] = " ".join(["green"] * 40)
    other = manifest.with_name("long.jsonl")
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    plan = train_tiny("ctc", other, write_report(tmp_path / "a", other), dry_run=True).plan
    assert [(one.id, one.rule) for one in plan.refused] == [("u004", "too_few_frames")]


def write_checkpoint(folder: Path, config: Any, *, head: bool = True) -> Any:
    """A small checkpoint with the letters of `ROWS`; without a head as after pre-training."""
    made = source(config)
    model: Any = Ctc().build(made, recipes.CtcModel(family="ctc", tiny={}), seed=3)
    model.save_pretrained(folder)
    made.processor.save_pretrained(folder)
    if not head:
        path = folder / "model.safetensors"
        weights = {name: x for name, x in load_file(path).items() if "lm_head" not in name}
        save_file(weights, path, metadata={"format": "pt"})
    return model


@pytest.mark.parametrize("head", [True, False])
def test_a_new_head_is_for_the_corpus_letters_and_depends_on_the_seed(
    head: bool, tmp_path: Path
) -> None:
    before = write_checkpoint(tmp_path / "c", KINDS["wav2vec2"], head=head)
    settings = recipes.CtcModel(family="ctc", pretrained=str(tmp_path / "c"))
    rows = [row("an other corpus")]
    made = Ctc().source(settings, rows)
    assert made.tokens == len(set("another corpus")) + 2
    models = [Ctc().build(made, settings, seed=seed) for seed in (1, 1, 2)]
    heads = [model.lm_head.weight for model in models]  # type: ignore[attr-defined]
    assert heads[0].shape[0] == made.tokens
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    theirs = dict(before.named_parameters())
    for name, parameter in models[0].named_parameters():
        if not name.startswith("lm_head"):
            assert torch.equal(parameter, theirs[name]), name


def test_a_checkpoint_s_own_letters_are_kept_and_must_be_there(tmp_path: Path) -> None:
    before = write_checkpoint(tmp_path / "c", KINDS["wav2vec2"])
    settings = recipes.CtcModel(
        family="ctc", pretrained=str(tmp_path / "c"), vocabulary="checkpoint"
    )
    made = Ctc().source(settings, ROWS)
    model = Ctc().build(made, settings, seed=1)
    assert torch.equal(model.lm_head.weight, before.lm_head.weight)  # type: ignore[union-attr]
    with pytest.raises(UserError, match="vocabulary=corpus"):
        Ctc().source(settings, [row("שלום", language="Hebrew")])
    write_checkpoint(tmp_path / "none", KINDS["wav2vec2"], head=False)
    with pytest.raises(UserError, match="do not fit an encoder with a CTC head"):
        load_model(str(tmp_path / "none"), None, made.config, new_head=False)


def test_adapters_of_a_language_are_loaded_with_its_letters(tmp_path: Path) -> None:
    """As MMS has them: a vocabulary for each language, and a file with adapters and head."""
    model = write_checkpoint(tmp_path, KINDS["MMS"])
    letters = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "ש": 5, "ל": 6}
    vocabularies = json.loads((tmp_path / "vocab.json").read_text())
    nested = {"eng": vocabularies, "heb": letters}
    (tmp_path / "vocab.json").write_text(json.dumps(nested))
    told = json.loads((tmp_path / "tokenizer_config.json").read_text())
    told["target_lang"] = "eng"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    theirs = {
        name: torch.full_like(x, 0.5)
        for name, x in model._get_adapters().items()
        if "lm_head" not in name
    }
    heads = {"lm_head.weight": torch.ones(7, 32), "lm_head.bias": torch.zeros(7)}
    save_file({**theirs, **heads}, tmp_path / "adapter.heb.safetensors")
    for vocabulary, tokens in (("checkpoint", 7), ("corpus", 5)):
        settings = recipes.CtcModel(
            family="ctc", pretrained=str(tmp_path), vocabulary=vocabulary, adapter="heb"
        )
        made = Ctc().source(settings, [row("של", language="Hebrew")])
        assert made.tokens == tokens
        built: Any = Ctc().build(made, settings, seed=1)
        adapter = built.wav2vec2.encoder.layers[1].adapter_layer.linear_1.weight
        assert bool((adapter == 0.5).all())
        assert built.lm_head.weight.shape[0] == built.config.vocab_size == tokens
        assert bool((built.lm_head.weight == 1).all()) is (vocabulary == "checkpoint")


def test_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2-conformer"}')
    settings = recipes.CtcModel(family="ctc", pretrained=str(tmp_path))
    with pytest.raises(UserError, match="holds a wav2vec2-conformer model"):
        Ctc().source(settings, ROWS)


def test_the_recipe_trains_what_it_says_of_the_released_model() -> None:
    """facebook/w2v-bert-2.0: 24 layers of width 1024; the defaults of its configuration."""
    made = source(Wav2Vec2BertConfig())
    recipe = recipes.load("ctc")[1]
    model = Ctc().on_meta(made, recipe.model)
    assert sum(one.numel() for one in model.parameters()) == pytest.approx(580e6, rel=0.02)
    groups = match(model, recipe.phases)
    head = {"lm_head.weight", "lm_head.bias"}
    phases = {name: {n for g in some for n in g.parameters} for name, some in groups.items()}
    assert phases["head"] == head
    assert phases["all"] > head
    assert len(phases["all"]) == len(dict(model.named_parameters())) - 1, "masks are not trained"


@pytest.mark.parametrize("kind", ["wav2vec2, group norm", "data2vec"])
def test_the_convolutions_of_a_frozen_encoder_have_no_gradients(kind: str) -> None:
    made = encoder(kind)
    model: Any = Ctc().build(source(KINDS[kind]), recipes.CtcModel(family="ctc", tiny={}), seed=1)
    batch = made.batch([made.encode(row("red"), noise(1.0))]).inputs
    model.train().requires_grad_(False)
    model.lm_head.requires_grad_(True)
    features = []
    model.base_model.feature_extractor.register_forward_hook(
        lambda module, given, made: features.append(made)
    )
    loss = Ctc().objective(model)(**batch)
    loss.backward()
    assert model.lm_head.weight.grad is not None
    assert [one.requires_grad for one in features] == [False]


@pytest.mark.parametrize("kind", ["wav2vec2", "w2v-BERT 2"])
def test_checkpointed_activations_give_the_same_gradients(kind: str) -> None:
    made = source(KINDS[kind])
    batch = encoder(kind).batch([encoder(kind).encode(row("red"), noise(1.0))]).inputs
    found = []
    for on in (False, True):
        model: Any = Ctc().build(made, recipes.CtcModel(family="ctc", tiny={}), seed=1).train()
        Ctc().set_gradient_checkpointing(model, on)
        assert any(getattr(one, "gradient_checkpointing", False) for one in model.modules()) is on
        torch.manual_seed(2)
        Ctc().objective(model)(**batch).backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


def test_adapters_of_low_rank_train_and_are_merged(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    train_tiny(
        "ctc", manifest, report,
        "model.lora={rank: 2, layers: ['wav2vec2.encoder.layers.*.attention.*_proj']}",
        "phases.1.groups.1.parameters=['*.lora_*']", out=tmp_path / "r",
    )  # fmt: skip
    first, last = (load_file(tmp_path / "r" / f"epoch-{n}" / "model.safetensors") for n in (1, 2))
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert not any("lora" in name for name in last)
    assert {name for name in changed if "lm_head" not in name} == {
        f"wav2vec2.encoder.layers.{layer}.attention.{part}_proj.weight"
        for layer in (0, 1) for part in ("q", "k", "v", "out")
    }  # fmt: skip


def test_memory_grows_with_what_trains() -> None:
    model = Ctc().on_meta(source(KINDS["wav2vec2"]), load("ctc").model)
    head, top, layers, all_of_it = (
        Ctc().token_memory(model, [name])
        for name in (
            "lm_head.weight", "wav2vec2.encoder.layers.1.x", "wav2vec2.encoder.layers.0.x",
            "wav2vec2.feature_extractor.x",
        )
    )  # fmt: skip
    assert head.plain < top.plain < layers.plain < all_of_it.plain
    assert layers.checkpointed < layers.plain


def test_examples_are_kept_in_memory(manifest: Path) -> None:
    made = encoder(cache_gib=1.0)
    one = Row(
        utterance("u000", 0.8, "red", recording=str(manifest.parent / "000.wav")), 0.8, "English"
    )
    first = made.read(one)
    assert isinstance(first, LetterExample)
    assert made.read(one) is first
