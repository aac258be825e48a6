"""Text of others in a Markdown page of ours."""

from __future__ import annotations

import re

from asr_gate.corpus.text.plain import isolated


def escape(text: str) -> str:
    """Text that Markdown and HTML take as text: transcripts are not ours.

    A word joiner, which nobody sees, keeps sites from making links and mentions of it.
    """
    flat = isolated(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"@|://|www(?=\.)|(?<=\w)#(?=\d)", lambda found: f"{found[0]}\u2060", flat)
    return re.sub(r"([\\`*\[\]|~])", r"\\\1", flat)
