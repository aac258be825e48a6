"""From a corpus to a verdict and its report."""
