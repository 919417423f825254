"""Which rows go through the sampler together, so that one very long prompt does not burden all others."""

from __future__ import annotations

from collections.abc import Sequence


def buckets(lengths: Sequence[int], fixed: float) -> list[list[int]]:
    """Indices of rows, cut into groups of similar length at the least total cost.

    A group costs `fixed` plus its rows times its longest row: a decode step reads the weights once a group, and of
    every row as much cache as the longest has. The cut depends on the lengths alone, so that the same rows are always
    grouped alike.

    Args:
        lengths: tokens of each row at its end.
        fixed: bytes of the weights over bytes of one token's cache.
    """
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        best.append(min((best[start][0] + fixed + (end - start) * longest, start) for start in range(end)))
    groups = []
    end = len(order)
    while end:
        start = best[end][1]
        groups.append(sorted(order[start:end]))
        end = start
    return groups[::-1]
