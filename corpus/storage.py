"""Objects in stores, `s3://`, `gs://`, `hf://` and `https://`: what they are, and their bytes.

fsspec and its implementations are loaded only for these. Who may read is decided by the
environment, as each store's own tools have it; a URL with a password or a signature is refused, so
that none gets into reports and logs.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import importlib
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from asr_gate.corpus.errors import UserError

SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "hf": "huggingface_hub", "https": "aiohttp"}
"""What is read, and the package that each needs beside fsspec."""

TRIES = 6
FIRST_WAIT = 0.5
"""Seconds before the second try; each wait is up to twice as long as the one before."""
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 30.0
"""Seconds without an answer, or without a byte of it."""
PIECE = 16_000_000
"""Bytes that are asked for at once."""
REMEMBERED = 100_000
"""Objects whose version a process remembers."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FOR_GOOD = {errno.EINVAL, errno.EREMCHG, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG}
"""What s3fs makes of answers that stay the same however often one asks."""

T = TypeVar("T")


class StorageError(UserError):
    """A store cannot be read, whatever the rows say; the message names the URL."""


class NoBucket(StorageError):
    """There is no such bucket."""


class ObjectChanged(OSError):
    """An object is not what it was when this process first looked at it."""


@dataclass(frozen=True, slots=True)
class Version:
    """What an object is; another content has another version."""

    size: int
    tag: str
    """The store's own name for the content: its ETag or generation, or `W/` and a time."""
    sha256: str | None = None
    """Of the whole content in hexadecimal digits, if the store keeps it."""

    @property
    def strong(self) -> bool:
        """Whether equal tags mean equal bytes."""
        return bool(self.tag) and not self.tag.startswith("W/")


def is_url(name: str) -> bool:
    """Whether a name has a scheme, known or not."""
    return _URL.match(name) is not None


def url_of(name: str | Path) -> str | None:
    """The URL that a user names, without a slash at its end; None: it is a path.

    Raises:
        UserError: a scheme that is not read, a URL without a host or bucket, or one with secrets.
    """
    text = str(name)
    if isinstance(name, Path):  # which makes one slash of two, or none
        text = re.sub(rf"^({'|'.join(SCHEMES)}):(/(?!/)|$)", r"\1://", text)
    found = _URL.match(text)
    if found is None:
        return None
    scheme, rest = found[1].lower(), text[found.end() :].rstrip("/")
    bare = f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in SCHEMES)
        raise UserError(f"{bare}: {scheme}:// is not read; known: {known}")
    host = rest.partition("/")[0]
    if not host:
        what = "host" if scheme == "https" else "bucket"
        raise UserError(f"{scheme}://: names no {what}; write {scheme}://{what.upper()}/PATH")
    if "@" in host or (scheme == "https" and "?" in rest):
        raise UserError(
            f"{bare}: has a password or a signature in it, which reports and logs would show; name "
            "it without, and put credentials where the store's own tools look for them"
        )
    return f"{scheme}://{rest}"


def shown(url: str) -> str:
    """A URL that a manifest names, without what may be a secret in it."""
    return re.sub(r"(?<=://)[^/@]*@|[?#].*", "", url)


def forget() -> None:
    """Forget what this process knows of objects: a corpus is read anew."""
    version_of.cache_clear()


def joined(base: str, name: str) -> str:
    """The URL of a file below another one; the name is a relative path without `..`."""
    return f"{base}/{quote(name) if base.startswith('https:') else name}"


def below(url: str, base: str) -> str | None:
    """The path of a URL from another one that it lies below; None: it does not."""
    rest = url.removeprefix(f"{base}/")
    if rest == url or set("?#\0") & set(rest) or {"", ".", ".."} & set(rest.split("/")):
        return None
    # A server reads `%2e%2e` as `..`.
    return None if url.startswith("https:") and re.search("%2[ef]", rest, re.I) else rest


@lru_cache(REMEMBERED)
def version_of(url: str) -> Version:
    """What an object was when this process first looked at it.

    Raises:
        FileNotFoundError: there is none.
        StorageError: the store does not say.
    """
    return look(url)


def look(url: str) -> Version:
    """What an object is now; raises as `version_of`."""
    return _tried(url, lambda: _version(url))


def read(url: str, version: Version, start: int, end: int) -> bytes:
    """Bytes `start` to `end` of an object.

    Raises:
        ObjectChanged: it has another version. Only S3 tells while it is read; ask `look` of others.
        FileNotFoundError: it is gone.
        StorageError: the store does not give it.
    """
    end = min(end, version.size)
    if start >= end:
        return b""
    return _tried(url, lambda: _read(url, version, start, end))


def pieces(url: str, version: Version, first: int, last: int) -> Iterator[bytes]:
    """Bytes of an object; raises as `read`, and the object had this version before and after.

    Raises:
        ObjectChanged: it has another one.
    """
    for start in range(first, last, PIECE):
        yield read(url, version, start, min(start + PIECE, last))
    if not url.startswith("s3:") and look(url) != version:
        raise ObjectChanged(errno.ESTALE, "changed while it was read", url)


