"""WISE: does the picture show what a prompt means by way of knowledge?"""
