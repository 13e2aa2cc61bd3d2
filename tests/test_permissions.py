"""Every page and act, as every role: what happens is what docs/permissions.md says, and nothing is left out of it."""

from pathlib import Path
from zlib import crc32

import pytest
from places import Address, addresses
from world import PEOPLE, Visitor, permissions_of

from cdp.permissions import LINES, Line, line, table
from ingestion.admin import discovered, leaks, near
from staff.roles import ROLES
from taxonomy.admin import proposals

pytestmark = pytest.mark.django_db


def parameters_of(place: str) -> tuple[str, ...]:
    """Of the address a place names; where two have one name, the last word says which parameter is meant."""
    _method, name, *more = place.split()
    found = [one.parameters for one in addresses() if one.name == name]
    assert found, f"{name} is no address any more: take it out of cdp/permissions.py"
    if len(found) > 1:
        return next(one for one in found if (more[:1] == list(one)) or (not more and not one))
    return found[0]


def unlisted(lines: tuple[Line, ...], known: list[Address]) -> list[str]:
    """ "METHOD name" of what no line lists."""
    listed = {tuple(place.split()[:2]) for one in lines for place in one.places}
    return [f"{method} {one.name}" for one in known for method in ("GET", "POST") if (method, one.name) not in listed]


def differences(lines: tuple[Line, ...], visitor: Visitor, *, every: bool = True) -> list[str]:
    """Where what a visitor may do is not what the lines say. `every`: else only where this role stands for others."""
    found = []
    for one in lines:
        for place in one.places:
            if place.endswith(" role") or not (every or visitor.name not in ROLES or visitor.name in standing_for_others(one, place)):
                continue
            expected, seen = visitor.expected(one), visitor.is_let(place, parameters_of(place))
            if expected != seen:
                found.append(f"{place}: {visitor.name} {'may' if seen else 'may not'}, the table says otherwise ({one.act})")
    return found


def standing_for_others(one: Line, place: str) -> set[str]:
    """One of the roles that may do it and one of those that may not, others at each place: a page takes longer than all of its rights."""
    roles = sorted(ROLES, key=lambda role: crc32(f"{place} {role}".encode()))
    sides = ([role for role in roles if one.lets(permissions_of(role), superuser=False) is may] for may in (True, False))
    return {role for side in sides for role in side[:1]}


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.proof)])
@pytest.mark.parametrize("name", PEOPLE)
def test_what_happens_is_what_the_table_says(world, name, every):
    assert differences(LINES, Visitor(name, world), every=every) == []


def test_what_no_line_lists_does_nothing_for_anybody(world):
    """An address or act that is new must be listed in cdp/permissions.py."""
    root = Visitor("superuser", world)
    doing = [place for place in unlisted(LINES, list(addresses())) if root.is_let(place, parameters_of(place))]
    assert doing == [], "list them in cdp/permissions.py, then run: manage.py permissions --write"


def test_every_act_of_an_address_that_does_several_is_listed():
    listed = {place for one in LINES for place in one.places}
    acts = {"admin:discovered_act": discovered.ACTS, "admin:leak_act": leaks.ACTS, "admin:near_act": near.ACTS,
             "admin:near_all": near.ALL_ACTS, "admin:taxonomy_proposal_act": proposals.ACTS}  # fmt: skip
    assert [f"POST {name} act={act}" for name, known in acts.items() for act in known if f"POST {name} act={act}" not in listed] == []


def test_the_page_is_written_from_the_table():
    page = Path(__file__).resolve().parent.parent / "docs" / "permissions.md"
    assert page.read_text(encoding="utf-8") == table(), "run: manage.py permissions --write"


@pytest.mark.parametrize("name", ["marketer", "product_manager"])
@pytest.mark.parametrize("act", ["submit", "withdraw", "edit"])
def test_authors_act_on_their_own_proposal_while_their_role_lets_them_propose(world, name, act):
    from taxonomy.models import Proposal

    visitor = Visitor(name, world)
    Proposal.objects.update(author=visitor.person)
    assert visitor.is_let(f"POST admin:taxonomy_proposal_act act={act}", ("object_id",)) is (name == "marketer")


# the check itself


def test_the_check_finds_a_line_that_allows_too_much_or_too_little(world):
    marketer = Visitor("marketer", world)
    place = "GET admin:taxonomy_tag_changelist"
    assert differences((line("x", "x", "taxonomy.view_tag", place),), marketer) == []
    assert len(differences((line("x", "x", "staff.view_user", place),), marketer)) == 1
    assert len(differences((line("x", "x", "taxonomy.view_tag", "GET admin:staff_user_changelist"),), marketer)) == 1


def test_the_check_finds_what_is_listed_nowhere():
    known = list(addresses())
    assert unlisted(LINES, [*known, Address("a_new_page", ())])[-2:] == ["GET a_new_page", "POST a_new_page"]
    without = tuple(one for one in LINES if "GET admin:staff_user_changelist" not in one.places)
    assert "GET admin:staff_user_changelist" in unlisted(without, known)


def test_the_check_finds_a_line_of_an_address_that_is_gone():
    with pytest.raises(AssertionError, match="take it out"):
        parameters_of("GET admin:long_gone")