def listed(url: str, most: int) -> dict[str, str | None]:
    """The names in a folder, folders with None, files with their URL.

    Raises:
        StorageError: it cannot be listed, or holds more.
    """

    def ask() -> dict[str, str | None]:
        store = _store(url)
        found = store.ls(store._strip_protocol(url), detail=True)
        return {
            os.path.basename(one["name"].rstrip("/")): None  # noqa: PTH119
            if one["type"] == "directory"
            else one["name"]
            for one in found
        }

    names = _tried(url, ask)
    if len(names) > most:
        raise StorageError(f"{url}: holds over {most} files; name the manifest in it")
    return {name: kind and joined(url, name) for name, kind in names.items() if name}


def is_folder(url: str) -> bool:
    """Whether there are objects below a URL; raises StorageError where the store does not say."""
    if url.startswith("https:"):
        return False

    def ask() -> bool:
        store = _store(url)
        return bool(store.info(store._strip_protocol(url))["type"] == "directory")

    try:
        return _tried(url, ask)
    except FileNotFoundError:
        return False


def write(url: str, content: bytes | Path) -> None:
    """Write an object, or put a file there; raises StorageError where the store does not take it.

    Nobody sees it before all of it is there.
    """

    def put() -> None:
        store = _store(url)
        if isinstance(content, Path):
            store.put_file(str(content), store._strip_protocol(url))
        else:
            store.pipe_file(store._strip_protocol(url), content)

    try:
        _tried(url, put, "write")
    except FileNotFoundError as error:
        raise missing(url) from error


def copy(url: str, to: str) -> None:
    """Copy an object within its store; raises as `look`."""

    def ask() -> None:
        store = _store(url)
        store.cp_file(store._strip_protocol(url), store._strip_protocol(to))

    _tried(url, ask, "write")


def remove(url: str) -> None:
    """Remove an object; raises StorageError where the store does not allow it."""

    def ask() -> None:
        store = _store(url)
        store.rm_file(store._strip_protocol(url))

    with contextlib.suppress(FileNotFoundError):
        _tried(url, ask, "remove")


def missing(url: str) -> StorageError:
    """Why there is nothing at a URL, as far as the store says it."""
    try:
        require_bucket(url)
    except NoBucket as error:
        return error
    except StorageError:
        pass
    return StorageError(f"{url}: there is no such object; check the path")


def require_bucket(url: str) -> None:
    """Check that a bucket is there and may be read, as far as the store says it.

    Raises:
        NoBucket: it is not there.
        StorageError: the store does not say.
    """
    scheme, _, rest = url.partition("://")
    bucket = rest.partition("/")[0]
    try:
        if scheme == "s3":
            _tried(url, lambda: _store(url).call_s3("list_objects_v2", Bucket=bucket, MaxKeys=1))
    except FileNotFoundError as error:
        raise NoBucket(f"{url}: there is no bucket '{bucket}'; correct its name") from error


def _version(url: str) -> Version:
    store = _store(url)
    if not url.startswith("s3:"):
        found = store.info(store._strip_protocol(url))
        if found["type"] == "directory":
            raise FileNotFoundError(errno.ENOENT, "is a folder", url)
        if found.get("size") is None:
            raise StorageError(f"{url}: its server does not say how large it is; copy it to disk")
        names = ("ETag", "etag", "generation", "blob_id")
        times = (f"W/{found[name]}" for name in ("Last-Modified", "mtime") if found.get(name))
        tag = next((str(found[name]) for name in names if found.get(name)), next(times, ""))
        # The Hugging Face hub keeps it of all files but small texts.
        return Version(int(found["size"]), tag, (found.get("lfs") or {}).get("sha256"))
    bucket, key = _bucket_and_key(url)
    found = store.call_s3(
        "head_object", Bucket=bucket, Key=key, ChecksumMode="ENABLED", **store.req_kw
    )
    # Of an object that came in parts, `-` and a number tell that it is no sum over the whole.
    checksum = found.get("ChecksumSHA256", "-")
    whole = "-" not in checksum and found.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    sha256 = base64.b64decode(checksum).hex() if whole else None
    return Version(int(found["ContentLength"]), str(found.get("ETag", "")), sha256)


def _read(url: str, version: Version, start: int, end: int) -> bytes:
    store = _store(url)
    if url.startswith("s3:"):
        from fsspec.asyn import sync

        bucket, key = _bucket_and_key(url)
        match = {"IfMatch": version.tag} if version.tag else {}
        span = f"bytes={start}-{end - 1}"
        answer = store.call_s3(
            "get_object", Bucket=bucket, Key=key, Range=span, **match, **store.req_kw
        )
        try:
            content: bytes = sync(store.loop, answer["Body"].read)
        finally:
            answer["Body"].close()
    else:
        content = store.cat_file(store._strip_protocol(url), start=start, end=end)
        if len(content) == version.size > end - start:  # the server knows no ranges
            content = content[start:end]
    if len(content) != end - start:
        raise OSError(errno.EIO, f"{len(content)} of {end - start} bytes came")
    return content


