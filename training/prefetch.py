"""Work that is prepared while the work before it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order; the next one is made in a thread while this one is used.

    What the making of an item raises is raised in its place, after the items before it. No more than one is made ahead.
    """
    making = iter(items)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, making, _END)
        while (item := coming.result()) is not _END:
            coming = pool.submit(next, making, _END)
            yield cast(T, item)
