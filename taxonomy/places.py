"""Where in an event something is, in few words: an attribute by what it is called, with its code."""

from collections.abc import Collection, Iterable
from typing import Any

from django.utils.translation import gettext as _

from taxonomy.released import released_by_code
from taxonomy.standardize import Violation

ATTRIBUTES = "attributes"


def attribute_words(path: str, hidden: Collection[str] = ()) -> str:
    """ "Quantity (quantity)" of "quantity", by the release; as it is where that has none such. `hidden`: items not to be read."""
    code = path.partition(".")[0].partition("[")[0]
    found = released_by_code("attribute").get(code.lower())
    return f"{found.label} ({path})" if found and str(found.pk) not in hidden else path


def place_words(path: str, groups: Iterable[Iterable[str]] = (), hidden: Collection[str] = ()) -> str:
    """The attribute of "attributes.quantity". `groups`: attributes of each of which one is missing, told for the event as a whole."""
    if path == ATTRIBUTES:
        return _("; ").join(_(" or ").join(attribute_words(code, hidden) for code in group) for group in groups) or path
    return attribute_words(path.removeprefix(f"{ATTRIBUTES}."), hidden) if path.startswith(f"{ATTRIBUTES}.") else path


def cause_words(code: str, path: str, one_of: Iterable[Iterable[str]], hidden: Collection[str] = ()) -> str:
    """Where events are wrong that have one code and path. `one_of`: the attributes of each of which they lack one, see `groups_in`."""
    return place_words(path, one_of if code == "attribute.missing" else (), hidden)


def groups_in(violations: Iterable[Violation]) -> list[tuple[str, ...]]:
    """The attributes of which one must be there, for each of these violations that says so."""
    return [tuple(group) for one in violations for group in group_of(one.expected)]


def group_of(expected: Any) -> tuple[list[str], ...]:
    """The attributes of which a violation says that one must be there."""
    group = expected.get("one_of") if isinstance(expected, dict) else None
    return (group,) if group else ()


def place_of(one: Violation, hidden: Collection[str] = ()) -> str:
    return place_words(one.path, group_of(one.expected), hidden)
