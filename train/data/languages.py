"""English names of languages, as prompts and results have them."""

from __future__ import annotations

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.text.language import NAMES


def language_name(language: str) -> str:
    """The name for a code (`he`, `en-US`) or a name in any case (`hebrew`).

    A language without a code here is accepted by its full name.

    Raises:
        UserError: the code is not known.
    """
    code = language.strip().replace("_", "-").split("-")[0].lower()
    if code in NAMES:
        return NAMES[code]
    if len(code) > 3 and code.isalpha():
        return code.capitalize()
    raise UserError(
        f"language {language!r} is not a known code; write its full English name, e.g. Hebrew "
        f"(known codes: {', '.join(NAMES)})"
    )
