"""An index of texts by their character trigrams, in parts that are kept between audits.

Texts are dealt to parts by their digests, and each part is kept under the digest of what it
holds: an audit of the same texts opens all of them, and one of nearly the same texts makes few
anew. What a search finds does not depend on what was kept, because a part knows nothing of the
others.

A kept index can decide a verdict. So it lies in a private folder of the user, its bytes are
compared with the digest that was taken of them, and it is not used in CI.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, suppress
from itertools import pairwise, repeat
from pathlib import Path
from typing import NamedTuple
from unicodedata import unidata_version

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.pairing.grams import GRAM, GramTable, Records, grams_of, write_table
from asr_gate.corpus.cache import cache_limit
from asr_gate.corpus.files import cache_home, make_private, open_regular

PART = 4_000_000
"""Letters of the texts of one part at most, about: some 12 MB on disk."""
FEWEST_KEPT = 20_000
"""Texts under which an index is made in less time than it takes to look for a kept one."""
AT_ONCE = 100_000
"""Texts that are dealt at once."""
MOST_KEPT = 2000
"""Parts."""
READ = 2.0
"""Texts whose trigrams are read for one search, as a share of all: each as often as it has one of
those looked up. The rarest are read first; the common ones say little."""
ABANDONED = 86_400.0
"""Seconds after which what an audit began to write is nobody's any more."""
SEAL = "digest"

Keys = NDArray[np.uint64]


class Text(NamedTuple):
    """A text, as it is written, and its language by the manifest."""

    text: str
    lang: str | None

    def key(self) -> int:
        """64 bits of its digest."""
        written = f"{self.lang or ''}\0{self.text}".encode(errors="surrogatepass")
        return int.from_bytes(hashlib.blake2b(written, digest_size=8).digest())


class Hit(NamedTuple):
    """A text that an index found."""

    key: int
    text: Text
    folded: str


