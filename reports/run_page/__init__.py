"""The page of one run, section by section: what ran, scores, plots, training, samples."""
