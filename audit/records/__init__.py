"""What an audit knows, as typed records: the bottom layer, on which everything else builds.

`alignment` and `measured` hold what was measured on one utterance, `judged` what that means beside
all others; `controls` and `power` what planted defects showed; `rules`, `finding` and `report` what
is said of it. Nothing here computes, and nothing needs numpy.
"""