class TextIndex:
    """Texts to be found by their trigrams."""

    def __init__(
        self,
        keys: Keys,
        letters: int,
        texts: Callable[[], Iterable[Text]],
        fold: Callable[[str], str],
        made_by: Mapping[str, str],
        *,
        keep: bool,
        say: Callable[[str], None],
    ) -> None:
        """Open what is kept, and make the rest.

        Args:
            keys: of all texts, in their order, as often as they come.
            letters: of all these texts, about.
            texts: gives all texts; called only if something has to be made. It raises if they are
                others than those of the keys.
            fold: how a text is to be compared; one that is empty then is left out.
            made_by: what else decides what is in the index.
            keep: whether to use what earlier audits made, and to keep what is made.
            say: is told of what takes a while.
        """
        self._exit = ExitStack()
        self._fold = fold
        self._say = say
        ordered = np.unique(keys)
        bits = max(0, (letters - 1) // PART).bit_length()
        self._shift = np.uint64(64 - bits)
        edges = np.searchsorted(self._part_of(ordered), np.arange(2**bits + 1))
        names = [_name(ordered[start:end], made_by) for start, end in pairwise(edges)]
        self.made = 0
        """Parts that were not there."""
        for folder, kept in self._places(keep and len(ordered) >= FEWEST_KEPT):
            try:
                self._tables = self._opened(folder, names, keys, texts)
            except (OSError, ValueError):  # no space, or somebody removes what is kept
                if not kept:
                    raise
                continue
            if kept:
                _make_room(folder, names, cache_limit())
            break
        self._count = sum(map(len, self._tables))
        usual = sum(table.read for table in self._tables) / max(1, self._count)
        self._divisors = [table.divisors(usual) for table in self._tables]

    def near(self, folded: str, most: int) -> list[Hit]:
        """The texts that share most with one, by BM25 over trigrams.

        Args:
            folded: what is looked up.
            most: texts.
        """
        grams = grams_of(folded)
        places = [table.places(grams) for table in self._tables]
        known = np.sum([ends - starts for starts, ends in places], axis=0)
        chosen = _rarest(known, round(READ * self._count))
        weights = np.log1p((self._count - known + 0.5) / (known + 0.5)).astype(np.float32)
        best: list[tuple[float, int, int]] = []
        for number, (table, (starts, ends)) in enumerate(zip(self._tables, places, strict=True)):
            scores = table.scores(
                starts[chosen], ends[chosen], weights[chosen], self._divisors[number]
            )
            least = best[-1][0] if len(best) == most else 0.0
            better = np.flatnonzero(scores > least)
            if len(better) > most:
                floor = np.partition(scores[better], len(better) - most)[len(better) - most]
                better = better[scores[better] >= floor]
            best += zip(scores[better].tolist(), repeat(number), better.tolist(), strict=False)
            best.sort(key=lambda one: (-one[0], one[1:]))
            del best[most:]
        found = (self._tables[number].record(at) for _, number, at in best)
        return [Hit(one.key, Text(one.text, one.lang or None), one.folded) for one in found]

    def close(self) -> None:
        """Remove what is not kept."""
        self._exit.close()

    def _part_of(self, keys: Keys) -> Keys:
        return keys >> self._shift if self._shift < 64 else np.zeros_like(keys)

    def _places(self, keep: bool) -> Iterator[tuple[Path, bool]]:
        """Where the parts may lie, the best place first, and whether they stay there."""
        if keep and cache_limit():
            with suppress(OSError, RuntimeError):
                folder = cache_home() / "texts"
                make_private(folder)
                yield folder, True
        temporary = tempfile.TemporaryDirectory(prefix="asr-texts-")
        yield Path(self._exit.enter_context(temporary)), False

    def _opened(
        self,
        folder: Path,
        names: Sequence[str],
        keys: Keys,
        texts: Callable[[], Iterable[Text]],
    ) -> list[GramTable]:
        missing = {part for part, name in enumerate(names) if not _is_whole(folder / name)}
        if missing:
            if len(names) > 1:
                self._say(f"indexes {len(missing)} of {len(names)} parts of the texts")
            self._make(missing, folder, names, keys, texts())
        self.made = len(missing)
        # Somebody may remove one meanwhile; it must not be taken for an empty one.
        return [GramTable(folder / name) for name in names]

    def _make(
        self,
        missing: Set[int],
        folder: Path,
        names: Sequence[str],
        keys: Keys,
        texts: Iterable[Text],
    ) -> None:
        """Deal the texts to their parts on disk, and index one part after the other."""
        with tempfile.TemporaryDirectory(prefix="asr-texts-") as dealt:
            files = {part: Path(dealt) / str(part) for part in missing}
            given = iter(texts)
            for begin in range(0, len(keys), AT_ONCE):
                here = keys[begin : begin + AT_ONCE]
                dealt_now = {part: Records() for part in missing}
                for key, part, (text, lang) in zip(
                    here.tolist(), self._part_of(here).tolist(), given, strict=False
                ):
                    if part in missing and (folded := self._fold(text)):
                        dealt_now[part].add(key, folded, lang or "", text)
                for part, records in dealt_now.items():
                    with files[part].open("ab") as stream:
                        records.store(stream)
            for _ in given:  # it raises at its end if the texts are others
                pass
            for part in sorted(missing):
                records = Records()
                if files[part].exists():
                    with files[part].open("rb") as stream:
                        records.extend(stream)
                    files[part].unlink()
                _make_part(folder / names[part], records)


def _make_part(place: Path, records: Records) -> None:
    new = place.with_name(f".{place.name[:16]}-{secrets.token_hex(8)}")
    new.mkdir(mode=0o700)
    write_table(new, records)
    (new / SEAL).write_text(_digest(new), encoding="ascii")
    try:
        new.rename(place)
    except OSError:  # another audit made it meanwhile
        shutil.rmtree(new)


def _rarest(known: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The rarest trigrams: so many as are in no more texts than that, counted for each."""
    order = np.argsort(known, kind="stable")
    return np.sort(order[: max(1, int(np.searchsorted(np.cumsum(known[order]), most)))])


def _name(keys: Keys, made_by: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps([GRAM, unidata_version, dict(made_by)]).encode())
    digest.update(keys.astype("<u8").tobytes())
    return digest.hexdigest()


def _digest(folder: Path) -> str:
    """Of every file of a part but its locks.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in _files(folder):
        with open_regular(path) as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{path.name}\0{content}\0".encode())
    return digest.hexdigest()


def _is_whole(folder: Path) -> bool:
    """Whether a part is there, every byte as it was written."""
    try:
        if (folder / SEAL).read_text(encoding="ascii") == _digest(folder):
            os.utime(folder)
            return True
        shutil.rmtree(folder)
    except (OSError, ValueError):
        pass
    return False


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name != SEAL and not path.name.startswith("."):
            yield path


def _make_room(folder: Path, used: Sequence[str], limit: int) -> None:
    """Remove what was not used for longest, and what was never finished.

    Whoever has a part open keeps it until he is done: its files are mapped.
    """
    parts = []
    for path in folder.iterdir():
        with suppress(OSError):
            age = path.stat().st_mtime
            if path.name.startswith("."):
                if age < time.time() - ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)
            elif path.name not in used:
                parts.append((age, path, sum(one.stat().st_size for one in path.iterdir())))
    mine = [sum(one.stat().st_size for one in (folder / name).iterdir()) for name in set(used)]
    total, count = sum(mine) + sum(size for *_, size in parts), len(mine) + len(parts)
    for _, path, size in sorted(parts):
        if total <= limit and count <= MOST_KEPT:
            return
        shutil.rmtree(path, ignore_errors=True)
        total, count = total - size, count - 1
