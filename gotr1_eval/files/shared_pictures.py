"""Pictures that several judges look at: decoded once, and what models make of them made once.

Judges know nothing of each other. Whoever asks several about the same samples opens `shared_pictures` around them;
within, `once` and `once_each` remember what was made of a picture, and forget it all at the end. Outside of it nothing
is remembered: a picture that somebody holds may change.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from PIL.Image import Image

T = TypeVar("T")
_made: ContextVar[dict[Hashable, tuple[object, Any]] | None] = ContextVar("_made", default=None)
"""(picture, what was made) -> the picture, which must live as long as its id is a key, and the result."""


@contextmanager
def shared_pictures() -> Iterator[None]:
    """Within, what is made of a picture is remembered; one inside of another changes nothing."""
    if _made.get() is not None:
        yield
        return
    token = _made.set({})
    try:
        yield
    finally:
        _made.reset(token)


def once(picture: Path | Image, what: Hashable, make: Callable[[], T]) -> T:
    """What `make` makes of the picture, which is remembered under the name `what`."""
    made, key = _made.get(), _key(picture, what)
    if made is None:
        return make()
    if key not in made:
        made[key] = (picture, make())
    result: T = made[key][1]
    return result


def once_each(pictures: Sequence[Image], what: Hashable, make: Callable[[Sequence[Image]], Sequence[T]]) -> list[T]:
    """What `make` makes of each picture; it is asked at once about those of which nothing is remembered."""
    made = _made.get()
    if made is None:
        return [*make(pictures)]
    new = list({_key(picture, what): picture for picture in pictures if _key(picture, what) not in made}.values())
    for picture, result in zip(new, make(new) if new else (), strict=True):
        made[_key(picture, what)] = (picture, result)
    return [made[_key(picture, what)][1] for picture in pictures]


def _key(picture: Path | Image, what: Hashable) -> Hashable:
    """Files by their path; pictures in memory by identity, since equal ones are compared pixel by pixel."""
    return (picture if isinstance(picture, Path) else id(picture), what)
