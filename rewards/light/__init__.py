"""Light judges: what a small head is fitted on, the file that holds it, and how sure a cheap judge is."""
