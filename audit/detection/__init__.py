"""How well an aligner tells defects from right transcripts, in figures that others can cite.

`measure` plants defects in rows and measures them, `figures` makes groups of scores of what was
measured, `curves` has their figures with intervals, `known` reads which rows are known to be wrong,
and `files` writes all of it.
"""
