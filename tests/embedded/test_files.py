"""The embedded model's files: what an audit runs, and what a training makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_gate import audit_corpus
from asr_gate.audit.acoustic import load_model
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.heard import HEARD_FILE, Heard
from asr_gate.corpus.read import read_corpus
from asr_gate.embedded import files
from asr_gate.embedded.encoding import ALPHABETS, encode
from asr_gate.embedded.network import load, net_of
from asr_gate.embedded.training import halved, targets, trained_card
from tests.speech import EXAMPLE, PROCEED, babble, spoken

HEBREW = {"language": "he", "tokens": ALPHABETS["he"]}


def trained(folder: Path, factor: float = 1.05, **about: object) -> Path:
    """A folder with the shipped model, its weights changed a little."""
    found = files.read()
    weights = {name: (factor * w).astype(np.float16) for name, w in found.weights().items()}
    files.write(folder, weights, {"delay": 0.02, "temperature": 2.0, **about})
    return folder


@pytest.mark.parametrize("spec", ["embedded", "embedded:FOLDER"])
def test_an_audit_emits_what_the_network_does(spec: str, tmp_path: Path) -> None:
    folder = files.SHIPPED if spec == "embedded" else trained(tmp_path / "mine")
    net = load(folder)
    model = load_model(spec.replace("FOLDER", str(folder)), device="cpu")
    for sound in [*spoken(2), babble(0.3), babble(0.05)]:
        logs, _ = net.emit(torch.from_numpy(sound)[None], torch.tensor([len(sound)]))
        expected = (logs[0] / model.info.temperature).softmax(-1).numpy()
        (emission,) = model.forward([sound])
        np.testing.assert_allclose(np.exp(emission), expected, atol=1e-4)


def test_weights_survive_the_file(tmp_path: Path) -> None:
    trained(tmp_path, 1.1)
    net = load(tmp_path)
    files.write(tmp_path / "again", halved(net.state_dict()), {"delay": 0.02, "temperature": 2.0})
    names = (files.WEIGHTS_FILE, files.CARD_FILE)
    first, again = (
        [(f / name).read_bytes() for name in names] for f in (tmp_path, tmp_path / "again")
    )
    assert first == again
    one, other = (load_model(f"embedded:{f}").info for f in (tmp_path, tmp_path / "again"))
    assert one.weights_sha256 == other.weights_sha256 != load_model("embedded").info.weights_sha256


def test_no_graph_but_ours_is_run(tmp_path: Path) -> None:
    graph = tmp_path / files.WEIGHTS_FILE
    whole = (trained(tmp_path) / files.WEIGHTS_FILE).read_bytes()
    bent = bytearray(whole)
    bent[bent.index(b"Softmax")] ^= 1
    for content in (bytes(bent), whole[:-1], whole + b"\0", b"", b"no model"):
        graph.write_bytes(content)
        with pytest.raises(UserError, match=files.WEIGHTS_FILE):
            load_model(f"embedded:{tmp_path}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"temperature": 0}, "temperature"),
        ({"delay": "NaN"}, "delay"),
        ({"tokens": ["a", "b"]}, "tokens"),
        ({"blank": 3}, "tokens"),
    ],
)
def test_a_card_that_says_something_else_is_refused(
    change: dict[str, object], says: str, tmp_path: Path
) -> None:
    card = trained(tmp_path) / files.CARD_FILE
    card.write_text(json.dumps({**json.loads(card.read_text()), **change}))
    with pytest.raises(UserError, match=says):
        load_model(f"embedded:{tmp_path}")


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path)):
        load_model(f"embedded:{tmp_path}")


def test_a_run_that_made_a_model_is_named(tmp_path: Path) -> None:
    final = trained(tmp_path / "final")
    assert load_model(f"embedded:{final}").info.trained is None
    record = {
        "recipe": "ctc-embedded",
        "phase0": {"dataset_fingerprint": "sha256:1", "digest": "sha256:2"},
        "plan": {"model": "embedded"},
    }
    (tmp_path / "run.json").write_text(json.dumps(record))
    made = load_model(f"embedded:{final}").info.trained
    assert made is not None
    assert (made.dataset, made.report, made.began_with) == ("sha256:1", "sha256:2", "embedded")
    (tmp_path / "run.json").write_text(json.dumps({**record, "plan": []}))
    assert load_model(f"embedded:{final}").info.trained is None, "no record of ours"


def test_the_model_of_a_language_is_taken_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (files.WEIGHTS_FILE, files.CARD_FILE):
        (tmp_path / name).write_bytes((files.SHIPPED / name).read_bytes())
    trained(tmp_path / "he", **HEBREW)
    monkeypatch.setattr(files, "SHIPPED", tmp_path)
    for language in ("he", "iw", "Hebrew", "he-IL"):
        model = load_model("embedded", language=language, device="cpu")
        assert model.info.language == "he"
        (word,) = model.spell("שָׁלוֹם!").words
        assert word.letters == tuple("שלום")
    assert load_model("embedded", language="en-GB").info.language == "en"
    assert load_model("embedded", language="he", romanize=True).info.tokens == files.TOKENS
    with pytest.raises(UserError, match="Latin"):
        load_model(f"embedded:{tmp_path / 'he'}", language="he", romanize=True)
    with pytest.raises(UserError, match="model of 'en'"):
        load_model("embedded", language="fr")
    assert files.shipped("../he") == files.shipped(None) == tmp_path


def test_what_is_trained_from_a_language_keeps_its_letters(tmp_path: Path) -> None:
    net = net_of(files.read(trained(tmp_path / "he", **HEBREW)))
    files.write(tmp_path / "mine", halved(net.state_dict()), trained_card(net.card))
    card = files.read(tmp_path / "mine").card
    assert (card.language, card.tokens) == ("he", ALPHABETS["he"])
    assert targets("יש 3 בתים", "he", card.tokens) == encode("יש שלושה בתים", card.tokens)
    assert targets("house", "he", card.tokens) is None


def test_an_audit_of_rows_that_its_aligner_was_trained_on_warns(tmp_path: Path) -> None:
    lines = PROCEED.read_text().splitlines()[:3]
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row["audio_filepath"] = str(EXAMPLE / row["audio_filepath"])
    manifest = tmp_path / "corpus.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = read_corpus([manifest], audio_root=EXAMPLE)
    final = trained(tmp_path / "run" / "final")
    record = {
        "recipe": "ctc-embedded",
        "phase0": {"dataset_fingerprint": "sha256:1", "digest": "sha256:2"},
        "plan": {"model": "embedded"},
    }
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    heard = Heard.of(corpus.utterances[1:], fingerprint(corpus).sounds, "full")
    (tmp_path / "run" / HEARD_FILE).write_text(heard.model_dump_json())
    said: list[str] = []

    class Told:
        def say(self, line: str) -> None:
            said.append(line)

        def start(self, total: int, done: int) -> None: ...
        def advance(self, utterances: int, seconds: float) -> None: ...

    report = audit_corpus(
        manifest,
        out=tmp_path,
        aligner=f"embedded:{final}",
        audio_root=EXAMPLE,
        controls=0,
        cache=False,
        page_audio=False,
        progress=Told(),
    )
    assert any(line.startswith("WARNING") and "2 rows" in line for line in said)
    assert json.loads(report.path.read_text())["aligner"]["trained"]["heard"] == 2
