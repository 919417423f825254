"""Published scores, and which of a run's numbers may be laid beside them."""
