"""The wheel in a fresh environment, in a folder with a user's own files of the same names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.asr import one_line
from tests.once import made_once
from tests.speech import PROCEED, ROOT

BIN = Path(sys.executable).parent
NAMES = ("train.py", "cli.py", "corpus.py", "tracking.py", "audit/__init__.py")
LARGEST = 600_000_000
"""Bytes that an install for audits may take."""
SMALL = (
    "model.tiny.vocabulary=300", "data.batch_seconds=30", "data.evaluation_share=0.1",
    "evaluation.max_new_tokens=4", "phases.0.epochs=[1]", "phases.1.epochs=[2]",
    "data.max_seconds=3", "--no-wandb", "--accept-caution",
)  # fmt: skip


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel, and a user's folder."""

    python: Path
    wheel: Path
    folder: Path

    def run(
        self, *command: object, code: int = 0, path: str = "."
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert done.returncode == code, done.stderr
        assert not (self.folder / "was-run").exists(), "a file of the user's was run"
        return done

    @property
    def asr(self) -> Path:
        return self.python.parent / "asr"


def uv(*words: object) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "VIRTUAL_ENV")}
    subprocess.run(
        [str(BIN / "uv"), *map(str, words)], check=True, env=environment, timeout=200,
        capture_output=True,
    )  # fmt: skip


def install(python: Path, what: object) -> None:
    lock = ("--constraint", ROOT / "requirements.lock")
    uv("pip", "install", "--python", python, *lock, what)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    with made_once(tmp_path_factory, "installed") as (base, there):
        if not there:
            _install(base)
    (wheel,) = (base / "dist").glob("*.whl")
    return Installed(base / "env" / "bin" / "python", wheel, base / "theirs")


def _install(base: Path) -> None:
    skip = shutil.ignore_patterns(
        ".*", "build", "dist", "*.egg-info", "wandb", "runs", "reports", "tests", "__pycache__"
    )
    source = Path(shutil.copytree(ROOT, base / "source", ignore=skip, symlinks=True))
    # The sdist, and the wheel from it.
    uv("build", "--no-build-isolation", "--python", sys.executable, "-o", base / "dist", source)
    (wheel,) = (base / "dist").glob("*.whl")
    uv("venv", "--python", sys.executable, base / "env")
    install(base / "env" / "bin" / "python", wheel)
    folder = base / "theirs"
    for name in NAMES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        marker = str(folder / "was-run")
        file.write_text(f"open({marker!r}, 'w').close()\nraise SystemExit('run by mistake')\n")


@pytest.fixture(scope="module")
def audited_there(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The bundled corpus audited by what the extra `align` installs, in the user's folder."""
    with made_once(tmp_path_factory, "audited-there") as (_, there):
        if not there:
            missing = installed.run(installed.asr, "audit", code=2)
            assert "pip install 'asr-gate[align]'" in one_line(missing)
            install(installed.python, f"{installed.wheel}[align]")
            lend_compiled(installed.python)
            installed.run(installed.asr, "audit", "--no-wandb", "--controls", 0)
    return installed


def lend_compiled(python: Path) -> None:
    """Give an environment what is compiled in the tests' own, of the same versions: to compile
    takes longer than all the rest. What does not fit is compiled anew.
    """
    ours = Path(sysconfig.get_paths()["purelib"])
    (theirs,) = python.parents[1].glob("lib/python*/site-packages")
    for folder in [path for path in theirs.rglob("*") if path.is_dir()]:
        compiled = ours / folder.relative_to(theirs) / "__pycache__"
        if folder.name != "__pycache__" and compiled.is_dir():
            shutil.copytree(compiled, folder / "__pycache__", dirs_exist_ok=True)
    for room in ("audit/align", "audit/pairing", "corpus/text"):
        kernels = theirs / "asr_gate" / room / "kernels.py"
        (kernels.parent / "__pycache__").mkdir(exist_ok=True)
        source = ROOT / room / "kernels.py"
        shutil.copystat(source, kernels)  # numba, too, knows a file by its time and size
        for compiled in (source.parent / "__pycache__").glob("kernels.*.nb[ci]"):
            shutil.copy2(compiled, kernels.parent / "__pycache__")


def test_an_audit_needs_no_torch(audited_there: Installed) -> None:
    there = audited_there
    files = [path for path in there.python.parents[1].rglob("*") if not path.is_symlink()]
    installed = [one for one in files if one.is_file() and "__pycache__" not in one.parts]
    assert sum(path.stat().st_size for path in installed) < LARGEST
    without = there.run(there.python, "-c", "import torch", code=1)
    assert "ModuleNotFoundError" in without.stderr
    for command, extra in (
        (("audit", "--aligner", "mms"), "torch"),
        (("audit", "--aligner", "hf:facebook/mms-300m"), "torch"),
        (("audit", "hf:owner/name"), "datasets"),
        (("train", "round2-tiny"), "train"),
    ):
        missing = there.run(there.asr, *command, code=2)
        assert f"pip install 'asr-gate[{extra}]'" in one_line(missing)


def test_an_install_adds_one_name(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"asr_gate"}
    assert {"asr_gate/py.typed", "asr_gate/__main__.py"} <= set(names)
    assert (ROOT / "recipes" / "embedded" / "kokoro.py").is_file()
    assert not [name for name in names if name.endswith(("kokoro.py", "espeak.py"))]


def test_the_core_install_is_enough_for_the_gate(installed: Installed, audited: Path) -> None:
    reports = audited / "reports"
    installed.run(installed.asr, "--help")
    installed.run(installed.asr, "gate", reports / "proceed", "--data", PROCEED)
    installed.run(installed.python, "-m", "asr_gate", "gate", reports / "stop", code=20)


def test_nothing_of_the_users_is_run(audited_there: Installed) -> None:
    there = audited_there
    # What else is needed comes from the tests' own environment; of a folder on the path .pth files
    # are not read, so that its editable install stays out.
    path = os.pathsep.join((".", sysconfig.get_paths()["purelib"]))
    where = there.run(
        there.python, "-c", "import asr_gate.audit as a; print(a.__file__)", path=path
    )
    assert str(there.python.parents[1]) in where.stdout
    for command in ([there.asr], [there.python, "-m", "asr_gate"], [BIN / "asr"]):
        there.run(*command, "gate", "reports/phase0", "--accept-caution", path=path)
    there.run(
        *(there.asr, "train", "round2-tiny", *SMALL, "--processes", 2, "--out", "runs/two"),
        path=path,
    )
    assert (there.folder / "runs" / "two" / "final").is_dir()
