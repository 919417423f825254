"""Everyday things as a pen draws them, each filling the pen's place from edge to edge.

All are among COCO's 80 things and have a class of UniDet's. They were chosen because an outline and a few colours
make them unmistakable to people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from benchmarks.doctor.pen import Colour, Pen, Points

WHITE, BLACK, STEEL = (250, 250, 250), (28, 28, 30), (150, 155, 160)
RED, DARK_RED = (196, 26, 32), (140, 14, 20)
GLASS, TYRE = (150, 190, 215), (35, 35, 38)


def _circle(x: float, y: float, radius: float, count: int, turn: float = 0.0) -> list[tuple[float, float]]:
    angles = [2 * math.pi * (index + turn) / count for index in range(count)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def stop_sign(pen: Pen) -> None:
    """A red octagon with a white rim and the word; the post is not part of the sign."""
    radius = 0.5 / math.cos(math.pi / 8)
    for share, colour in ((1.0, RED), (0.96, WHITE), (0.9, RED)):
        pen.polygon(_circle(0.5, 0.5, radius * share, 8, 0.5), colour)
    strokes: dict[float, list[Points]] = {
        0.15: [[(0.9, 0.1), (0.5, 0), (0.1, 0.12), (0.15, 0.4), (0.85, 0.6), (0.9, 0.88), (0.5, 1), (0.1, 0.9)]],
        0.34: [[(0, 0.05), (1, 0.05)], [(0.5, 0), (0.5, 1)]],
        0.53: [[*_circle(0.5, 0.5, 0.47, 16), (0.97, 0.5)]],
        0.72: [[(0.1, 1), (0.1, 0.03), (0.75, 0.05), (0.9, 0.28), (0.75, 0.52), (0.1, 0.52)]],
    }
    for left, letter in strokes.items():
        for stroke in letter:
            pen.line([(left + 0.14 * x, 0.36 + 0.28 * y) for x, y in stroke], WHITE, 0.035)


def car(pen: Pen) -> None:
    """A red saloon from the side."""
    body: Colour = (178, 34, 40)
    pen.shadow(0.02, 0.88, 0.98, 1.04)
    pen.polygon([(0.2, 0.42), (0.32, 0.0), (0.66, 0.0), (0.82, 0.42)], body)
    pen.polygon([(0.26, 0.4), (0.35, 0.07), (0.48, 0.07), (0.48, 0.4)], GLASS)
    pen.polygon([(0.52, 0.4), (0.52, 0.07), (0.64, 0.07), (0.76, 0.4)], GLASS)
    pen.rounded(0.0, 0.38, 1.0, 0.82, body, corner=0.08)
    pen.shine(0.1, 0.4, 0.9, 0.5, 0.35)
    pen.line([(0.5, 0.42), (0.5, 0.78)], DARK_RED, 0.006)
    pen.line([(0.55, 0.5), (0.62, 0.5)], STEEL, 0.015)
    pen.rounded(0.0, 0.66, 1.0, 0.76, (120, 20, 24), corner=0.02)
    pen.ellipse(0.93, 0.45, 1.0, 0.58, (255, 236, 170))
    pen.ellipse(0.0, 0.45, 0.05, 0.57, (255, 120, 90))
    for middle in (0.22, 0.78):
        pen.ellipse(middle - 0.105, 0.56, middle + 0.105, 1.0, TYRE)
        pen.ellipse(middle - 0.06, 0.66, middle + 0.06, 0.9, STEEL)
        pen.ellipse(middle - 0.02, 0.74, middle + 0.02, 0.82, TYRE)


def traffic_light(pen: Pen) -> None:
    """A dark housing with the red lamp lit; the post is not part of the light."""
    pen.rounded(0, 0, 1, 1, (40, 44, 42), corner=0.2)
    lamps: Mapping[float, Colour] = {0.19: (255, 50, 40), 0.5: (110, 90, 20), 0.81: (20, 80, 40)}
    for middle, colour in lamps.items():
        pen.ellipse(0.16, middle - 0.13, 0.84, middle + 0.13, BLACK)
        pen.ellipse(0.22, middle - 0.11, 0.78, middle + 0.11, colour)
        pen.arc((0.1, middle - 0.16, 0.9, middle + 0.12), 180, 360, (15, 15, 15), 0.08)
    pen.shine(0.32, 0.11, 0.6, 0.2, 0.8)


def bicycle(pen: Pen) -> None:
    """A blue bicycle from the side."""
    frame: Colour = (30, 70, 160)
    hubs = {"rear": (0.22, 0.68), "front": (0.78, 0.68)}
    for x, y in hubs.values():
        pen.arc((x - 0.22, y - 0.32, x + 0.22, y + 0.32), 0, 360, TYRE, 0.022)
        for rim_x, rim_y in _circle(0, 0, 1, 14):
            pen.line([(x, y), (x + 0.2 * rim_x, y + 0.3 * rim_y)], STEEL, 0.004)
    crank, seat, head = (0.46, 0.7), (0.38, 0.22), (0.7, 0.24)
    for line in ((hubs["rear"], crank, head, seat), (hubs["rear"], seat, crank), (head, hubs["front"])):
        pen.line(line, frame, 0.024)
    pen.line([(0.36, 0.12), seat], STEEL, 0.018)
    pen.polygon([(0.26, 0.06), (0.45, 0.08), (0.44, 0.12), (0.3, 0.14)], BLACK)
    pen.line([head, (0.68, 0.04), (0.78, 0.0), (0.84, 0.06)], BLACK, 0.02)
    pen.ellipse(0.41, 0.62, 0.51, 0.78, STEEL)
    pen.line([(0.42, 0.86), (0.5, 0.54)], BLACK, 0.014)
    pen.line([(0.38, 0.87), (0.46, 0.87)], BLACK, 0.018)


def boat(pen: Pen) -> None:
    """A sailing boat with two white sails."""
    pen.line([(0.46, 0.0), (0.46, 0.82)], (110, 75, 40), 0.018)
    pen.polygon([(0.48, 0.02), (0.48, 0.72), (0.96, 0.72)], WHITE)
    pen.polygon([(0.44, 0.08), (0.44, 0.72), (0.08, 0.72)], (225, 228, 235))
    pen.polygon([(0.0, 0.79), (1.0, 0.79), (0.84, 1.0), (0.14, 1.0)], (130, 62, 30))
    pen.polygon([(0.0, 0.79), (1.0, 0.79), (0.97, 0.84), (0.03, 0.84)], (240, 235, 225))


def airplane(pen: Pen) -> None:
    """A white airliner from the side, flying to the right."""
    pen.polygon([(0.02, 0.0), (0.1, 0.0), (0.24, 0.42), (0.08, 0.42)], (30, 80, 170))
    pen.rounded(0.03, 0.36, 0.86, 0.64, (238, 240, 244), corner=0.1)
    pen.polygon([(0.03, 0.5), (0.0, 0.4), (0.14, 0.36), (0.2, 0.6)], (238, 240, 244))
    pen.ellipse(0.72, 0.36, 1.0, 0.64, (238, 240, 244))
    pen.polygon([(0.05, 0.54), (0.98, 0.54), (0.9, 0.64), (0.12, 0.64)], (205, 210, 218))
    pen.polygon([(0.92, 0.42), (0.86, 0.42), (0.87, 0.48), (0.96, 0.48)], (40, 60, 80))
    for index in range(13):
        pen.ellipse(0.25 + index * 0.045, 0.44, 0.27 + index * 0.045, 0.49, (60, 85, 115))
    pen.polygon([(0.6, 0.54), (0.46, 0.54), (0.26, 1.0), (0.36, 1.0)], (175, 182, 192))
    pen.rounded(0.42, 0.66, 0.56, 0.82, (90, 100, 120), corner=0.04)
    pen.polygon([(0.14, 0.46), (0.06, 0.46), (0.0, 0.62), (0.06, 0.62)], (175, 182, 192))


def pizza(pen: Pen) -> None:
    """A round pizza with salami and basil, cut in eight."""
    pen.shadow(0.02, 0.1, 1.02, 1.06)
    pen.ellipse(0, 0, 1, 1, (196, 134, 62))
    pen.ellipse(0.03, 0.03, 0.97, 0.97, (222, 165, 88))
    pen.ellipse(0.08, 0.08, 0.92, 0.92, (196, 62, 30))
    pen.ellipse(0.1, 0.1, 0.9, 0.9, (246, 206, 104))
    for x, y in _circle(0.5, 0.5, 0.29, 9, 0.3):
        pen.ellipse(x - 0.07, y - 0.07, x + 0.07, y + 0.07, (160, 40, 32))
        pen.ellipse(x - 0.055, y - 0.06, x + 0.05, y + 0.05, (192, 60, 46))
    for x, y in [*_circle(0.5, 0.5, 0.17, 5), *_circle(0.52, 0.48, 0.36, 7, 0.8)]:
        pen.ellipse(x - 0.03, y - 0.02, x + 0.03, y + 0.02, (62, 120, 40))
    for x, y in _circle(0.5, 0.5, 0.48, 8, 0.1):
        pen.line([(0.5, 0.5), (x, y)], (170, 105, 45), 0.008)


def banana(pen: Pen) -> None:
    """One ripe banana, curved like a bowl."""
    pen.shadow(0.08, 0.6, 0.95, 1.08, 0.4)
    outer = [(0.5 - 0.46 * math.cos(a), 0.12 + 0.88 * math.sin(a)) for a in (math.pi * i / 24 for i in range(25))]
    inner = [(0.5 - 0.4 * math.cos(a), 0.1 + 0.38 * math.sin(a)) for a in (math.pi * i / 24 for i in range(25))]
    pen.polygon([*outer, *reversed(inner)], (246, 208, 50))
    ridge = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(outer, inner, strict=True)]
    pen.polygon([*outer, *reversed(ridge)], (226, 180, 34))
    pen.line(ridge, (180, 138, 30), 0.008)
    pen.polygon([(0.04, 0.14), (0.1, 0.12), (0.06, 0.0), (0.0, 0.02)], (110, 90, 30))
    pen.polygon([(0.9, 0.12), (0.96, 0.14), (1.0, 0.03), (0.96, 0.0)], (60, 45, 20))


def clock(pen: Pen) -> None:
    """A wall clock at ten past ten."""
    pen.shadow(0.04, 0.06, 1.06, 1.08, 0.4)
    pen.ellipse(0, 0, 1, 1, BLACK)
    pen.ellipse(0.06, 0.06, 0.94, 0.94, WHITE)
    for index, ((x1, y1), (x2, y2)) in enumerate(
        zip(_circle(0.5, 0.5, 0.39, 60), _circle(0.5, 0.5, 0.42, 60), strict=True)
    ):
        hour = index % 5 == 0
        pen.line(
            [(x1 + (0.5 - x1) * 0.12 * hour, y1 + (0.5 - y1) * 0.12 * hour), (x2, y2)], BLACK, 0.022 if hour else 0.006
        )
    pen.line([(0.5, 0.5), (0.31, 0.38)], BLACK, 0.045)
    pen.line([(0.5, 0.5), (0.79, 0.34)], BLACK, 0.032)
    pen.line([(0.46, 0.6), (0.58, 0.2)], RED, 0.012)
    pen.ellipse(0.46, 0.46, 0.54, 0.54, BLACK)


def tv(pen: Pen) -> None:
    """A flat television on its foot, showing hills."""
    pen.polygon([(0.42, 0.84), (0.58, 0.84), (0.6, 0.95), (0.4, 0.95)], (50, 50, 54))
    pen.rounded(0.26, 0.93, 0.74, 1.0, (38, 38, 42), corner=0.03)
    pen.rounded(0, 0, 1, 0.87, BLACK, corner=0.02)
    screen = Pen(pen.sheet, pen.place)
    screen.polygon([(0.03, 0.04), (0.97, 0.04), (0.97, 0.8), (0.03, 0.8)], (110, 175, 225))
    screen.polygon(
        [(0.03, 0.55), (0.3, 0.3), (0.52, 0.52), (0.74, 0.38), (0.97, 0.6), (0.97, 0.8), (0.03, 0.8)], (70, 130, 70)
    )
    screen.ellipse(0.76, 0.1, 0.88, 0.28, (255, 240, 160))
    pen.polygon([(0.03, 0.04), (0.4, 0.04), (0.2, 0.8), (0.03, 0.8)], (140, 195, 232))
    pen.polygon([(0.03, 0.62), (0.24, 0.56), (0.2, 0.8), (0.03, 0.8)], (92, 148, 92))


THINGS: Mapping[str, Callable[[Pen], None]] = {
    "stop sign": stop_sign, "car": car, "traffic light": traffic_light, "bicycle": bicycle, "boat": boat,
    "airplane": airplane, "pizza": pizza, "banana": banana, "clock": clock, "tv": tv,
}  # fmt: skip
"""Name, as COCO has it -> how it is drawn."""
