"""Which utterances are audited: a fixed stratified sample, or as many as the decision needs."""
