"""How many CPU threads a model is computed with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from asr_gate.train.distributed import SMALL, choose_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


def test_a_small_model_takes_one_and_others_no_more_than_there_are_cores() -> None:
    assert choose_threads(None, CPU, SMALL - 1) == 1
    torch.set_num_threads(8)
    assert choose_threads(None, CPU, SMALL) == 3
    torch.set_num_threads(2)
    assert choose_threads(None, CPU, SMALL) == 2
    assert choose_threads(None, torch.device("cuda"), 1) == 2


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert choose_threads(None, CPU, SMALL) == 1


def test_who_sets_a_number_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_threads(5, CPU, 1) == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert choose_threads(None, CPU, 1) == 5
