"""A corpus of the examples on disk: rows with their audio, manifests, figures of the README."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from asr_gate.audit.example.breakage import Kind, Plan, Row, break_rows
from asr_gate.audit.example.sound import SAMPLE_RATE, Codec, Samples, write


def begin(folder: Path) -> dict[str, list[str]]:
    """Remove the corpus in a folder; the sentences of the new one, from its `sentences.txt`, by
    section.
    """
    shutil.rmtree(folder / "audio", ignore_errors=True)
    (folder / "audio").mkdir()
    sections: dict[str, list[str]] = {}
    for line in (folder / "sentences.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            sections[line.removeprefix("# ")] = current = []
        elif line:
            current.append(line)
    return sections


def finish(
    folder: Path,
    rows: Sequence[Row],
    plans: Mapping[str, Plan],
    rng: Callable[[str], np.random.Generator],
    language: str,
) -> None:
    """Write manifests of sound rows, each with what its plan breaks, and what is said of them.

    Args:
        folder: holds the rows' audio, and gets that of broken ones.
        rows: the sound ones.
        plans: by the name of the manifest.
        rng: the generator of a name.
        language: ISO 639 code of the texts.
    """
    broken = {}
    for name, plan in plans.items():
        changed, kinds = break_rows(rows, plan, rng(name), folder)
        _write_manifest(folder / name, changed, language)
        broken[name] = _broken_summary(rows, kinds)
    (folder / "broken.json").write_text(json.dumps(broken, indent=1) + "\n")
    found = _figures(folder, rows, broken)
    _put_figures(folder / "README.md", found)
    print(found)


def write_row(
    folder: Path,
    identity: str,
    samples: Samples,
    codec: Codec,
    *,
    text: str,
    domain: str,
    speaker: str,
    synthesized: bool = True,
) -> Row:
    """Write the audio into a folder; the row's duration is that of the file, read back."""
    path = f"audio/{identity}{codec.suffix}"
    write(folder / path, samples, codec)
    decoded, rate = soundfile.read(folder / path)
    if (len(decoded), rate) != (len(samples), SAMPLE_RATE):
        raise RuntimeError(f"{path}: {len(samples)} samples written, {len(decoded)} read back")
    duration = round(len(decoded) / rate, 4)
    return Row(identity, path, text, duration, domain, speaker, synthesized=synthesized)


def _write_manifest(path: Path, rows: Sequence[Row], language: str) -> None:
    """NeMo's JSON Lines."""
    lines = []
    for row in rows:
        fields: dict[str, str | float] = {"id": row.id, "audio_filepath": row.audio_filepath}
        if row.offset is not None:
            fields["offset"] = row.offset
        fields |= {
            "duration": row.duration,
            "text": row.text,
            "lang": language,
            "domain": row.domain,
            "speaker": row.speaker,
        }
        lines.append(json.dumps(fields, ensure_ascii=False) + "\n")
    path.write_text("".join(lines))


def _broken_summary(rows: Sequence[Row], kinds: dict[str, Kind]) -> dict[str, object]:
    """What `broken.json` says of a manifest."""
    population = Counter(row.domain for row in rows)
    hit = Counter(row.domain for row in rows if row.id in kinds)
    return {
        "rows": len(rows),
        "broken_rows": len(kinds),
        "share": round(len(kinds) / len(rows), 4),
        "domain_shares": {d: round(hit[d] / n, 4) for d, n in population.items()},
        "kinds": dict(Counter(kind.value for kind in kinds.values())),
        "broken": {identity: kinds[identity].value for identity in sorted(kinds)},
    }


def _figures(folder: Path, rows: Sequence[Row], broken: dict[str, dict[str, object]]) -> str:
    """The figures of the folder's README, in Markdown."""
    lines = [
        "| domain | rows | minutes | kB of audio | speakers | files by format |",
        "|---|---|---|---|---|---|",
    ]
    for domain in dict.fromkeys(row.domain for row in rows):
        mine = [row for row in rows if row.domain == domain]
        paths = sorted({row.audio_filepath for row in mine})
        suffixes = Counter(Path(path).suffix.removeprefix(".") for path in paths)
        lines.append(
            f"| `{domain}` | {len(mine)} | {sum(row.duration for row in mine) / 60:.1f}"
            f" | {sum((folder / path).stat().st_size for path in paths) / 1000:.0f}"
            f" | {len({row.speaker for row in mine})}"
            f" | {', '.join(f'{n} {suffix}' for suffix, n in sorted(suffixes.items()))} |"
        )
    good = {folder / row.audio_filepath for row in rows}
    spoiled = [path for path in (folder / "audio").iterdir() if path not in good]
    total = sum(path.stat().st_size for path in (folder / "audio").iterdir())
    lines += [
        "",
        f"Broken audio: {len(spoiled)} more files,"
        f" {sum(path.stat().st_size for path in spoiled) / 1000:.0f} kB."
        f" All audio: {total / 1e6:.2f} MB.",
    ]
    for name, summary in broken.items():
        lines.append(f"`{name}`: {summary['broken_rows']} of {summary['rows']} rows broken.")
    return "\n".join(lines)


def _put_figures(readme: Path, figures: str) -> None:
    """Put `figures` between the README's two markers."""
    start, end = "<!-- figures: made by build.py -->", "<!-- end of figures -->"
    head, _, rest = readme.read_text().partition(start)
    _, _, tail = rest.partition(end)
    readme.write_text(f"{head}{start}\n{figures}\n{end}{tail}")
