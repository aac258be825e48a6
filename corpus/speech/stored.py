"""What the stored samples of a recording show, as a record that needs no numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """Measurements of stored samples."""

    sample_rate: int
    """Samples a second."""
    channels: int
    clipped: float
    """Share of the samples at full scale, 0 to 1."""
    dc_offset: float
    """Mean of the samples of the channel where it is furthest from 0, as a share of full scale (of
    the largest sample, where a file of floats goes beyond)."""
    bandwidth: float | None
    """Hertz: the highest frequency within 60 dB of the strongest one; None: silence, or too short
    to tell."""
    channel_gap: float
    """Decibels between the loudest and the quietest channel; 0 where there is only one."""
    channel_correlation: float | None
    """The least correlation of two channels, -1 to 1; None: there is one, or one of them is
    constant."""
