"""The draft without what is broken in it, so that one person's slip does not stop everybody's trying."""

from collections.abc import Collection

from taxonomy.definition import Items
from taxonomy.standardize import Problem, check_plan


def sound_items(items: Items, released: Items, *, keep: Collection[str]) -> tuple[Items, list[Problem]]:
    """(definitions that compile, problems of those to keep).

    What is broken stands as it is released, or is left out where it never was; items to keep are told instead.
    """
    items = dict(items)
    while problems := check_plan(items):
        if mine := [problem for problem in problems if problem.item in keep]:
            return items, mine
        for broken in {problem.item for problem in problems}:
            if broken in released and items[broken] != released[broken]:
                items[broken] = released[broken]
            else:
                del items[broken]
    return items, []
