"""Statistics, each once: summaries, intervals and bootstraps, ranks, correlations, tests, precision of a mean."""
