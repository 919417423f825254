"""A reader of text, shown words that are drawn here: does it read them, and nothing where nothing is written?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from benchmarks.doctor.checks import Check, sound
from gotr1_eval.core.outcome import Unscored
from gotr1_eval.core.perception import Ocr, Transcript

SIDE = 512
LEAST_READ = 0.95
"""Share of the words: half of a word may be read as another one by a sound reader now and then."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Lines of words on a coloured ground, all of them wholly in the picture.

    Attributes:
        lines: one above the other.
        size: of the letters, in pixels.
    """

    lines: tuple[str, ...]
    size: int
    ink: str
    ground: str

    @property
    def words(self) -> list[str]:
        """In reading order."""
        return [word for line in self.lines for word in line.split()]


SIGNS = (
    Sign(("FRESH BREAD", "baked every morning"), 44, "black", "white"),
    Sign(("Platform 7", "trains to the harbour", "leave every 20 minutes"), 36, "white", "navy"),
    Sign(("library closed", "on public holidays"), 40, "darkred", "khaki"),
    Sign(("the quick brown fox", "jumps over", "the lazy dog"), 28, "black", "lightgray"),
)


def draw(sign: Sign) -> Image.Image:
    """The sign as a square picture of `SIDE` pixels."""
    picture = Image.new("RGB", (SIDE, SIDE), sign.ground)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(sign.size)
    for place, line in enumerate(sign.lines):
        pen.text((24, 60 + place * 2.4 * sign.size), line, font=font, fill=sign.ink)
    return picture


def ocr_checks(reader: Ocr) -> Iterator[Check]:
    """Drawn words, a blank picture, numbers, repetition and batches."""
    pictures = [draw(sign) for sign in SIGNS]
    read = reader.read(pictures)
    yield sound(_faults(read), f"{len(pictures)} pictures")
    share = word_recall([sign.words for sign in SIGNS], read)
    yield Check("reads words", share >= LEAST_READ, f"{share:.0%} of {sum(len(sign.words) for sign in SIGNS)} words")
    (blank,) = reader.read([Image.new("RGB", (SIDE, SIDE), "white")])
    nothing = isinstance(blank, Transcript) and not blank.lines
    yield Check("reads nothing in a blank", nothing, "no line" if nothing else f"read {_told(blank)!r}")
    yield Check("same twice", _texts(read) == _texts(reader.read(pictures)), f"{len(pictures)} transcripts")
    singles = [reader.read([picture])[0] for picture in pictures]
    yield Check("batch equals single", _texts(read) == _texts(singles), f"{len(pictures)} transcripts, to the letter")


def word_recall(words: Sequence[Sequence[str]], read: Sequence[Transcript | Unscored]) -> float:
    """Share of the words that stand in the transcripts, each as often as it is written, whatever their case."""
    found = 0
    for wanted, transcript in zip(words, read, strict=True):
        there = Counter(_told(transcript).lower().split())
        found += sum((Counter(word.lower() for word in wanted) & there).values())
    return found / sum(map(len, words))


def _told(transcript: Transcript | Unscored) -> str:
    return transcript.text if isinstance(transcript, Transcript) else ""


def _texts(read: Sequence[Transcript | Unscored]) -> list[str]:
    return [_told(one) for one in read]


def _faults(read: Sequence[Transcript | Unscored]) -> list[str]:
    """What is no transcript, and scores outside [0, 1]."""
    faults = [one.detail or one.why.value for one in read if isinstance(one, Unscored)]
    lines = [line for one in read if isinstance(one, Transcript) for line in one.lines]
    return [*faults, *(f"a score outside [0, 1]: {line.score}" for line in lines if not 0 <= (line.score or 0) <= 1)]
