"""T2I-CoReBench: which of many elements that a prompt names or implies does the picture show?"""
