"""Benchmarks: prompts, and the stages of a run. No torch: models come in by argument."""
