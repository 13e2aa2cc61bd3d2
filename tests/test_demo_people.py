"""The demo's people can take every change of the starter standard from a proposal to a release, though nobody signs their own."""

import pytest
from django.contrib.auth.models import Group

from cdp.demo import PEOPLE
from staff.models import User
from staff.roles import permissions_of
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Release, Tag, Vote
from taxonomy.proposals.propose import propose, submit
from taxonomy.proposals.review import release_proposal, vote
from taxonomy.starter.load import load_starter


@pytest.mark.django_db
def test_whatever_somebody_of_the_demo_proposes_others_can_sign_and_release(departments):
    load_starter()
    people = {}
    for one in PEOPLE:
        people[one.email] = User.objects.create_user(one.email, "x", department_id=one.department, name=one.name)
        people[one.email].groups.add(Group.objects.get(name=one.role))
    # one of each department's, so that all of them must sign
    tags = {tag.owner_id: tag for tag in Tag.objects.filter(status="active").order_by("-code")}
    for author in (one for one in PEOPLE if "taxonomy.add_proposal" in permissions_of(one.role)):
        by = people[author.email]
        for tag in tags.values():
            apply_definition(str(tag.pk), definition(tag) | {"description_en": f"As {author.email} has it."})
        proposal = propose([str(tag.pk) for tag in tags.values()], title="Better words", why="clearer", by=by)
        asked = submit(proposal, by=by)
        assert not asked.stuck and asked.seats.keys() >= tags.keys()
        for seat in asked.seats.values():
            signer = next(person for person in people.values() if person.pk in {one.pk for one in seat.voters} and person != by)
            vote(proposal, by=signer, choice=Vote.Choice.APPROVE, department=seat.department.pk)
        proposal.refresh_from_db()
        assert Release.objects.first() != release_proposal(proposal, by=people["steward@demo.example"])
