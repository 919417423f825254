"""Checklists: asking a language-vision model the questions of a picture, and adding its verdicts up.

    encoding    which pictures the model is shown: as they are, through JPEG, cut out of a grid
    asking      the modes in words: one question a call, all questions in one call, describe first
    first_tokens  the mode by probabilities: the first token of a right answer
    reading     the verdict readers, strict and lenient
    judge       the judge that is made of them; a benchmark's folder builds it from a `Procedure` of its own
    results     a judged run's pictures with their verdicts, for a benchmark's tables

The rules themselves stand in `gotr1_eval.core.checklist`.
"""
