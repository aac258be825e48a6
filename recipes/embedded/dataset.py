"""The synthesized training set: features, phone and word labels, in shards on disk."""

import io
import json
import multiprocessing
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from asr_gate.corpus.files import write_atomically
from asr_gate.embedded.augment import NO_WORD, UNKNOWN_PHONE
from asr_gate.embedded.encoding import HOP, SAMPLE_RATE
from asr_gate.embedded.network import PHONES, LogMel
from recipes.embedded.language import Language, Sentence, find
from recipes.embedded.speech import as_recorded, synthesize
from recipes.embedded.spoken import Speech

JOB = 120
"""Sentences a job, all by one synthesizer."""
FRAMES_PER_SECOND = SAMPLE_RATE / HOP
MAX_SECONDS = 10.0
PLAN = "plan.json"


@dataclass
class Item:
    """One utterance as training sees it; frames are 10 ms."""

    mel: npt.NDArray[np.float16]
    """(frames, mels), before standardisation."""
    phones: npt.NDArray[np.int8]
    """(frames,) index into `PHONES`, or `UNKNOWN_PHONE`."""
    words: npt.NDArray[np.int8]
    """(frames,) index of the word spoken, or `NO_WORD`."""
    text: str
    voice: str


@dataclass(frozen=True)
class Job:
    number: int
    language: str
    kind: str
    split: str
    sentences: list[Sentence]
    seed: int
    out: Path

    @property
    def shard(self) -> Path:
        return self.out / f"{self.number:04d}.npz"


def labels(speech: Speech, frames: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Phone and word of every frame, by the frame's centre."""
    centres = np.arange(frames) / FRAMES_PER_SECOND
    names = [PHONES.index(p) if p in PHONES else UNKNOWN_PHONE for p, _ in speech.phones]
    ends = np.array([end for _, end in speech.phones])
    at = np.searchsorted(ends, centres, side="right")
    # Whatever comes after the last phone is silence.
    phones = np.array([*names, PHONES.index("sil")], np.int8)[at]
    words = np.full(frames, NO_WORD, np.int8)
    for number, span in enumerate(speech.words):
        if span:
            words[(centres >= span[0]) & (centres < span[1])] = number
    return phones, words


def run_job(job: Job) -> tuple[float, int]:
    """Synthesize one job into one shard; returns its seconds and its number of utterances."""
    torch.set_num_threads(1)
    rng = random.Random(job.seed)
    features = LogMel()
    items: list[Item] = []
    for sentence, speech in synthesize(job.kind, find(job.language), job.sentences, rng):
        speech = as_recorded(speech, rng)
        seconds = len(speech.wave) / SAMPLE_RATE
        silent = float(np.abs(speech.wave).max(initial=0.0)) < 1e-3
        crowded = len(sentence.text) > 24 * seconds
        if silent or crowded or not 0.2 < seconds < MAX_SECONDS:
            continue
        mel, count = features(torch.from_numpy(speech.wave)[None], torch.tensor([len(speech.wave)]))
        phones, words = labels(speech, int(count))
        items.append(Item(mel[0].half().numpy(), phones, words, sentence.text, speech.voice))
    if items:
        about = [{"text": item.text, "voice": item.voice, "split": job.split} for item in items]
        content = io.BytesIO()
        np.savez(
            content,
            mel=np.concatenate([item.mel for item in items]),
            phones=np.concatenate([item.phones for item in items]),
            words=np.concatenate([item.words for item in items]),
            frames=np.array([len(item.mel) for item in items]),
            about=np.array(json.dumps(about)),
        )
        write_atomically(job.shard, content.getvalue())
    return sum(len(item.mel) for item in items) / FRAMES_PER_SECOND, len(items)


def jobs(out: Path, language: Language, utterances: int, seed: int) -> list[Job]:
    """Jobs of all synthesizers, shuffled, and one by the voice that is held out.

    Raises:
        SystemExit: the language's texts are too few.
    """
    rng = random.Random(seed)
    pool = iter(language.sentences(rng))
    planned = []
    for kind, share in [*language.shares.items(), (language.held_out, 0.0)]:
        split = "held_out" if kind == language.held_out else "train"
        for _ in range(max(1, round(share * utterances / JOB))):
            batch = [sentence for _, sentence in zip(range(JOB), pool, strict=False)]
            if not batch:
                raise SystemExit(
                    f"error: languages/{language.code}.py has too few texts for {utterances} "
                    "utterances; ask for fewer by --utterances, or add a source"
                )
            planned.append((kind, split, batch))
    rng.shuffle(planned)
    return [Job(i, language.code, *plan, seed * 100_003 + i, out) for i, plan in enumerate(planned)]


def plan(out: Path, language: Language, utterances: int, seed: int) -> list[Job]:
    """The jobs, kept in `out`: a second run for the same set goes on with what is missing.

    Shards of another set are deleted.
    """
    path = out / PLAN
    wanted = {
        "language": language.code,
        "utterances": utterances,
        "seed": seed,
        "shares": dict(language.shares),
        "held_out": language.held_out,
    }
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if known.get("set") != wanted:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        found = [{**asdict(job), "out": ""} for job in jobs(out, language, utterances, seed)]
        known = {"set": wanted, "jobs": found}
        write_atomically(path, json.dumps(known, ensure_ascii=False).encode())
    return [
        Job(**{**job, "out": out, "sentences": [Sentence(**s) for s in job["sentences"]]})
        for job in known["jobs"]
    ]


def build(
    out: Path, language: Language, utterances: int, seed: int, processes: int
) -> Iterator[str]:
    """Synthesize everything into `out`; yields a line of progress now and then.

    Shards that are there already stay.
    """
    planned = [job for job in plan(out, language, utterances, seed) if not job.shard.exists()]
    seconds = count = 0.0
    # Spawned, not forked: the synthesizers' libraries keep global state.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, (length, items) in enumerate(pool.imap_unordered(run_job, planned), 1):
            seconds += length
            count += items
            if done % 20 == 0 or done == len(planned):
                yield f"{done}/{len(planned)} jobs, {count:.0f} utterances, {seconds / 3600:.2f} h"


def read(out: Path, split: str, part: int = 0, parts: int = 1) -> list[Item]:
    """The utterances of a split ("train" or "held_out"), or of every `parts`-th shard of it."""
    found = []
    for path in sorted(out.glob("*.npz"))[part::parts]:
        with np.load(path) as shard:
            about = json.loads(str(shard["about"]))
            if about[0]["split"] != split:
                continue
            bounds = np.cumsum(shard["frames"])[:-1]
            arrays = (np.split(shard[name], bounds) for name in ("mel", "phones", "words"))
            for mel, phones, words, row in zip(*arrays, about, strict=True):
                found.append(Item(mel, phones, words, row["text"], row["voice"]))
    return found


def summary(out: Path, language: Language) -> dict[str, object]:
    """What the training split holds."""
    frames = 0
    voices: Counter[str] = Counter()
    for path in sorted(out.glob("*.npz")):
        with np.load(path) as shard:
            about = json.loads(str(shard["about"]))
            if about[0]["split"] == "train":
                frames += int(shard["frames"].sum())
                voices.update(row["voice"] for row in about)
    count = voices.total()
    shares: Counter[str] = Counter()
    for voice, spoken in voices.items():
        shares[next(kind for kind in language.shares if voice.startswith(kind))] += spoken
    return {
        "utterances": count,
        "hours": round(frames / FRAMES_PER_SECOND / 3600, 2),
        "named_voices": len(voices),
        "held_out": language.held_out,
        "shares": {kind: round(shares[kind] / count, 3) for kind in language.shares},
    }
