"""The file of cases: nothing is lost, nobody waits for ever, other files are left alone."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asr_gate.corpus.corrections import Correction
from asr_gate.corpus.errors import UserError
from asr_gate.rounds.cases import store as module
from asr_gate.rounds.cases.case import Case, Operation
from asr_gate.rounds.cases.store import Added, CaseStore, Chosen


def case(row: str, **more) -> Case:
    given = {
        "source": "evaluation", "reference": "green tea", "hypothesis": "greed tea",
        "model": "sha256:a", "operations": (Operation("near_spelling", 0, "green", "greed"),),
    }  # fmt: skip
    return Case(row=row, **given | more)


@pytest.fixture
def store(tmp_path: Path) -> CaseStore:
    return CaseStore(tmp_path / "cases.sqlite3")


def test_what_is_added_is_found_again_whole(store: CaseStore) -> None:
    cases = [
        case("a", audio="/x/a.wav", offset=1.5, duration=2.0, start=0.5, end=1.0, codes=("A001",)),
        case("b", source="production", reference=None, operations=(), who="Dana", why="complaint"),
    ]
    assert store.add(cases) == Added(2, 0)
    assert store.find() == cases


def test_audio_beside_the_file_is_found_where_both_were_moved_to(tmp_path: Path) -> None:
    place = tmp_path / "here"
    CaseStore(place / "cases.sqlite3").add(
        [case("a", audio=f"{place}/audio/../audio/a.wav"), case("b", audio="/x/b.wav")]
    )
    place.rename(tmp_path / "there")
    found = CaseStore(tmp_path / "there" / "cases.sqlite3").find()
    assert [one.audio for one in found] == [f"{tmp_path}/there/audio/a.wav", "/x/b.wav"]


def test_the_same_mistake_is_one_case_and_keeps_what_people_said(store: CaseStore) -> None:
    store.add([case("a"), case("b")])
    store.decide([Correction(id="a", action="text", new_text="green tee", who="Dana")])
    assert store.add([case("a"), case("a", model="sha256:b")]) == Added(1, 1)
    found = {(one.row, one.model): one for one in store.find()}
    assert (found["a", "sha256:a"].status, found["a", "sha256:a"].text) == (
        "corrected",
        "green tee",
    )
    assert found["a", "sha256:b"].status == "open"


def test_decisions_are_about_the_text_that_was_reviewed(store: CaseStore) -> None:
    store.add([case("a"), case("b"), case("c")])
    counts = store.decide(
        [
            Correction(id="a", action="text", old_text="red tea", new_text="blue tea"),
            Correction(id="b", action="keep", old_text="green tea"),
            Correction(id="c", action="drop"),
            Correction(id="d", action="drop"),
            Correction(id="a", action="trim", start=0.0, end=1.0),
        ]
    )
    assert counts == {"confirmed": 1, "dropped": 1}
    assert [one.status for one in store.find()] == ["open", "confirmed", "dropped"]


def test_cases_are_chosen_by_all_that_they_have(store: CaseStore) -> None:
    store.add([case("a"), case("b", domain="phone", model="sha256:bb"), case("c", operations=())])

    def rows(**chosen) -> str:
        return "".join(one.row for one in store.find(Chosen(**chosen)))

    assert rows() == "abc"
    assert rows(domain="phone") == "b"
    assert rows(model="sha256:b") == "b"
    assert rows(kind="near_spelling") == "ab"
    assert rows(kind="deletion") == ""
    assert rows(source="audit") == ""
    assert rows(status=("open", "dropped"), domain="default") == "ac"
    assert len(store.find(limit=2)) == 2
    assert store.count_kinds(Chosen(domain="phone")) == {"phone": {"near_spelling": 1}}
    assert store.count_kinds(Chosen(kind="near_spelling"))["default"] == {"near_spelling": 1}
    assert store.count_statuses() == {"open": 3}


WRITER = """
import sys
from pathlib import Path
from tests.rounds.cases.test_store import CaseStore, case
store, name = CaseStore(Path(sys.argv[1])), sys.argv[2]
for number in range(int(sys.argv[3])):
    store.add([case(f"{name}{number}-{part}") for part in range(5)])
    print(number, flush=True)
"""


def start(path: Path, name: str, many: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(many)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def test_what_was_said_to_be_added_outlives_kill_and_calls_are_whole(store: CaseStore) -> None:
    writer = start(store.path, "a", 100_000)
    assert writer.stdout is not None
    for _ in range(5):
        told = writer.stdout.readline()
    time.sleep(0.05)  # in the midst of whatever it does
    os.kill(writer.pid, signal.SIGKILL)
    told = ([told.strip(), *writer.stdout.read().split()])[-1]
    writer.wait()
    rows = [one.row for one in store.find()]
    calls = {row.partition("-")[0] for row in rows}
    assert len(rows) == 5 * len(calls)
    assert {f"a{number}" for number in range(int(told) + 1)} <= calls
    assert store.add([case("after")]) == Added(1, 0)
    with sqlite3.connect(store.path) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)


def test_two_writers_take_turns_from_the_first_call_on(store: CaseStore) -> None:
    writers = [start(store.path, name, 20) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(store.find()) == 2 * 20 * 5


def test_threads_that_create_the_file_together_lose_nothing(tmp_path: Path) -> None:
    for number in range(10):
        store = CaseStore(tmp_path / f"{number}.sqlite3")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name, store=store: store.add([case(name)]), "abcd"))
        assert len(store.find()) == 4


def test_a_writer_that_never_ends_is_not_waited_for_for_ever(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([case("a")])
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with sqlite3.connect(store.path) as other:
        other.execute("begin immediate")
        with pytest.raises(UserError, match="another process"):
            store.add([case("b")])
        assert len(store.find()) == 1  # readers do not wait
        other.rollback()


def test_a_failure_in_the_midst_leaves_nothing(store: CaseStore) -> None:
    store.add([])
    with pytest.raises(UserError):
        store.add([case("a"), case("b", status="surprised")])
    assert store.find() == []


def test_a_new_version_moves_the_file_on_and_an_old_one_refuses_it(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([case("a")])
    later = (*module.MIGRATIONS, "alter table cases add column mood text; create index i on cases "
             "(mood)")  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(module, "MIGRATIONS", later)
        assert [one.row for one in store.find()] == ["a"]
    with pytest.raises(UserError, match="later asr-gate"):
        store.find()


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="asr cases add"):
        CaseStore(tmp_path / "none").find()
    with pytest.raises(UserError, match="asr cases add"):
        CaseStore(tmp_path / "none").decide([])
    assert not (tmp_path / "none").exists()
    text = tmp_path / "text"
    text.write_text("no database " * 100)
    with pytest.raises(UserError, match="not a file of cases"):
        CaseStore(text).add([case("a")])
    assert text.read_text() == "no database " * 100
    other = tmp_path / "other"
    with sqlite3.connect(other) as db:
        db.execute("create table mine (a)")
    with pytest.raises(UserError, match="something else"):
        CaseStore(other).add([case("a")])
