"""Simulations of hundreds of studies: do intervals hold the truth, is stated power real? By hand, minutes each."""
