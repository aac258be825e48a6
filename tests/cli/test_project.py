"""`asr.toml`."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_gate.cli.project import EXAMPLE, Project, load_project, reading
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.settings_file import keys


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(content: str) -> None:
    Path("asr.toml").write_text(content)


def test_what_was_given_counts_first(here: Path) -> None:
    write(
        '[corpus]\nmanifests = ["a.jsonl", "b.jsonl"]\nsplit = "train"\naudio_root = "."\n'
        '[[corpus.rules]]\naudio = "*x*"\ndomain = "x"\n'
    )
    project = load_project()
    own = reading(project, [], None, None)
    assert (own.manifests, own.split, own.audio_root) == (["a.jsonl", "b.jsonl"], "train", Path())
    assert own.labels[0].domain == "x"
    assert own.said and not own.bundled
    given = reading(project, [str(here / "a.jsonl")], Path("/x"), None)
    assert (given.split, given.audio_root, given.said) == ("train", Path("/x"), None)
    other = reading(project, ["c.jsonl"], None, None)
    assert (other.split, len(other.labels)) == (None, 1), "the split is that of these manifests"
    assert reading(project, ["a.jsonl"], None, "dev").split == "dev"


def test_without_it_the_bundled_corpus_is_read() -> None:
    own = reading(load_project(), [], None, None)
    assert own.bundled
    assert Path(own.manifests[0]) == EXAMPLE
    assert reading(load_project(), [str(EXAMPLE.with_name("stop.jsonl"))], None, None).bundled


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "[corpus]\nmanifest = 'x'",
            r"corpus\.manifest: .* nearest is corpus\.manifests; there are",
        ),
        ("[audit]\nlanguage = 'he'", r"nearest is corpus\.language; there are audit\.aligner"),
        ("[corpora]\nx = 1", r"there are \[corpus\], \[audit\]"),
        ("[[corpus.rules]]\naudio = '*'\ndomian = 'x'", r"nearest is corpus\.rules\.domain"),
        ("[[corpus.rules]]\naudio = '*'", r"corpus\.rules\.0: a rule needs what it says"),
        ("[corpus]\nmanifests = 'x'", r"corpus\.manifests: .*list"),
        ("[output]\nreports = '../x'", r"output\.reports: \.\./x lies outside"),
        ("[output]\nruns = '/tmp'", r"output\.runs: /tmp lies outside"),
        ("[output]\nreports = 's3://b/x'", r"output\.reports: s3://b/x lies outside"),
        ("[tracking]\nbase_url = 'http://x'", r"tracking\.base_url: there is no such key"),
        ("[corpus", "not TOML"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_there_is(content: str, says: str) -> None:
    write(content)
    with pytest.raises(UserError, match=says) as caught:
        load_project()
    assert "\n" not in str(caught.value)


def test_every_key_is_listed() -> None:
    assert {"corpus.manifests", "corpus.rules.audio", "audit.aligner", "tracking.tags"} <= {
        *keys(Project)
    }
    assert "corpus" not in {*keys(Project)}


def test_settings_of_a_repository_name_no_server() -> None:
    write("[corpus]\nmanifests = ['https://10.0.0.1/train.jsonl']")
    with pytest.raises(UserError, match="names a server"):
        load_project()
    write("[corpus]\nmanifests = ['s3://bucket/train.jsonl']\naudio_root = 's3://bucket/private'")
    with pytest.raises(UserError, match=r"audio_root s3:.* lies outside of this folder"):
        reading(load_project(), [], None, None)
