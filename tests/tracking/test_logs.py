"""Local logs: JSON lines in a file, and plain lines for the terminal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking.logs import logs


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    logger = logging.getLogger("some.package")
    before = (logger.level, logger.propagate, list(logger.handlers))
    yield
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def lines(path: Path) -> list[dict[str, Any]]:
    """Each line, by a parser that takes no NaN, as most do."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    content = path.read_bytes().decode().strip().split("\n")
    return [json.loads(line, parse_constant=refuse) for line in content]


def test_the_file_has_fields_and_the_terminal_lines(tmp_path: Path, said: list[str]) -> None:
    with logs("some.package", tmp_path, say=said.append) as log:
        log.info("epoch %d", 1, extra={"event": "phase", "phase": "B", "step": 3})
        log.warning("slow")
    with logs("some.package", tmp_path, say=said.append) as log:  # a resumed run
        try:
            raise ValueError("bad row")
        except ValueError:
            log.exception("failed")
    first, second, third = lines(tmp_path / "log.jsonl")
    when = datetime.fromisoformat(first.pop("time"))
    assert when.utcoffset() is not None
    assert abs(when.timestamp() - datetime.now().timestamp()) < 60
    fields = {"level": "INFO", "message": "epoch 1", "event": "phase", "phase": "B", "step": 3}
    assert first == fields
    assert (second["level"], second["message"]) == ("WARNING", "slow")
    assert "ValueError: bad row" in third["exc_info"]
    assert said == ["epoch 1", "warning: slow", "error: failed"]


@pytest.mark.parametrize(
    ("console", "file", "shown", "written"),
    [
        ("info", "debug", "iwe", "diwe"),
        ("error", "warning", "e", "we"),
        ("debug", "error", "diwe", "e"),
    ],
)
def test_terminal_and_file_have_their_levels(
    console: str, file: str, shown: str, written: str, tmp_path: Path, said: list[str]
) -> None:
    with logs("some.package", tmp_path, say=said.append, console=console, file=file) as log:
        log.debug("d")
        log.info("i")
        logging.getLogger("some.package.module").warning("w")
        log.error("e")
    assert "".join(line[-1] for line in said) == shown
    assert "".join(line["message"] for line in lines(tmp_path / "log.jsonl")) == written


def test_files_are_as_many_as_allowed(tmp_path: Path, said: list[str]) -> None:
    with logs("some.package", tmp_path, say=said.append, files=3, megabytes=0.001) as log:
        for number in range(100):
            log.debug("step", extra={"step": number})
    names = ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    kept = [line["step"] for name in reversed(names) for line in lines(tmp_path / name)]
    assert kept == list(range(kept[0], 100))  # the newest, without a gap


def test_any_text_and_any_number(tmp_path: Path, said: list[str]) -> None:
    path = b"/data/\xff.wav".decode(errors="surrogateescape")
    text = 'שלום 中文 \u2028 "quoted"\nnext'
    with logs("some.package", tmp_path, say=said.append) as log:
        log.info(text, extra={"loss": float("nan"), "path": path})
        log.info("after", extra={"rate": float("-inf"), "where": tmp_path, "n": 1.5})
    first, second = lines(tmp_path / "log.jsonl")
    assert (first["message"], first["loss"], first["path"]) == (text, "nan", path)
    assert (second["rate"], second["n"], second["where"]) == ("-inf", 1.5, str(tmp_path))
    assert len(said) == 2


def test_a_full_disk_is_said_once(
    tmp_path: Path, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with logs("some.package", tmp_path, say=said.append) as log:
        for number in range(3):
            log.info("line %d", number)
    (warning,) = [line for line in said if not line.startswith("line ")]
    assert str(tmp_path / "log.jsonl") in warning
    assert len(said) == 4
    assert capfd.readouterr().err == ""


def test_without_a_file_and_after_an_error(tmp_path: Path, said: list[str]) -> None:
    with logs("some.package", None, say=said.append) as log:
        log.info("a")
    assert (said, list(tmp_path.iterdir())) == (["a"], [])
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), logs("some.package", tmp_path / "file", say=print):
        pass
    with pytest.raises(KeyError), logs("some.package", tmp_path, say=said.append):
        raise KeyError("x")  # `_as_before` checks what is left
