"""A checkpoint on manifests."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from asr_gate.corpus.errors import UserError
from asr_gate.train.evaluation import evaluate_checkpoint as evaluating
from asr_gate.train.evaluation.evaluate_checkpoint import evaluate_checkpoint
from asr_gate.train.evaluation.result_file import read_result
from asr_gate.train.evaluation.scoring import count_errors, score
from tests.train.layouts import write_older, write_small
from tests.train.support import write_corpus


@pytest.fixture(scope="module")
def checkpoint(processor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model: it writes something, and nothing right."""
    folder = tmp_path_factory.mktemp("models") / "small"
    write_small(folder, processor)
    return folder


@pytest.fixture(autouse=True)
def _short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Transcripts of a few tokens: a random model never ends one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluating, "MAX_NEW_TOKENS", 6)
    monkeypatch.setattr(evaluating, "TOKENS_PER_SECOND", 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model gains nothing from more
    yield
    torch.set_num_threads(threads)


def test_a_result_holds_every_row(checkpoint: Path, manifest: Path) -> None:
    result, path = evaluate_checkpoint(str(checkpoint), [manifest])
    assert path == Path("evals") / f"{checkpoint.parent.name}-small" / "result.json"
    again, transcripts = read_result(path)
    assert again == result
    ids = [json.loads(line)["id"] for line in manifest.read_text().splitlines()]
    assert [one.id for one in transcripts] == sorted(ids)
    assert result.not_evaluated == []
    assert set(result.domains) == {"kan_clean", "whatsapp_noisy"}
    assert result.overall.utterances == 12
    assert sum(one.utterances for one in result.domains.values()) == 12
    assert result.overall.words == sum(one.words for one in result.domains.values())
    assert result.numbers == "spoken"
    assert result.unfinished == 12
    assert result.audio == pytest.approx(sum(one.seconds for one in transcripts))
    lines = [
        json.loads(line)
        for line in path.with_name("result.predictions.jsonl").read_text().splitlines()
    ]
    errors = [count_errors(one["reference"], one["hypothesis"], "English") for one in lines]
    assert score(errors).wer == pytest.approx(result.overall.wer)
    assert [one["errors"]["words"] for one in lines] == [one.words for one in errors]
    losses = sum(one["loss"] for one in lines) / sum(one["tokens"] for one in lines)
    assert losses == pytest.approx(result.overall.loss)
    kan = [one for one in lines if one["domain"] == "kan_clean"]
    assert result.domains["kan_clean"].loss == pytest.approx(
        sum(one["loss"] for one in kan) / sum(one["tokens"] for one in kan)
    )


def test_the_loss_is_the_models_own(checkpoint: Path, manifest: Path, processor) -> None:
    from asr_gate.corpus.read import read_corpus
    from asr_gate.train import recipes
    from asr_gate.train.data.rows import to_row
    from asr_gate.train.families.qwen3_asr.encoder import PromptEncoder, collate
    from asr_gate.train.families.qwen3_asr.load import load_pretrained

    _, path = evaluate_checkpoint(str(checkpoint), [manifest])
    first = json.loads(path.with_name("result.predictions.jsonl").read_text().splitlines()[0])
    settings = recipes.Data()
    encoder = PromptEncoder(processor, settings)
    row = to_row(read_corpus([manifest]).utterances[0], settings)
    model = load_pretrained(str(checkpoint), None, untie=False)
    batch = collate([encoder.read(row)], pad_id=encoder.pad_id)
    with torch.no_grad():
        mean = float(model(**batch.inputs).loss)
    assert first["loss"] / first["tokens"] == pytest.approx(mean, rel=1e-4)


def test_neither_the_batches_nor_the_layout_change_the_result(
    checkpoint: Path, manifest: Path, tmp_path: Path
) -> None:
    write_older(tmp_path / "older", checkpoint)
    one, path = evaluate_checkpoint(
        str(checkpoint), [manifest], out=tmp_path / "a.json", batch_seconds=60
    )
    other, _ = evaluate_checkpoint(
        str(tmp_path / "older"), [manifest], out=tmp_path / "b.json", batch_seconds=0.1
    )
    assert path == tmp_path / "a.json"
    assert other.overall.wer == one.overall.wer
    assert other.overall.loss == pytest.approx(one.overall.loss, rel=1e-4)
    hypotheses = [
        [one.hypothesis for one in read_result(tmp_path / name)[1]] for name in ("a.json", "b.json")
    ]
    assert hypotheses[0] == hypotheses[1]


def test_rows_that_cannot_be_evaluated_are_listed(checkpoint: Path, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", rows=8)
    folder = manifest.parent
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    (folder / "000.wav").write_bytes(b"RIFF")
    (folder / "001.wav").unlink()
    rows[2]["text"] = "…"
    rows[3]["audio_filepath"] = "../outside.wav"
    rows[4]["duration"] = 0.01
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result, _ = evaluate_checkpoint(str(checkpoint), [manifest])
    assert {one.id: one.rule for one in result.not_evaluated} == {
        "u000": "unreadable",
        "u001": "unreadable",
        "u002": "no_words",
        "u003": "skipped",
        "u004": "too_short",
    }
    assert all(one.reason for one in result.not_evaluated)
    assert result.overall.utterances == 3


def test_a_row_of_another_length_than_declared_and_more_than_a_batch_is_evaluated(
    checkpoint: Path, tmp_path: Path
) -> None:
    """`asr train` refuses rows above 30 seconds; here each is transcribed."""
    from tests.train.support import write_tones

    seconds = write_tones(tmp_path / "long.wav", ["red"] * 100)
    row = {"id": "long", "audio_filepath": "long.wav", "text": "red " * 100, "lang": "en"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row) + "\n")
    result, _ = evaluate_checkpoint(str(checkpoint), [tmp_path / "m.jsonl"], batch_seconds=5)
    assert result.audio == pytest.approx(seconds)
    assert seconds > 30


def test_the_languages_normaliser_scores(checkpoint: Path, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", rows=2)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        row |= {"text": "你好世界", "lang": "zh"}
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert evaluate_checkpoint(str(checkpoint), [manifest])[0].overall.words == 8


def test_rows_without_a_language_need_one(checkpoint: Path, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", rows=2)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    del rows[1]["lang"]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=r"corpus\.jsonl:2: the row names no language.*--language"):
        evaluate_checkpoint(str(checkpoint), [manifest])
    evaluate_checkpoint(str(checkpoint), [manifest], language="he")
    with pytest.raises(UserError, match="'xx' is not a known code"):
        evaluate_checkpoint(str(checkpoint), [manifest], language="xx")


def test_a_second_evaluation_has_a_folder_of_its_own_unless_told(
    checkpoint: Path, manifest: Path, tmp_path: Path
) -> None:
    folders = [evaluate_checkpoint(str(checkpoint), [manifest])[1].parent.name for _ in range(2)]
    assert folders[1] == f"{folders[0]}-2"
    out = tmp_path / "mine"
    first = evaluate_checkpoint(str(checkpoint), [manifest], out=out)[1]
    again = evaluate_checkpoint(str(checkpoint), [manifest], out=out)[1]
    assert first == again == out / "result.json"
    assert sorted(path.name for path in out.iterdir()) == [
        "result.json",
        "result.predictions.jsonl",
    ]


def test_progress_counts_rows_and_seconds(checkpoint: Path, manifest: Path) -> None:
    told: list[tuple[int, float]] = []

    class Watch:
        def start(self, total: int, done: int) -> None:
            assert (total, done) == (12, 0)

        def advance(self, utterances: int, seconds: float) -> None:
            told.append((utterances, seconds))

    result, _ = evaluate_checkpoint(str(checkpoint), [manifest], batch_seconds=3, progress=Watch())
    assert len(told) > 3
    assert sum(count for count, _ in told) == 12
    assert sum(seconds for _, seconds in told) == pytest.approx(result.audio)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"checkpoint": "nowhere"}, "nowhere: no usable speech-recognition checkpoint"),
        ({"manifests": ["none.jsonl"]}, "none.jsonl: no such manifest"),
        ({"split": "test"}, "no column 'split'"),
        ({"device": "cuda"}, "--device cuda: torch sees no GPU"),
        ({"batch_seconds": float("nan")}, "--batch-seconds nan"),
        ({"batch_seconds": float("inf")}, "--batch-seconds inf"),
        ({"out": Path("file/inside")}, "--out file/inside: cannot be created"),
        ({"out": Path("folder.json/x.json")}, "--out folder.json/x.json: cannot be written"),
    ],
)
def test_mistakes_are_one_line(
    change, says: str, checkpoint: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    Path("file").touch()
    Path("folder.json/x.json/result.json").mkdir(parents=True)
    named = {"checkpoint": str(checkpoint), "manifests": [manifest], **change}
    with pytest.raises(UserError, match=says) as error:
        evaluate_checkpoint(named.pop("checkpoint"), named.pop("manifests"), **named)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    assert not Path("evals").exists()


def test_nothing_to_evaluate_is_an_error_with_the_reasons(checkpoint: Path, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", rows=3)
    for path in manifest.parent.glob("*.wav"):
        path.write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"not one row could be evaluated \(unreadable 3; u000"):
        evaluate_checkpoint(str(checkpoint), [manifest], out=tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
    with pytest.raises(UserError, match="not one row could be evaluated"):
        evaluate_checkpoint(str(checkpoint), [manifest])
    assert not any(Path("evals").iterdir())


def test_a_disk_that_is_full_leaves_the_former_result(
    checkpoint: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_checkpoint(str(checkpoint), [manifest], out=tmp_path / "out.json")
    before = (tmp_path / "out.json").read_bytes()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("asr_gate.train.files.write_atomically", full)
    with pytest.raises(UserError, match="No space left"):
        evaluate_checkpoint(str(checkpoint), [manifest], out=tmp_path / "out.json")
    assert (tmp_path / "out.json").read_bytes() == before
    read_result(tmp_path / "out.json")


def test_too_little_memory_is_one_line(
    checkpoint: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*arguments, **named):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("transformers.Qwen3ASRForConditionalGeneration.generate", burst)
    with pytest.raises(UserError, match=r"of 12 rows.*lower --batch-seconds \(now 60\)"):
        evaluate_checkpoint(str(checkpoint), [manifest])
