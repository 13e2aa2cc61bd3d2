"""Which rules of a source get their turn with a name, and which come too late. Pure."""

from typing import NamedTuple

from taxonomy.standardize.plan import SourcePlan


class Turns(NamedTuple):
    """Uuids of rules: those that are tried, in order; {one that never is: the one without a condition before it}.

    `tag` is the code of the tag that the name says by itself, if no rule takes it for good; else "".
    """

    tried: list[str]
    late: dict[str, str]
    tag: str


def turns(source: SourcePlan, name: str) -> Turns:
    tried: list[str] = []
    late: dict[str, str] = {}
    taker = ""
    for meaning in source.meanings(name):
        rule = meaning.reading.rule
        if rule is None:
            return Turns(tried, late, "" if taker else meaning.reading.tag.code)
        if taker:
            late[rule] = taker
            continue
        tried.append(rule)
        taker = rule if meaning.condition is None else ""
    return Turns(tried, late, "")
