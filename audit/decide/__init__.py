"""From findings in a sample to a decision on the corpus: estimate, verdict, limits."""
