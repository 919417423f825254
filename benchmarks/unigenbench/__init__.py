"""UniGenBench++: which of a prompt's test points does the picture meet?"""
