"""`asr cases`: from mistakes to a regression set."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

LOG = [
    {"audio": "a.wav", "hypothesis": "good mourning", "reference": "good morning"},
    {"audio": "b.wav", "hypothesis": "green tee", "reference": "green tea", "domain": "phone"},
    {"audio": "c.wav", "hypothesis": "who knows"},
]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for row in LOG:
        Path(row["audio"]).write_bytes(b"RIFF")
    path = Path("log.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in LOG))
    return path


def test_from_a_log_to_a_regression_set(asr: Callable, log: Path) -> None:
    code, out, _ = asr("cases", "add", log)
    assert (code, out.splitlines()[0]) == (0, "log.jsonl: 3 new cases")
    assert json.loads(asr("cases", "add", log, "--json")[1]) == [
        {"source": "log.jsonl", "new": 0, "known": 3}
    ]
    told = json.loads(asr("cases", "stats", "--json", "--plot", "errors.png")[1])
    assert (told["cases"], told["statuses"]["open"]) == (3, 3)
    assert told["errors"] == dict.fromkeys(told["errors"], 0) | {"near_sound": 2}
    assert told["domains"]["phone"]["near_sound"] == 1
    assert Path("errors.png").read_bytes().startswith(b"\x89PNG")
    (line,) = asr("cases", "list", "--domain", "phone", "--json")[1].splitlines()
    assert json.loads(line)["operations"][0]["hypothesis"] == "tee"
    Path("done.jsonl").write_text(
        '{"id": "c.wav", "action": "text", "new_text": "the nose", "who": "Dana"}\n'
        '{"id": "a.wav", "action": "keep"}\n'
    )
    assert asr("cases", "import", "done.jsonl")[0] == 0
    code, out, _ = asr(
        *("cases", "export", "--status", "corrected", "--status", "confirmed"),
        *("--manifest", "regression/set.jsonl"),
    )
    assert (code, out.splitlines()[0]) == (0, "regression/set.jsonl: 2 rows")
    assert f"--audio-root {Path.cwd()}" in out
    texts = [
        json.loads(row)["text"] for row in Path("regression/set.jsonl").read_text().splitlines()
    ]
    assert texts == ["good morning", "the nose"]


def test_what_people_read_is_plain(asr: Callable, log: Path) -> None:
    log.write_text('{"audio": "\\u001b[2J.wav", "hypothesis": "x\\u202e", "reference": "y"}\n')
    assert asr("cases", "stats")[0] == 2
    asr("cases", "add", log)
    for command in (("list",), ("stats",)):
        code, out, _ = asr("cases", *command)
        assert code == 0
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_mistakes_of_usage_are_one_line(asr: Callable, log: Path) -> None:
    asr("cases", "add", log)
    for arguments in (
        ("export",),
        ("export", "--status", "dropped", "--manifest", "x.jsonl"),
        ("import", "none.jsonl"),
        ("add", "none"),
        ("stats", "--plot", "errors.exe"),
        ("list", "--file", "none.sqlite3"),
    ):
        code, _, err = asr("cases", *arguments)
        assert code == 2
        assert len(err.splitlines()) == 1
    Path("other.jsonl").write_text('{"id": "z", "action": "keep"}\n')
    assert asr("cases", "import", "other.jsonl")[0] == 2
