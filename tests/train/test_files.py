"""The digest of a checkpoint."""

import shutil
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.train.files import folder_digest


def test_a_folder_is_known_by_the_names_and_bytes_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "final"
    (folder / "inner").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "inner" / "config.json").write_text("{}")
    digest = folder_digest(folder, cached=False)
    assert digest is not None
    assert digest.startswith("sha256:")
    (tmp_path / "best").symlink_to(folder)
    assert folder_digest(tmp_path / "best", cached=False) == digest
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert folder_digest(copy, cached=False) == digest
    (copy / "inner" / "config.json").rename(copy / "inner" / "conf.json")
    assert folder_digest(copy, cached=False) != digest
    (folder / "model.safetensors").write_bytes(b"weightz")
    assert folder_digest(folder, cached=False) != digest
    assert folder_digest(tmp_path / "Qwen/Qwen3-ASR-0.6B-hf") is None


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(
        "asr_gate.train.files.digests", lambda files, *_, **__: dict.fromkeys(files, "unreadable")
    )
    with pytest.raises(UserError, match=r"model\.safetensors"):
        folder_digest(tmp_path)
