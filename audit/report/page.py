"""`report.html`: one file to look at, listen to and judge, which asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Page:
    """The page and the files beside it."""

    html: bytes
    files: dict[str, bytes]
    """By name in `FOLDER`."""


def page(
    data: Mapping[str, Any],
    clips: Sequence[tuple[str, Clip]],
    inline_bytes: int,
) -> Page:
    """Put the page together.

    Args:
        data: from `page_data.page_data`.
        clips: audio by the id of its row, in the order of the list.
        inline_bytes: how large the page may become; audio beyond goes into files beside it.
    """
    script = _script()
    size = len(script) + len(json.dumps(data, ensure_ascii=True))
    beside: dict[str, bytes] = {}
    sounds: dict[str, dict[str, str]] = {}
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
    title = f"{data['decision']}: audit of {data['about']['data']}"
    return Page(_filled({**data, "sounds": sounds}, title, script), beside)


def served_page(data: Mapping[str, Any], title: str) -> tuple[bytes, str]:
    """The page as `asr review` serves it, and its content security policy.

    Args:
        data: as of `page`, with `sounds` (where each row's audio is) and `server`.
        title: of the page.
    """
    script = _script()
    return _filled(data, title, script), _policy(script)


def _filled(data: Mapping[str, Any], title: str, script: str) -> bytes:
    content = Template(_read("page.html")).substitute(
        policy=html.escape(_policy(script)),
        title=html.escape(title),
        style=_read("page.css"),
        nonce=NONCE,
        data=_inside_script(data),
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
