"""`report.html`: one file to look at, listen to and judge, which asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any

from asr_gate.audit.report.clips import Clip

PAGE_FILE = "report.html"
FOLDER = "report_files"
"""Beside the page: the audio that would make it too large."""

_PARTS = files("asr_gate.audit").joinpath("report", "page")
LIBRARIES = ("chart.min.js", "wavesurfer.min.js")
OURS = ("plots.js", "list.js", "review.js", "utterance.js", "page.js")


Sounds = dict[str, dict[str, str | None]]
"""By the id of a row: `inline` (base64 of Opus) or `file` (its address), and `peaks`."""


def placed(
    data: Mapping[str, Any], clips: Sequence[tuple[str, Clip]], inline_bytes: int
) -> tuple[Sounds, dict[str, bytes]]:
    """Where the audio of a page goes: into it, as long as there is room, or beside it.

    Args:
        data: what the page shows.
        clips: audio by the id of its row, in the order of the list.
        inline_bytes: how large the page may become.

    Returns:
        The sounds, and the files of `FOLDER` by name.
    """
    size = len(_script()) + len(json.dumps(data, ensure_ascii=True))
    sounds: Sounds = {}
    beside: dict[str, bytes] = {}
    for number, (id, clip) in enumerate(clips):
        encoded = base64.b64encode(clip.sound).decode()
        size += len(clip.peaks)
        if size + len(encoded) <= inline_bytes:
            size += len(encoded)
            sounds[id] = {"inline": encoded, "peaks": clip.peaks}
        else:
            name = f"{number:05d}.ogg"
            beside[name] = clip.sound
            sounds[id] = {"file": f"{FOLDER}/{name}", "peaks": clip.peaks}
    return sounds, beside


def page(data: Mapping[str, Any], title: str) -> tuple[bytes, str]:
    """The page, and its content security policy.

    Args:
        data: from `page_data.page_data`, with `sounds`; as `asr review` serves it, with `server`.
        title: of the page.
    """
    script = _script()
    return _filled(data, title, script), _policy(script)


DETAILS = ("words", "heard", "gaps", "activity", "unaligned", "changes", "candidates")
"""Of a row, what the list does not need: most of a large page. The browser reads these lines one by
one, when their row is chosen."""


def _filled(data: Mapping[str, Any], title: str, script: str) -> bytes:
    rows = data["rows"]
    brief = [{name: row[name] for name in row if name not in DETAILS} for row in rows]
    details = [{name: row[name] for name in DETAILS if name in row} for row in rows]
    content = Template(_read("page.html")).substitute(
        policy=html.escape(_policy(script)),
        title=html.escape(title),
        style=_read("page.css"),
        nonce=NONCE,
        data=_inside_script({**data, "rows": brief}),
        details="\n".join(map(_inside_script, details)),
        script=script,
    )
    return content.encode()


def _script() -> str:
    ours = "\n".join(map(_read, OURS))
    return "\n".join([*map(_read, LIBRARIES), f"(() => {{\n{ours}\n}})();"])


NONCE = "asr"
"""Of styles, which cannot run anything: the player brings a sheet of its own."""


def _policy(script: str) -> str:
    """The content security policy: this script and no other, and nothing from any network."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{digest}'",
            f"style-src 'nonce-{NONCE}'",
            "img-src data:",
            "media-src 'self' file: blob:",
            "connect-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _inside_script(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _read(name: str) -> str:
    return _PARTS.joinpath(name).read_text(encoding="utf-8")
