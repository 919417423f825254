"""Named maps from a judge's own scale to [0, 1], for totals.

clip01              what lies outside [0, 1] becomes 0 or 1
affine(low,high)    low becomes 0 and high 1, linearly; what lies outside becomes 0 or 1
over(number)        divided by the number, as other projects scale a judge: over(26) is flow_grpo's PickScore (which it
                    does not cut off at 1), over(5) its UnifiedReward
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from gotr1_eval.core.errors import UsageError

KNOWN = "'clip01', 'affine(low,high)' (for instance affine(0.2,0.35)) or 'over(number)'"
_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_OVER = re.compile(rf"over\({_NUMBER}\)")
_AFFINE = re.compile(rf"affine\({_NUMBER},{_NUMBER}\)")


@dataclass(frozen=True, slots=True)
class Map:
    """A linear map, cut off at 0 and 1: `low` becomes 0, `high` becomes 1."""

    name: str
    low: float
    high: float

    def __call__(self, value: float) -> float:
        """The value on the new scale, in [0, 1]."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def read_map(text: str) -> Map:
    """The map that a setting names.

    Raises:
        UsageError: no such map, or its ends are not finite and in order.
    """
    if text.strip() == "clip01":
        return Map("clip01", 0.0, 1.0)
    if (over := _OVER.fullmatch(text.strip())) is not None:
        high = float(over[1])
        if not (high > 0 and math.isfinite(high)):
            raise UsageError(f"map {text!r}: expected a number above 0")
        return Map(f"over({plain(high)})", 0.0, high)
    match = _AFFINE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"no map named {text!r}; expected {KNOWN}")
    low, high = float(match[1]), float(match[2])
    if not (low < high and math.isfinite(high - low)):
        raise UsageError(f"map {text!r}: the first number must be less than the second")
    return Map(f"affine({plain(low)},{plain(high)})", low, high)


def plain(number: float) -> str:
    """The number in full, whole ones without a decimal point: names that differ mean numbers that differ."""
    return repr(number).removesuffix(".0")
