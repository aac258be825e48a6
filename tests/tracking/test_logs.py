"""Local logs: JSON lines in a file beside plain lines."""

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


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def lines(path: Path) -> list[dict[str, Any]]:
    """Each line by a parser that is as strict as others are."""
    content = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse) for line in content]


def test_a_line_on_both_sides(tmp_path: Path, said: list[str]) -> None:
    with logs("some.package", tmp_path, say=said.append) as log:
        log.info("epoch %d", 1, extra={"event": "phase", "phase": "B", "step": 3})
        log.warning("slow")
    first, second = lines(tmp_path / "log.jsonl")
    when = datetime.fromisoformat(first.pop("time"))
    assert when.utcoffset() is not None
    assert abs(when.timestamp() - datetime.now().timestamp()) < 60
    whole = {"level": "INFO", "message": "epoch 1", "event": "phase", "phase": "B", "step": 3}
    assert first == whole
    assert (second["level"], second["message"]) == ("WARNING", "slow")
    assert said == ["epoch 1", "warning: slow"]


@pytest.mark.parametrize(
    ("console", "file", "heard", "written"),
    [
        ("info", "debug", ["i", "w", "e"], ["d", "i", "w", "e"]),
        ("error", "warning", ["e"], ["w", "e"]),
        ("debug", "error", ["d", "i", "w", "e"], ["e"]),
    ],
)
def test_a_level_for_each(
    console: str, file: str, heard: list[str], written: list[str], tmp_path: Path, said: list[str]
) -> None:
    with logs("some.package", tmp_path, say=said.append, console=console, file=file) as log:
        log.debug("d")
        log.info("i")
        logging.getLogger("some.package.module").warning("w")
        log.error("e")
    assert [line.rpartition(" ")[2] for line in said] == heard
    assert [line["message"] for line in lines(tmp_path / "log.jsonl")] == written


def test_a_run_that_goes_on_goes_on_in_its_file(tmp_path: Path, said: list[str]) -> None:
    for number in (1, 2):
        with logs("some.package", tmp_path, say=said.append) as log:
            log.info("start %d", number)
    assert [line["message"] for line in lines(tmp_path / "log.jsonl")] == ["start 1", "start 2"]
    assert said == ["start 1", "start 2"]


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
    with logs("some.package", tmp_path, say=said.append) as log:
        log.info('שלום 中文 \u2028 "quoted"\nnext', extra={"loss": float("nan"), "path": path})
        log.info("after", extra={"rate": float("-inf"), "where": tmp_path, "n": 1.5})
    raw = (tmp_path / "log.jsonl").read_bytes().decode("utf-8")
    assert raw.count("\n") == 2
    first, second = (json.loads(line, parse_constant=refuse) for line in raw.strip().split("\n"))
    assert first["message"] == 'שלום 中文 \u2028 "quoted"\nnext'
    assert first["loss"] == "nan"
    assert first["path"] == path
    assert (second["rate"], second["n"], second["where"]) == ("-inf", 1.5, str(tmp_path))
    assert len(said) == 2  # and no gap


def test_an_exception_is_in_the_file(tmp_path: Path, said: list[str]) -> None:
    with logs("some.package", tmp_path, say=said.append) as log:
        try:
            raise ValueError("bad row")
        except ValueError:
            log.exception("failed")
    (line,) = lines(tmp_path / "log.jsonl")
    assert "ValueError: bad row" in str(line["exc_info"])
    assert said == ["error: failed"]


def test_a_full_disk_is_said_once(
    tmp_path: Path, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with logs("some.package", tmp_path, say=said.append) as log:
        for number in range(3):
            log.info("line %d", number)
    gaps = [line for line in said if "cannot be written" in line]
    assert len(gaps) == 1
    assert str(tmp_path / "log.jsonl") in gaps[0]
    assert [line for line in said if line not in gaps] == ["line 0", "line 1", "line 2"]
    assert capfd.readouterr().err == ""


def test_without_a_folder_there_is_no_file(tmp_path: Path, said: list[str]) -> None:
    with logs("some.package", None, say=said.append) as log:
        log.info("a")
    assert (said, list(tmp_path.iterdir())) == (["a"], [])


def test_a_file_that_cannot_be_made(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match="file"),
        logs("some.package", tmp_path / "file", say=said.append),
    ):
        pass


def test_all_is_undone_after_an_error(tmp_path: Path, said: list[str]) -> None:
    with pytest.raises(KeyError), logs("some.package", tmp_path, say=said.append):
        raise KeyError("x")  # `_as_before` looks at what is left
    assert said == []
