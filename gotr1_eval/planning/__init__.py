"""What a run on many GPUs takes, from a model of costs: FLOPs, bytes, questions, seconds, GPU-hours. No torch."""
