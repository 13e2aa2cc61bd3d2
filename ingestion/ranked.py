"""Counts in one order, whatever they were counted in."""

from collections.abc import Mapping


def most_first[What](counts: Mapping[What, int]) -> list[tuple[What, int]]:
    """Most frequent first; what is equally frequent by how it is written: sets and parallel blocks count in any order."""
    return sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))
