"""Planted defects, and what an audit sees of them on its own data.

`kinds` what is planted, `plant` where, `measure` what the aligner finds there, `calibrate` what
follows: thresholds and detection power; `absolute_thresholds` which
of the policy's thresholds are in force.
"""
