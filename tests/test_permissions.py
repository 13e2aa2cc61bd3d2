"""Every page and act, as every role: what happens is what docs/permissions.md says, and nothing is left out of it."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.core import signing
from django.test import Client
from django.utils import timezone
from places import Address, Samples, addresses, is_let, model_of

from cdp.permissions import LINES, Line, line, table
from staff.models import AccessLog, ReadToken, User
from staff.roles import ROLES, permissions_of
from taxonomy.definition import definition

pytestmark = pytest.mark.django_db
NO_ROLE = "no role"
PEOPLE = ["anonymous", NO_ROLE, *ROLES, "superuser", "write key"]
DATA = {
    "POST admin:autocomplete": {}, "delete": {"post": "yes"},
    "GET admin:autocomplete": {"app_label": "taxonomy", "model_name": "mappingrule", "field_name": "tag", "term": ""},
}  # fmt: skip


@pytest.fixture
def world(write_key):
    """One of everything: an event accepted, one held, an import, a proposal, a release and what administers them."""

    from ingestion.jobs import import_file
    from ingestion.models import Discovered, Dispatch, FailedRequest, Hook, ImportRun, QuarantineReason, Subscriber
    from ingestion.pipeline import Incoming, receive
    from profiles.models import Customer, Event
    from taxonomy.current import current
    from taxonomy.definition import apply_definition
    from taxonomy.models import Attribute, Category, CheckSetting, Grant, MappingRule, Release, ReviewPolicy, Revision, Source, Tag
    from taxonomy.propose import propose

    # what a test key sends is answered and not stored: events are stored by a thread, out of the test's transaction
    secret, key = write_key
    key.test = True
    key.save()
    records = [
        {"id": "1", "event": "product_view", "phone": "+8613800138000", "attributes": {"product_id": "p"}},
        {"id": "2", "event": "nonsense", "phone": "+8613800138000"},
    ]
    receive([Incoming(json.dumps(one).encode()) for one in records], source_code="website", door="api", received_at=timezone.now(), current=current())  # fmt: skip
    writer = User.objects.create_user("writer@example.com", "x", department_id="marketing")
    writer.groups.add(Group.objects.get(name="marketer"))
    tag = Tag.objects.get(code="product_view")
    apply_definition(tag.pk, definition(tag) | {"label_en": "Changed"})
    proposal = propose([str(tag.pk)], title="t", why="w", by=writer)
    own_role = Group.objects.create(name="Night shift")
    source = Source.objects.get(code="website")
    run = ImportRun.objects.create(
        source=source, file_name="x.csv", path="/nowhere", status="finished", format={"kind": "csv", "columns": []}
    )
    import_file.defer(run_id=str(run.pk))
    AccessLog.objects.create(user=writer, action="view")
    CheckSetting.objects.create(pk="naming.length", severity="warning")
    Grant.objects.create(department_id="marketing", may="read")
    ReviewPolicy.objects.create(department_id="sales", change="any", say="must")
    FailedRequest.objects.create(source=source, cause="x", hour=timezone.now(), count=1)
    held, accepted = Event.objects.get(standing=Event.Standing.HELD), Event.objects.get(standing=Event.Standing.COUNTED)
    special = {
        (f"admin:taxonomy_{model._meta.model_name}_restore", "revision_id"): 0 for model in (Attribute, Category, MappingRule, Source, Tag)
    }
    for model in (Attribute, Category, MappingRule, Source, Tag):
        item = model.objects.order_by("pk").first()
        made = Revision.objects.create(item=item.pk, kind=model.kind, action="changed", definition=definition(item))
        special[f"admin:taxonomy_{model._meta.model_name}_restore", "revision_id"] = made.pk
    for act in ("changelist", "change", "delete", "history"):
        special[f"admin:auth_group_{act}", "object_id"] = own_role.pk
        special[f"admin:staff_user_{act}", "object_id"] = User.objects.create_user(f"{act}@example.com", "x").pk
    special["admin:quarantine_event", "public_id"] = held.public_id
    common = {
        "public_id": Customer.objects.get().public_id, "event_id": accepted.public_id, "proposal_id": proposal.pk, "item": tag.pk,
        "reason_id": QuarantineReason.objects.first().pk, "run_id": run.pk, "uidb64": "MQ", "token": "x-y", "content_type_id": "1",
        "object_id": "1", "revision_id": 1,
    }  # fmt: skip
    # the table says what is seen of a name; the rollup that finds names is tested elsewhere
    now = timezone.now()
    unknown = Discovered.objects.create(source=source, kind="name", name="nobodyKnows", count=1, first_at=now, last_at=now, written_at=now)
    common |= {
        "discovered_id": unknown.pk, "code": "product_view", "kind": "tag", "upload_id": UUID(int=0),
        "item_id": tag.pk, "version": "1.0.0", "before": "1.0.0", "after": "1.0.0", "key": secret, "call": "track", "source": "website",
    }  # fmt: skip
    special["dictionary_attribute", "code"], special["dictionary_source", "code"] = "product_id", "website"
    special["admin:source_health", "item_id"] = source.pk
    subscriber = Subscriber.objects.create(name="s", url="https://example.com/hook", events=["release"])
    Dispatch.objects.create(subscriber=subscriber, event="release", body="{}")
    Hook.objects.create(source=source).add_secret("a secret of sixteen or more")
    assert Release.objects.exists()
    return {"secret": secret, "samples": Samples(special, common), "tag": tag, "source": source}


def person_named(name: str) -> User | None:
    if name in ("anonymous", "write key"):
        return None
    person = User.objects.create_user(
        f"{name.replace(' ', '_')}@people.example.com", "x", department_id="marketing", is_superuser=name == "superuser"
    )
    if name in ROLES:
        person.groups.add(Group.objects.get(name=name))
    return person


class Visitor:
    """Somebody with their browser, and their read token or the write key for the API."""

    def __init__(self, name: str, world: dict) -> None:
        self.name, self.person, self.cookies, self.world = name, person_named(name), "", world
        self.secret = world["secret"] if name == "write key" else ""
        self.samples = world["samples"]
        if self.person:
            browser = Client()
            browser.force_login(self.person)
            self.cookies = browser.cookies.output(header="")
            token = ReadToken(user=self.person, name="t", scopes=["customers", "plan"], expires_at=timezone.now() + timedelta(days=1))
            self.secret = token.set_secret()
            token.save()
            own = {(f"admin:staff_readtoken_{act}", "object_id"): token.pk for act in ("change", "delete", "history", "revoke")}
            self.samples = Samples(self.samples.special | own, self.samples.common)

    @property
    def permissions(self) -> set[str] | None:
        return permissions_of(self.name) if self.name in ROLES else set() if self.person else None

    def expected(self, one: Line) -> bool:
        if one.only == "its authors":
            return False
        return one.lets(self.permissions, superuser=self.name == "superuser") or (one.key and self.name == "write key")

    def is_let(self, place: str, parameters: tuple[str, ...]) -> bool:
        method, name, *more = place.split()
        url = self.samples.url(name, parameters)
        posted = DATA["delete"] if name.endswith("_delete") else dict(one.split("=") for one in more if "=" in one)
        posted |= {"choice": "approve"} if posted.get("act") == "vote" else {}
        if name == "admin:autocomplete":
            url += "?app_label=taxonomy&model_name=mappingrule&field_name=tag&term="
        if name == "plan_export":
            url += "?language=en&of=release&file=xlsx"
        if name.endswith("_resolve"):
            row = model_of(name).objects.get(pk=self.samples.value(name, "object_id"))
            posted = {"mine": signing.dumps({"mine": definition(row), "seen": 0, "theirs": 0}, compress=True)}
        if name == "admin:taxonomy_source_move":
            posted = {"rule": str(self.world["source"].rules.first().pk), "to": "up"}
        is_api = "/api/v1/" in url or url == "/cloudevents"
        headers = {"HTTP_AUTHORIZATION": f"Bearer {self.secret}"} if self.secret and (is_api or not self.person) else {}
        # a browser of its own each time: one of the acts logs out
        client = Client()
        if not is_api:
            client.cookies.load(self.cookies)
        if is_api and method == "POST":
            content = {"phone": "+8613800138000"} if name == "api_lookup" else {"event": "product_view"}
            return is_let(client, method, url, json.dumps(content), content_type="application/json", **headers)
        return is_let(client, method, url, posted, **headers)


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


def differences(lines: tuple[Line, ...], visitor: Visitor) -> list[str]:
    """Where what a visitor may do is not what the lines say."""
    found = []
    for one in lines:
        for place in one.places:
            if place.endswith(" role"):
                continue
            expected, seen = visitor.expected(one), visitor.is_let(place, parameters_of(place))
            if expected != seen:
                found.append(f"{place}: {visitor.name} {'may' if seen else 'may not'}, the table says otherwise ({one.act})")
    return found


@pytest.mark.parametrize("name", PEOPLE)
def test_what_happens_is_what_the_table_says(world, name):
    assert differences(LINES, Visitor(name, world)) == []


def test_what_no_line_lists_does_nothing_for_anybody(world):
    """An address or act that is new must be listed in cdp/permissions.py."""
    root = Visitor("superuser", world)
    doing = [place for place in unlisted(LINES, list(addresses())) if root.is_let(place, parameters_of(place))]
    assert doing == [], "list them in cdp/permissions.py, then run: manage.py permissions --write"


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


# what grants keep from a person is on no page


@pytest.fixture
def secret_area(world):
    """A category read by service alone, with a tag, its attribute, a rule to it and a source of service; some released, some proposed."""
    from ingestion.models import FailedRequest, ImportRun, WriteKey
    from ingestion.pipeline import Incoming, receive
    from taxonomy.current import plan_of
    from taxonomy.models import Attribute, Category, Grant, MappingRule, Source, Tag
    from taxonomy.propose import propose
    from taxonomy.publish import newest, publish

    named = {"label_en": "Zzsecret", "label_zh_hans": "Zzsecret"}
    area = Category.objects.create(code="zzsecret_area", **named)
    attribute = Attribute.objects.create(code="zzsecret_attribute", **named)
    tag = Tag.objects.create(code="zzsecret_tag", category=area, owner_id="service", status="active", **named)
    tag.uses.create(attribute=attribute, position=0)
    source = Source.objects.create(code="zzsecret_source", source_kind="till", owner_id="service", **named)
    for sender in (source, world["source"]):
        MappingRule.objects.create(source=sender, name="zzsecret_name", tag=tag, position=900)
    mine = [str(one.pk) for one in (area, attribute, tag, source, *MappingRule.objects.filter(name="zzsecret_name"))]
    publish(mine, notes="released the Zzsecret area", by=None)
    sam = User.objects.create_user("sam@example.com", "x", department_id="service")
    Tag.objects.filter(pk=tag.pk).update(label_en="Zzsecret too")
    Attribute.objects.filter(pk=attribute.pk).update(label_en="Zzsecret too")
    propose([str(tag.pk)], title="Zzsecret proposal", why="x", by=sam)
    receive(
        [Incoming(b'{"event": "not known"}')],
        source_code="zzsecret_source",
        door="api",
        received_at=timezone.now(),
        current=plan_of(newest().pk),
    )
    key = WriteKey(source=source)
    key.set_secret()
    key.save()
    ImportRun.objects.create(source=source, file_name="y.csv", path="/nowhere", status="finished", format={"kind": "csv", "columns": []})
    FailedRequest.objects.create(source=source, cause="y", hour=timezone.now(), count=1)
    Grant.objects.all().delete()
    Grant.objects.create(department_id="service", may="read", category=area)
    Grant.objects.create(department_id="service", may="read", sources_of_id="service")
    return {"area": area, "tag": tag, "attribute": attribute, "source": source}


STANDARD = ("admin:taxonomy_", "admin:ingestion_", "admin:quarantine_cause", "admin:autocomplete", "admin:index", "plan")


def _rows(model) -> list:
    keys = list(model.objects.order_by("pk").values_list("pk", flat=True))
    secret = [pk for pk in keys if "zzsecret" in str(model.objects.get(pk=pk)).lower()]
    return [*secret, *keys[-2:], keys[0]] if keys else [None]


def pages_with_a_secret(visitor: Visitor) -> set[str]:
    """The addresses of the standard and of what arrives at which the visitor meets it; the secret rows and some others are tried."""
    found = set()
    for one in addresses():
        if not one.name.startswith(STANDARD) or one.name.startswith("admin:taxonomy_grant"):
            continue
        model = model_of(one.name)
        rows = _rows(model) if model and "object_id" in one.parameters else [None]
        for row in rows:
            samples = Samples(visitor.samples.special | ({(one.name, "object_id"): row} if row else {}), visitor.samples.common)
            browser = Client()
            browser.cookies.load(visitor.cookies)
            headers = {"HTTP_AUTHORIZATION": f"Bearer {visitor.secret}"} if one.name == "plan" else {}
            asked = (
                {"app_label": "taxonomy", "model_name": "mappingrule", "field_name": "tag", "term": "zz"}
                if one.name == "admin:autocomplete"
                else {}
            )
            answer = browser.get(samples.url(one.name, one.parameters), asked, **headers)
            if not answer.streaming and b"zzsecret" in answer.content.lower():
                found.add(one.name)
    return found


def test_what_a_person_may_not_read_is_on_no_page_of_the_standard(world, secret_area):
    assert pages_with_a_secret(Visitor("marketer", world)) == set()


def test_whoever_may_read_it_meets_it_on_the_same_pages(world, secret_area):
    """Else the test above could not fail."""
    pages = pages_with_a_secret(Visitor("superuser", world))
    kinds = {
        f"admin:taxonomy_{kind}_{page}"
        for kind in ("category", "tag", "attribute", "source", "mappingrule")
        for page in ("changelist", "change")
    }
    others = {"admin:taxonomy_proposal_changelist", "admin:taxonomy_proposal_unreleased", "admin:taxonomy_release_change", "admin:taxonomy_release_changelist", "admin:taxonomy_source_rules", "plan", "admin:autocomplete", "admin:ingestion_writekey_changelist", "admin:ingestion_importrun_change", "admin:ingestion_failedrequest_changelist", "admin:ingestion_quarantinereason_changelist", "admin:index"}  # fmt: skip
    assert (kinds | others) - pages == set()


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
