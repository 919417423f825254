"""The two readings of every official metric, and what happens where an official script has no answer.

`reference` computes what the official script computes, bug for bug, so that a number may stand beside published ones.
`corrected` mends the deviations that docs/metrics.md lists, so that the number means what the metric's paper says.
"""

from __future__ import annotations

from typing import Literal

Semantics = Literal["reference", "corrected"]


class UndefinedScoreError(ValueError):
    """The metric has no value for this input: the official script ends there with an exception.

    Args:
        message: what is missing, for people.
        official_error: name of the exception type with which the official script stops; empty where only `corrected`
            refuses to give a number.
    """

    def __init__(self, message: str, official_error: str = "") -> None:
        super().__init__(message)
        self.official_error = official_error
