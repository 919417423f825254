"""Plots written by hand as SVG: a few kilobytes each, text that can be selected, colours that follow the page's.

Colours are classes of `shell.css` (`bar`, `line`, `dot`, `band`, `grid`, `s0` ... `s5` for series); a plot holds
numbers and escaped text only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]


def plain(value: float, decimals: int = 3) -> str:
    """A number as tables print it; very small and very large ones in the short scientific form."""
    form = "f" if value == 0 or 1e-3 <= abs(value) < 1e5 else "g"
    return minus(f"{value:.{decimals}{form}}")


def minus(number: str) -> str:
    """A written number with a true minus sign, and none before a zero."""
    return (number if float(number) else number.lstrip("-+")).replace("-", "−")


def tag(name: str, *inside: str, **attributes: str | float | None) -> str:
    """One element; underscores of attribute names become dashes, a trailing one is dropped, None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else short(value)


def short(value: float) -> str:
    """A coordinate: at most two decimals, none where they are zero."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def text(x: float, y: float, words: str, **attributes: str | float | None) -> str:
    """A text element at (x, y); the words are escaped."""
    return tag("text", escape(words), x=x, y=y, **attributes)


def picture(width: float, height: float, name: str, *inside: str, class_: str = "plot") -> str:
    """The whole drawing. `name` is what a screen reader says of it."""
    return tag(
        "svg",
        *inside,
        viewBox=f"0 0 {short(width)} {short(height)}",
        width=width,
        height=height,
        class_=class_,
        role="img",
        aria_label=name,
    )


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis: values from `low` to `high` fall on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The value's pixel; values beyond the ends stay at them."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values (1, 2 or 5 times a power of ten apart) within the axis."""
        return round_steps(self.low, self.high, most)


def round_steps(low: float, high: float, most: int = 5) -> list[float]:
    """Round values between two numbers, at most so many steps apart."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= most + 1e-9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A tick's label, as short as it is exact."""
    return minus(f"{value:.6g}")


def frame(x: Axis, y: Axis, x_name: str = "", y_name: str = "", most: int = 5) -> str:
    """Grid lines of y, tick labels of both axes, and their names."""
    parts = []
    for value in y.ticks(most):
        parts.append(tag("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value), class_="grid"))
        parts.append(text(x.start - 6, y(value) + 3.5, tick_text(value), text_anchor="end"))
    for value in x.ticks(most):
        parts.append(text(x(value), y.start + 15, tick_text(value), text_anchor="middle"))
    if x_name:
        parts.append(text((x.start + x.end) / 2, y.start + 31, x_name, text_anchor="middle"))
    if y_name:
        parts.append(text(x.start, y.end - 9, y_name))
    return "".join(parts)


def line(points: Sequence[Point], class_: str) -> str:
    """A line through the points."""
    return tag("path", d="M" + "L".join(f"{short(x)} {short(y)}" for x, y in points), class_=class_)


def dots(points: Sequence[Point], class_: str = "dot") -> str:
    """Many dots as one path: each a line of no length with round ends."""
    return tag("path", d="".join(f"M{short(x)} {short(y)}h0" for x, y in points), class_=class_)


def whisker(axis: Axis, middle: float, low: float, high: float, class_: str = "whisker") -> str:
    """A horizontal interval with short ends."""
    left, right = axis(low), axis(high)
    ends = "".join(f"M{short(x)} {short(middle - 3)}v6" for x in (left, right))
    return tag("path", d=f"M{short(left)} {short(middle)}H{short(right)}{ends}", class_=class_)
