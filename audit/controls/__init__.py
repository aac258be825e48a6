"""Planted defects, and what an audit sees of them on its own data.

`kinds` what is planted, `plant` where, `measure` what the aligner finds there, `calibrate` what
follows: thresholds, power, and what the audit is blind to; `figures` which fixed figures count.
"""
