"""Synthesized speakers: Debian's espeak-ng, flite and festival behind one function."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from asr_gate.audit.example.sound import SAMPLE_RATE, Samples, trim

FESTIVAL_VOICES = Path("/usr/share/festival/voices")
ESPEAK_WORDS_A_MINUTE = 165
SYNTHESIS_TIMEOUT_S = 60


@dataclass(frozen=True)
class Voice:
    """One synthesized speaker."""

    speaker: str
    """The name in the manifest's speaker column."""
    engine: str
    """Which program speaks: a key of `ENGINES`."""
    argument: str
    """What that program calls the voice."""


VOICES = (
    Voice("flite-slt", "flite", "slt"),
    Voice("espeak-us-m3", "espeak-ng", "en-us+m3"),
    Voice("festival-kal", "festival", "kal_diphone"),
    Voice("flite-rms", "flite", "rms"),
    Voice("espeak-gb-f2", "espeak-ng", "en-gb+f2"),
    Voice("flite-awb", "flite", "awb"),
    Voice("espeak-scotland-m7", "espeak-ng", "en-gb-scotland+m7"),
    Voice("festival-slt-hts", "festival", "cmu_us_slt_arctic_hts"),
    Voice("espeak-nyc-m1", "espeak-ng", "en-us-nyc+m1"),
    Voice("espeak-rp-f4", "espeak-ng", "en-gb-x-rp+f4"),
    Voice("espeak-lancaster-m4", "espeak-ng", "en-gb-x-gbclan+m4"),
    Voice("espeak-us-f5", "espeak-ng", "en-us+f5"),
    Voice("espeak-caribbean-m2", "espeak-ng", "en-029+m2"),
)


def missing_programs() -> list[str]:
    """The Debian packages that synthesis needs and this machine lacks."""
    lacking = [name for name in ENGINES if shutil.which(name) is None]
    festival_packages = {
        "festvox-kallpc16k": FESTIVAL_VOICES / "english/kal_diphone",
        "festvox-us-slt-hts": FESTIVAL_VOICES / "us/cmu_us_slt_arctic_hts",
    }
    return lacking + [name for name, path in festival_packages.items() if not path.is_dir()]


def speak(voice: Voice, text: str, stretch: float) -> Samples:
    """`text` as `voice` says it, `stretch` times as long as usual, without silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        for command in ENGINES[voice.engine](voice.argument, text, stretch, wav):
            subprocess.run(command, check=True, capture_output=True, timeout=SYNTHESIS_TIMEOUT_S)
        samples, rate = soundfile.read(wav, dtype="float32")
    return trim(np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), dtype=np.float32))


def _espeak(name: str, text: str, stretch: float, wav: Path) -> list[list[str]]:
    pace = round(ESPEAK_WORDS_A_MINUTE / stretch)
    return [["espeak-ng", "-v", name, "-s", str(pace), "-w", str(wav), text]]


def _flite(name: str, text: str, stretch: float, wav: Path) -> list[list[str]]:
    setting = f"duration_stretch={stretch:.3f}"
    return [["flite", "-voice", name, "--setf", setting, "-t", text, "-o", str(wav)]]


def _festival(name: str, text: str, stretch: float, wav: Path) -> list[list[str]]:
    if '"' in text or "\\" in text:
        raise ValueError(f"festival's script cannot quote this sentence: {text}")
    script = wav.with_suffix(".scm")
    script.write_text(
        f"(voice_{name})\n"
        f"(Parameter.set 'Duration_Stretch {stretch:.3f})\n"
        f'(set! spoken (utt.synth (Utterance Text "{text}")))\n'
        f'(utt.save.wave spoken "{wav}" \'riff)\n'
    )
    return [["festival", "-b", str(script)]]


ENGINES: dict[str, Callable[[str, str, float, Path], list[list[str]]]] = {
    "espeak-ng": _espeak,
    "flite": _flite,
    "festival": _festival,
}
