"""Corpora in tar files, made of the sounds of a folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path


def tar_bytes(members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, inside in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(inside)
            archive.addfile(about, io.BytesIO(inside))
    return content.getvalue()


def tar(path: Path, members: Mapping[str, bytes]) -> Path:
    path.write_bytes(tar_bytes(members))
    return path


def shards(folder: Path) -> Path:
    """Two WebDataset shards of a folder's audio."""
    home = folder / "shards"
    home.mkdir()
    sounds = [(folder / "audio" / f"{n}.wav").read_bytes() for n in range(4)]
    said = {"text": "one", "lang": "en", "offset": 7.0, "audio_filepath": "/etc/passwd"}
    tar(
        home / "train-000.tar",
        {
            "a.wav": sounds[0],
            "a.json": json.dumps(said).encode(),
            "b.wav": sounds[1],
            "b.txt": b" two\n",
        },
    )
    alone = {"c.wav": sounds[2], "c.json": b'{"text": "three", "id": "third"}', "d.txt": b"four"}
    tar(home / "dev-000.tar", alone)
    return home


def cuts(folder: Path) -> Path:
    """A Shar folder of two cuts, as Lhotse writes it."""
    home = folder / "shar"
    home.mkdir()
    lines, members = [], {}
    for number in range(2):
        recording = {
            "id": f"r{number}",
            "sources": [{"type": "shar", "channels": [0], "source": ""}],
            "sampling_rate": 16000,
            "num_samples": 16000,
            "duration": 1.0,
            "channel_ids": [0],
        }
        spoken = {
            "id": f"s{number}",
            "recording_id": f"r{number}",
            "start": 0.0,
            "duration": 1.0,
            "channel": 0,
            "text": f"text {number}",
            "language": "English",
        }
        cut = {
            "id": f"c{number}",
            "start": 0,
            "duration": 1.0,
            "channel": 0,
            "type": "MonoCut",
            "supervisions": [spoken],
            "recording": recording,
        }
        lines.append(json.dumps(cut))
        members[f"c{number}.wav"] = (folder / "audio" / f"{number}.wav").read_bytes()
        members[f"c{number}.json"] = json.dumps(recording).encode()
    (home / "cuts.000000.jsonl").write_text("\n".join(lines))
    tar(home / "recording.000000.tar", members)
    return home
