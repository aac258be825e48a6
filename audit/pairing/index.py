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
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, NamedTuple
from unicodedata import unidata_version

import numpy as np
import tantivy
from numpy.typing import NDArray

from asr_gate.corpus.cache import cache_limit
from asr_gate.corpus.files import cache_home, make_private, open_regular

GRAM = 3
PART = 65_536
"""Texts of one part at most, about: some 7 MB on disk."""
FEWEST_KEPT = 20_000
"""Texts under which an index is made in less time than it takes to look for a kept one."""
FEW_MORE = 10
"""Texts that each part gives beyond its share: the best ones are dealt by lot."""
AT_ONCE = 100_000
"""Texts that are dealt at once."""
MOST_KEPT = 2000
"""Parts."""
ABANDONED = 86_400.0
"""Seconds after which what an audit began to write is nobody's any more."""
HEAP = 50_000_000
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
        texts: Callable[[], Iterable[Text]],
        fold: Callable[[str], str],
        made_by: Mapping[str, str],
        *,
        keep: bool,
        say: Callable[[str], None],
    ) -> None:
        """Open what is kept, and make the rest.

        Args:
            keys: of all texts, in any order, as often as they come.
            texts: gives all texts; called only if something has to be made.
            fold: how a text is to be compared; one that is empty then is left out.
            made_by: what else decides what is in the index.
            keep: whether to use what earlier audits made, and to keep what is made.
            say: is told of what takes a while.
        """
        self._exit = ExitStack()
        self._fold = fold
        self._say = say
        schema = tantivy.SchemaBuilder()
        schema.add_text_field("folded", stored=True, tokenizer_name="grams", index_option="freq")
        schema.add_bytes_field("text", stored=True, indexed=False)
        self._schema = schema.build()
        ordered = np.unique(keys)
        bits = max(0, (len(ordered) - 1) // PART).bit_length()
        self._shift = np.uint64(64 - bits)
        edges = np.searchsorted(self._part_of(ordered), np.arange(2**bits + 1))
        names = [_name(ordered[start:end], made_by) for start, end in pairwise(edges)]
        self.made = 0
        """Parts that were not there."""
        for folder, kept in self._places(keep and len(ordered) >= FEWEST_KEPT):
            try:
                self._searchers = self._opened(folder, names, texts)
            except (OSError, ValueError):  # no space, or somebody removes what is kept
                if not kept:
                    raise
                continue
            if kept:
                _make_room(folder, names, cache_limit())
            break

    def near(self, folded: str, most: int) -> list[Hit]:
        """The texts that share most with one, by BM25 over trigrams.

        Args:
            folded: what is looked up.
            most: texts.
        """
        grams = sorted({folded[at : at + GRAM] for at in range(len(folded) - GRAM + 1)})
        if not grams:
            return []
        query = tantivy.Query.boolean_query(
            [
                (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "folded", gram))
                for gram in grams
            ]
        )
        each = -(-most // len(self._searchers)) + min(most, FEW_MORE)
        hits = [
            (score, searcher, at)
            for searcher in self._searchers
            for score, at in searcher.search(query, limit=each, count=False).hits
        ]
        # Texts are dealt by lot, so that a score means the same in every part.
        found = []
        for _, searcher, at in sorted(hits, key=lambda hit: -hit[0])[:most]:
            document = searcher.doc(at)
            text = Text(*json.loads(document["text"][0]))
            found.append(Hit(text.key(), text, document["folded"][0]))
        return found

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
        self, folder: Path, names: Sequence[str], texts: Callable[[], Iterable[Text]]
    ) -> list[tantivy.Searcher]:
        missing = {part for part, name in enumerate(names) if not _is_whole(folder / name)}
        if missing:
            if len(names) > 1:
                self._say(f"indexes {len(missing)} of {len(names)} parts of the texts")
            self._make(missing, folder, names, texts())
        self.made = len(missing)
        # Somebody may remove one meanwhile; it must not be taken for an empty one.
        indexes = [tantivy.Index.open(str(folder / name)) for name in names]
        for index in indexes:
            index.register_tokenizer("grams", _grams())
        return [index.searcher() for index in indexes]

    def _make(
        self, missing: Set[int], folder: Path, names: Sequence[str], texts: Iterable[Text]
    ) -> None:
        """Deal the texts to their parts on disk, and index one part after the other."""
        with tempfile.TemporaryDirectory(prefix="asr-texts-") as dealt:
            files = {part: Path(dealt) / str(part) for part in missing}
            every = iter(texts)
            while some := list(islice(every, AT_ONCE)):
                parts = self._part_of(np.array([text.key() for text in some], np.uint64))
                lines: dict[int, list[str]] = {}
                for text, part in zip(some, parts.tolist(), strict=True):
                    if part in missing:
                        lines.setdefault(part, []).append(json.dumps(text) + "\n")
                for part, written in lines.items():
                    with files[part].open("a", encoding="ascii") as stream:
                        stream.writelines(written)
            for part in sorted(missing):
                files[part].touch()
                with files[part].open(encoding="ascii") as stream:
                    self._make_part(folder / names[part], stream)
                files[part].unlink()

    def _make_part(self, place: Path, lines: IO[str]) -> None:
        texts = {(text := Text(*json.loads(line))).key(): text for line in lines}
        new = place.with_name(f".{place.name[:16]}-{secrets.token_hex(8)}")
        new.mkdir(mode=0o700)
        index = tantivy.Index(self._schema, str(new))
        index.register_tokenizer("grams", _grams())
        # One thread and one order, so that texts of equal rank come the same way every time.
        writer = index.writer(heap_size=HEAP, num_threads=1)
        for key in sorted(texts):
            if folded := self._fold(texts[key].text):
                document = tantivy.Document()
                document.add_text("folded", folded)
                document.add_bytes("text", json.dumps(texts[key]).encode())
                writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        (new / SEAL).write_text(_digest(new), encoding="ascii")
        try:
            new.rename(place)
        except OSError:  # another audit made it meanwhile
            shutil.rmtree(new)


def _grams() -> tantivy.TextAnalyzer:
    grams = tantivy.Tokenizer.ngram(min_gram=GRAM, max_gram=GRAM, prefix_only=False)
    return tantivy.TextAnalyzerBuilder(grams).build()


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
