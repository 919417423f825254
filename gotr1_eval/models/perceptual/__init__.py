"""Perceptual distances between pictures: a file here is a plug-in."""
