"""A script whose request is read and never run: words with a slot for the prompt, as published judges keep theirs."""

prompt = ""
problem = f"Three marks, please.\nAlignment Score (1-5): X\nText Caption: [{prompt}]"
