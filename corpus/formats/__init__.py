"""The formats of corpora: one file each, which reads the format and writes it.

To add a format:

1. Write `corpus/formats/NAME.py` with a subclass of `Format` (`corpus/formats/format.py`).
2. `find` says whether a path is a manifest of this format; `rows` yields one `Row` a line.
3. `write` writes the same manifest less the dropped rows; `asr clean` reads the result back.
4. If a corpus is a folder, give its `Source` `folder=True`; the other defaults are for one file.
5. Add one line to `FORMATS` below. The first format that finds something at a path reads it.
"""

from __future__ import annotations

from asr_gate.corpus.formats.audio_folder import AudioFolder
from asr_gate.corpus.formats.delimited import Delimited
from asr_gate.corpus.formats.format import Format
from asr_gate.corpus.formats.huggingface import HuggingFace
from asr_gate.corpus.formats.kaldi import Kaldi
from asr_gate.corpus.formats.lhotse_cuts import LhotseCuts
from asr_gate.corpus.formats.lhotse_shar import LhotseShar
from asr_gate.corpus.formats.lhotse_supervisions import LhotseSupervisions
from asr_gate.corpus.formats.qwen3_asr import Qwen3Asr
from asr_gate.corpus.formats.webdataset import WebDataset

FORMATS: tuple[Format, ...] = (
    LhotseCuts(),
    LhotseShar(),
    LhotseSupervisions(),
    Qwen3Asr(),  # and NeMo: rows without a language tag are NeMo's
    Delimited(),
    Kaldi(),
    AudioFolder(),
    WebDataset(),
    HuggingFace(),  # takes every folder that is left
)
"""In the order in which they are asked."""
