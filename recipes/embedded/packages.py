"""Packages that texts and voices come from: which are there, and what is in them.

An archive of Debian, PyPI or npm in `build` is read as it is; nothing of it is installed or run.
"""

import gettext
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

BUILD = Path("build")


def debian(names: Sequence[str]) -> dict[str, str]:
    """Version of every Debian package; "" where it is not installed."""
    versions = dict.fromkeys(names, "")
    if names and shutil.which("dpkg-query"):
        answer = subprocess.run(
            ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status} ${Version}\n", *names],
            capture_output=True, text=True,
        )  # fmt: skip
        for line in answer.stdout.splitlines():
            name, status, version = line.split()[:3] if len(line.split()) > 2 else ("", "", "")
            if status == "installed":
                versions[name] = version
    return versions


def python(names: Sequence[str]) -> dict[str, str]:
    """Version of every Python package; "" where it is not installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = ""
    return versions


def archives(patterns: Sequence[str]) -> dict[str, str]:
    """File of every archive by the pattern of its name; "" where it is not in `build`."""
    return {pattern: path.name if (path := _path(pattern)) else "" for pattern in patterns}


def _path(pattern: str) -> Path | None:
    return next(iter(sorted(BUILD.glob(pattern))), None)


def members(pattern: str, name: str) -> Iterator[bytes]:
    """Content of the files of an archive whose names fit a glob, in the order of their names.

    Raises:
        FileNotFoundError: the archive is not in `build`.
    """
    path = _path(pattern)
    if path is None:
        raise FileNotFoundError(f"{BUILD / pattern}: see recipes/embedded/README.md")
    if path.suffix in (".whl", ".xpi"):
        yield from _zipped(path.read_bytes(), name)
        return
    data = path.read_bytes()
    if path.suffix == ".deb":
        command = ["dpkg-deb", "--fsys-tarfile", str(path)]
        data = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = [member for member in archive.getmembers() if fnmatch(member.name, name)]
        for member in sorted(found, key=lambda member: member.name):
            content = archive.extractfile(member)
            if content:
                yield content.read()


def _zipped(data: bytes, name: str) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for found in sorted(archive.namelist()):
            if fnmatch(found, name):
                yield archive.read(found)


# --- translations ---------------------------------------------------------------------------------


def mo(pattern: str, name: str) -> Iterator[str]:
    """The translations in an archive's .mo files."""
    for content in members(pattern, name):
        catalog = gettext.GNUTranslations(io.BytesIO(content))._catalog  # type: ignore[attr-defined]
        yield from map(str, catalog.values())


def texts(pattern: str, name: str) -> Iterator[str]:
    """All texts in an archive's JSON files."""
    for content in members(pattern, name):
        yield from _strings(json.loads(content))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _strings(inner)
        case list():
            for inner in value:
                yield from _strings(inner)


def fluent(pattern: str, name: str) -> Iterator[str]:
    """The values of Fluent and Java properties files in a Debian archive's .xpi files."""
    for package in members(pattern, name):
        for kind in ("*.ftl", "*.properties"):
            for content in _zipped(package, kind):
                for line in content.decode("utf-8").splitlines():
                    yield line.split("=", 1)[-1].strip()
