"""T2I-CompBench's official metrics as judges, one a file; each answers for its own categories only."""
