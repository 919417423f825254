"""Judges against people: reading ratings, coefficients with intervals, studies, calibration."""
