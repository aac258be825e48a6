"""Cross-fitted adaptation: the aligner learns from rows that the first pass trusts, and judges only
rows of which it has heard neither the speaker or recording nor the text."""