def _bucket_and_key(url: str) -> tuple[str, str]:
    bucket, _, key = url.partition("://")[2].partition("/")
    if not key:
        raise FileNotFoundError(errno.ENOENT, "is a bucket", url)
    return bucket, key


def _store(url: str) -> Any:
    # A store's connections belong to the process that opened them.
    return _opened(url.partition("://")[0], os.getpid())


@cache
def _opened(scheme: str, process: int) -> Any:
    """The implementation of a scheme; which settings it takes, fsspec reads from FSSPEC_… too."""
    try:
        import fsspec

        importlib.import_module(SCHEMES[scheme])
    except ModuleNotFoundError as error:
        if scheme in ("s3", "https"):
            needs = "'asr-gate[storage]'"
        else:
            needs = f"'asr-gate[storage]' {SCHEMES[scheme].replace('_', '-')}"
        raise StorageError(
            f"{scheme}:// needs a package that is not installed: pip install {needs}"
        ) from error
    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme == "s3":
        # `_tried` tries again, whatever the store is.
        options["config_kwargs"] = {
            "retries": {"total_max_attempts": 1},
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "max_pool_connections": 32,
        }
    elif scheme == "https":
        import aiohttp

        waits = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        options["client_kwargs"] = {"timeout": waits, "trust_env": True}  # ~/.netrc, proxies
    store = fsspec.filesystem(scheme, **options)
    if scheme == "s3":
        store.retries = 1
    return store


def _tried(url: str, ask: Callable[[], T], what: str = "read") -> T:
    """What a store answers, asked again after faults that pass.

    Args:
        url: of the object.
        ask: asks for it.
        what: is done with it, for messages.

    Raises:
        FileNotFoundError: there is no such object.
        ObjectChanged: it has another version.
        StorageError: the store refuses, or cannot be reached.
    """
    for number in range(TRIES):
        if number:
            # Many readers that failed at once do not come back at once.
            time.sleep(FIRST_WAIT * 2 ** (number - 1) * random.uniform(0.5, 1))
        try:
            with _told(url, what):
                return ask()
        except _Passing as error:
            last = error
    raise StorageError(
        f"{url}: the store does not {'give' if what == 'read' else what} it, after {TRIES} tries "
        f"({last}); try again later, or "
        "check the network" + (" and AWS_ENDPOINT_URL" if url.startswith("s3:") else "")
    ) from last.__cause__


class _Passing(Exception):
    """A fault that may be over at the next try; the message is safe to show."""


@contextmanager
def _told(url: str, what: str) -> Iterator[None]:
    """Errors of all implementations as one of ours; raises as `_tried`, or `_Passing`."""
    try:
        yield
    except (UserError, ObjectChanged):
        raise
    except Exception as error:  # each implementation has its own
        cause = error.__cause__ or error
        status = getattr(cause, "status", None)
        code = _code(cause)
        if isinstance(error, FileNotFoundError) and (
            cause is error or code in ("404", "NoSuchKey", "NoSuchBucket") or status in (404, 410)
        ):
            raise FileNotFoundError(errno.ENOENT, "no such object", url) from error
        if code == "PreconditionFailed":
            raise ObjectChanged(errno.ESTALE, "changed while it was read", url) from error
        refused = isinstance(error, PermissionError) or status in (401, 403)
        if refused or type(error).__name__ == "NoCredentialsError":
            nameless = type(error).__name__ == "NoCredentialsError"
            raise _refused(url, what, nameless=nameless) from error
        said = code or (f"status {status}" if status else type(cause).__name__)
        for_good = getattr(error, "errno", None) in _FOR_GOOD or (
            status is not None and 400 <= status < 500 and status not in (408, 425, 429)
        )
        if for_good or isinstance(error, (ImportError, ValueError, TypeError, KeyError)):
            raise StorageError(
                f"{url}: the store refuses it ({said}); check the path and the store's settings"
            ) from error
        raise _Passing(said) from error


def _code(error: BaseException) -> str | None:
    """The code of an answer by S3."""
    answer = getattr(error, "response", None)
    return answer["Error"].get("Code") if isinstance(answer, dict) and "Error" in answer else None


def _refused(url: str, what: str, *, nameless: bool) -> StorageError:
    scheme = url.partition("://")[0]
    mend = {
        "s3": "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "FSSPEC_S3_ANON=true for a public bucket",
        "gs": "log in with gcloud auth application-default login",
        "hf": "log in with hf auth login",
        "https": f"put the login of {urlsplit(url).hostname} into ~/.netrc, or copy the corpus",
    }[scheme]
    why = "there are no credentials" if nameless else f"no permission to {what} it"
    return StorageError(f"{url}: {why}; {mend}")
