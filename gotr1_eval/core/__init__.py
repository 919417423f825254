"""The bottom layer: plain types and pure functions that everything else is written in. No torch, no pandas."""
