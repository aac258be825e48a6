"""One small corpus in every format that can be written."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

TEXTS = ["one", "two, \u05e9\u05dc\u05d5\u05dd", "three", "four"]


def as_jsonl(folder: Path) -> Path:
    rows = [
        f'{{"audio_filepath":"audio/{n}.wav",  "text": {json.dumps(text)}, "more": 1.50}}'
        for n, text in enumerate(TEXTS)
    ]
    (folder / "m.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n\n".join(rows).encode())
    return folder / "m.jsonl"


def as_gzip(folder: Path) -> Path:
    content = as_jsonl(folder).read_bytes()
    (folder / "m.jsonl.gz").write_bytes(gzip.compress(content))
    return folder / "m.jsonl.gz"


def as_qwen(folder: Path) -> Path:
    rows = [
        {"audio": f"audio/{n}.wav", "text": f"language Hebrew<asr_text>{text}"}
        for n, text in enumerate(TEXTS)
    ]
    (folder / "q.json").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    )
    return folder / "q.json"


def as_csv(folder: Path) -> Path:
    rows = [f'"audio/{n}.wav","{text}","a\nb",' for n, text in enumerate(TEXTS)]
    content = "audio_filepath,text,note,speaker\r\n" + "\r\n\r\n".join(rows)
    (folder / "m.csv").write_bytes(content.encode())
    return folder / "m.csv"


def as_tsv(folder: Path) -> Path:
    rows = [f'audio/{n}.wav\t"{text}' for n, text in enumerate(TEXTS)]
    (folder / "m.tsv").write_bytes(("path\tsentence\n" + "\n".join(rows) + "\n").encode())
    return folder / "m.tsv"


def as_audio_folder(folder: Path) -> Path:
    rows = [f"audio/{n}.wav,x{n}" for n in range(4)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,text", *rows]))
    return folder


def as_cuts(folder: Path) -> Path:
    import lhotse

    recordings = [
        lhotse.Recording.from_file(folder / "audio" / f"{n}.wav", recording_id=f"r{n}")
        for n in range(3)
    ]
    said = [
        lhotse.SupervisionSegment("s0", "r0", 0.0, 0.5, text=TEXTS[0]),
        lhotse.SupervisionSegment("s1", "r0", 0.5, 0.5, text=TEXTS[1]),
        lhotse.SupervisionSegment("s2", "r1", 0.0, 1.0, text=TEXTS[2]),
        lhotse.SupervisionSegment("s3", "r2", 0.0, 1.0, text=TEXTS[3]),
    ]
    cuts = lhotse.CutSet.from_manifests(
        recordings=lhotse.RecordingSet.from_recordings(recordings),
        supervisions=lhotse.SupervisionSet.from_segments(said),
    )
    cuts.to_file(folder / "cuts.jsonl.gz")
    return folder / "cuts.jsonl.gz"


def as_pair(folder: Path) -> Path:
    home = folder / "pair"
    home.mkdir()
    shutil.copytree(folder / "audio", home / "audio")
    source = {"type": "file", "channels": [0]}
    recordings = [
        {
            "id": f"r{n}",
            "sources": [{**source, "source": f"audio/{n}.wav"}],
            "sampling_rate": 16000,
            "num_samples": 16000,
            "duration": 1.0,
        }
        for n in range(4)
    ]
    said = [
        {"id": f"s{n}", "recording_id": f"r{n}", "start": 0, "duration": 1, "text": text}
        for n, text in enumerate(TEXTS)
    ]
    for name, rows in (("recordings", recordings), ("supervisions", said)):
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return home


def as_kaldi(folder: Path) -> Path:
    home = folder / "kaldi"
    home.mkdir()
    shutil.copytree(folder / "audio", home / "audio")
    for name, content in {
        "wav.scp": "".join(f"r{n} audio/{n}.wav\n" for n in range(4)),
        "segments": "".join(f"u{n} r{n} 0 1\n" for n in range(4)),
        "text": "".join(f"u{n}  {text}\n" for n, text in enumerate(TEXTS)),
        "utt2spk": "u0 s\nu1 s\nu2 t\nu3 t\n",
        "spk2utt": "s u0 u1\nt u2 u3\n",
        "spk2gender": "s f\nt m\n",
        "reco2dur": "".join(f"r{n} 1\n" for n in range(4)),
        "notes.md": "mine",
    }.items():
        (home / name).write_text(content)
    return home


def rows_of(folder: Path) -> Any:
    import datasets

    names = [f"{folder}/audio/{n}.wav" for n in range(4)]
    rows = datasets.Dataset.from_dict({"audio": names, "text": TEXTS, "n": [1, 2, 3, 4]})
    return rows.cast_column("audio", datasets.Audio())


def as_saved(folder: Path) -> Path:
    rows_of(folder).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def as_parquet(folder: Path) -> Path:
    import datasets

    datasets.load_from_disk(str(as_saved(folder))).to_parquet(str(folder / "m.parquet"))
    return folder / "m.parquet"


KINDS = [
    as_jsonl, as_gzip, as_qwen, as_csv, as_tsv, as_audio_folder, as_cuts, as_pair, as_kaldi,
    as_saved, as_parquet,
]  # fmt: skip
