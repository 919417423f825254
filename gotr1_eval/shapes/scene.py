"""What a picture of the shapes world holds."""

from __future__ import annotations

from dataclasses import dataclass

from gotr1_eval.core.names import name_words
from gotr1_eval.core.types import Box

SHAPES = ("circle", "square", "triangle", "diamond", "cross")
TEXTURES = ("solid", "striped", "dotted")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "orange": (240, 125, 40),
    "yellow": (240, 215, 40),
    "green": (40, 165, 70),
    "blue": (40, 85, 220),
    "purple": (150, 40, 195),
    "black": (40, 40, 40),
}
"""RGB; every colour's least channel is 40, so that half way to white is one threshold for all."""

GRID = 8
"""Objects sit on a grid of this many cells a side, an eighth of the picture each."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an object is. A prompt may leave colour or texture open (None)."""

    shape: str
    colour: str | None = None
    texture: str | None = None

    @property
    def name(self) -> str:
        """``striped red circle``; what is open is left out."""
        return " ".join(word for word in (self.texture, self.colour, self.shape) if word)

    def fits(self, other: Kind) -> bool:
        """Whether `other` has everything that this kind states."""
        return (
            self.shape == other.shape and self.colour in (None, other.colour) and self.texture in (None, other.texture)
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """One object of a scene: a fully stated kind and its box."""

    kind: Kind
    box: Box

    @property
    def name(self) -> str:
        """The kind's name; "solid" goes without saying."""
        return plain_name(self.kind)


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects on white, later ones in front."""

    objects: tuple[Placed, ...]


def plain_name(kind: Kind) -> str:
    """The kind's name as people say it: "solid" goes without saying."""
    return Kind(kind.shape, kind.colour, None if kind.texture == "solid" else kind.texture).name


def read_kind(name: str) -> Kind | None:
    """The kind a name states ("two striped red circles" too); None when a word is not of this world."""
    shape = colour = texture = None
    for word in name_words(name):
        if word in SHAPES and shape is None:
            shape = word
        elif word in COLOURS and colour is None:
            colour = word
        elif word in TEXTURES and texture is None:
            texture = word
        else:
            return None
    return Kind(shape, colour, texture) if shape else None
