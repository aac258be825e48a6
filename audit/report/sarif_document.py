"""A SARIF 2.1.0 document (OASIS, errata 01): its parts, with text of others in them.

Section numbers are those of the standard.
"""

from __future__ import annotations

import hashlib
import re
from importlib.metadata import version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from asr_gate.audit.report.locations import Level, Location, shortened
from asr_gate.corpus.storage import is_url

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"


def document(run: dict[str, Any]) -> dict[str, Any]:
    """A document of one run."""
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def run_of(
    rules: list[dict[str, Any]],
    results: list[dict[str, Any]],
    notifications: list[dict[str, Any]],
    *,
    successful: bool,
) -> dict[str, Any]:
    """A run of this version of `asr`."""
    written = version("asr-gate")
    return {
        "tool": {"driver": {"name": "asr", "version": written, "rules": rules}},
        "invocations": [
            {"executionSuccessful": successful, "toolExecutionNotifications": notifications}
        ],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the checkout."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }


def rule_of(code: str, name: str, level: Level, summary: str, fix: str) -> dict[str, Any]:
    """A rule as viewers list it."""
    return {
        "id": code,
        "name": name,
        "shortDescription": {"text": summary},
        "fullDescription": {"text": f"{summary} {fix}".strip()},
        "help": {"text": fix or summary},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["data-quality"]},
    }


def identity_of(*parts: str) -> str:
    """What stays the same from run to run of what is the same result."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def location_of(place: Location) -> dict[str, Any]:
    """Where a result is shown."""
    physical: dict[str, Any] = {"artifactLocation": _artifact(place.file)}
    if place.line is not None:
        physical["region"] = {"startLine": place.line}
    return {"physicalLocation": physical}


def _artifact(file: str) -> dict[str, str]:
    if is_url(file):
        return {"uri": quote(file, safe=":/")}
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(file), "uriBaseId": ROOT}


def message_of(text: str) -> dict[str, str]:
    """Plain text (3.11.3) that holds no placeholder (3.11.5) and no link (3.11.6).

    Braces are doubled. Brackets stand for themselves but where `](` would make a link; there the
    bracket is escaped, and so are backslashes before it, which would escape the escape.
    """
    flat = shortened(text, 2_000).replace("{", "{{").replace("}", "}}")
    return {"text": re.sub(r"(\\*)\](?=\()", lambda found: 2 * found[1] + r"\]", flat)}
