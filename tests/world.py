"""A world with one of everything, and whoever may look at it."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from conftest import make_departments, make_write_key, publish_small_plan
from django.contrib.auth.models import Group
from django.core import signing
from django.test import Client
from django.utils import timezone
from places import Samples, is_let, model_of

from cdp.permissions import Line
from staff.models import AccessLog, ReadToken, User
from staff.roles import ROLES, permissions_of
from taxonomy.definition import definition
from taxonomy.exchange.book import SheetRead
from taxonomy.exchange.pending import keep

NO_ROLE = "no role"
PEOPLE = ["anonymous", NO_ROLE, *ROLES, "superuser", "write key"]
# For whom the pages are drawn too: they see the most. Who sees the least meets each page in test_site.py.
DRAWN = ("superuser",)
# A client that is made anew loads the whole middleware, which takes longer than most pages.
_browser = Client()


def make_world() -> dict[str, Any]:
    """One of everything: an event accepted, one held, an import, a proposal, a release and what administers them."""

    from ingestion.jobs import import_file
    from ingestion.models import (
        Discovered,
        Dispatch,
        FailedRequest,
        FileMatching,
        Hook,
        ImportRun,
        Leak,
        MqttTopic,
        NearDuplicate,
        QuarantineReason,
        Replay,
        SpecLink,
        Subscriber,
        TakeBack,
        Upload,
    )
    from ingestion.pipeline import Incoming, receive
    from ingestion.quarantine.causes import cause_of
    from profiles.models import Customer, Event
    from taxonomy.current import current
    from taxonomy.definition import apply_definition
    from taxonomy.models import Attribute, Category, CheckSetting, Grant, MappingRule, Release, ReviewPolicy, Revision, Source, Tag
    from taxonomy.proposals.propose import propose

    # what a test key sends is answered and not stored: events are stored by a thread, out of the test's transaction
    make_departments()
    publish_small_plan()
    secret, key = make_write_key()
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
    FileMatching.objects.create(source=source, number=1, headings=["a"], definition={"columns": [], "events": [{"name": "login"}]})
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
    for does in ("", "_reveal", "_discard"):
        special[f"admin:quarantine_event{does}", "public_id"] = held.public_id
    common = {
        "public_id": Customer.objects.get().public_id, "event_id": accepted.public_id, "proposal_id": proposal.pk, "item": tag.pk,
        "cause_id": cause_of(QuarantineReason.objects.first()).pk, "run_id": run.pk, "uidb64": "MQ", "token": "x-y", "content_type_id": "1",
        "object_id": "1", "revision_id": 1, "batch_id": accepted.batch_id, "message_id": accepted.public_id,
    }  # fmt: skip
    # the table says what is seen of a name; the rollup that finds names is tested elsewhere
    now = timezone.now()
    unknown = Discovered.objects.create(source=source, kind="name", name="nobodyKnows", count=1, first_at=now, last_at=now, written_at=now)
    leak = Leak.objects.create(
        source=source, tag=tag, attribute="note", planned=False, kind="phone", count=1, first_at=now, last_at=now, example="138****8000"
    )
    common |= {
        "leak_id": leak.pk,
        "discovered_id": unknown.pk, "code": "product_view", "kind": "tag", "upload_id": UUID(int=0),
        "item_id": tag.pk, "source_id": source.pk, "version": "1.0.0", "before": "1.0.0", "after": "1.0.0", "key": secret, "call": "track", "source": "website",
    }  # fmt: skip
    special["dictionary_attribute", "code"], special["dictionary_source", "code"] = "product_id", "website"
    special["admin:source_health", "item_id"] = source.pk
    for name in ("spec_of_partner", "spec_partner_download"):
        special[name, "token"] = SpecLink.objects.create(source=source, created_by=writer).token
    common |= {"file": "template.csv"}
    upload = Upload.objects.create(source=source, file_name="x.csv", size_bytes=1, received_bytes=1, run=run)
    special |= {(name, "upload_id"): upload.pk for name in ("import", "import_failed_rows", "import_findings", "import_file")}
    subscriber = Subscriber.objects.create(name="s", url="https://example.com/hook", events=["release"])
    Dispatch.objects.create(subscriber=subscriber, event="release", body="{}")
    take_back = TakeBack.objects.create(source=source, batch_id=accepted.batch_id, received_until=now, looked_by=writer, state="ready")
    NearDuplicate.objects.create(event=accepted, of=held, source=source, tag=tag, window_seconds=10, found_at=now, state="marked")
    Hook.objects.create(source=source).add_secret("a secret of sixteen or more")
    MqttTopic.objects.create(source=source, filter="shops/+/events")
    replay = Replay.objects.create(source=source, last_event_id=held.pk, status="finished", in_all=1)
    common |= {"take_back_id": take_back.pk, "replay_id": replay.pk}
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
            _browser.cookies.clear()
            _browser.force_login(self.person)
            self.cookies = _browser.cookies.output(header="")
            token = ReadToken(user=self.person, name="t", scopes=["customers", "plan"], expires_at=timezone.now() + timedelta(days=1))
            self.secret = token.set_secret()
            token.save()
            own = {(f"admin:staff_readtoken_{act}", "object_id"): token.pk for act in ("change", "delete", "history", "revoke")}
            sheets = [SheetRead("Tags", ["code", "label_en"], [(2, ["product_view", "Looked at"])])]
            upload = keep(sheets, name="plan.xlsx", by=self.person.pk, everything=False)
            self.samples = Samples(self.samples.special | own, self.samples.common | {"upload_id": upload})

    @property
    def permissions(self) -> set[str] | None:
        return permissions_of(self.name) if self.name in ROLES else set() if self.person else None

    def expected(self, one: Line) -> bool:
        if one.only == "its authors":
            return False
        if one.only == "who is not limited to a part of the standard":  # as everybody here is by the grant
            return self.name == "superuser"
        return one.lets(self.permissions, superuser=self.name == "superuser") or (one.key and self.name == "write key")

    def browser(self, *, logged_in: bool = True) -> Client:
        """As it was after the log-in: one of the acts logs out."""
        _browser.cookies.clear()
        if logged_in:
            _browser.cookies.load(self.cookies)
        return _browser

    def is_let(self, place: str, parameters: tuple[str, ...]) -> bool:
        method, name, *more = place.split()
        url = self.samples.url(name, parameters)
        posted = {"post": "yes"} if name.endswith("_delete") else dict(one.split("=") for one in more if "=" in one)
        posted |= {"choice": "approve"} if posted.get("act") == "vote" else {}
        if name == "admin:autocomplete":
            url += "?app_label=taxonomy&model_name=mappingrule&field_name=tag&term="
        if name == "plan_export":
            url += "?language=en&of=release&file=xlsx"
        if name.endswith("_resolve"):
            row = model_of(name).objects.get(pk=self.samples.value(name, "object_id"))
            posted = {"mine": signing.dumps({"mine": definition(row), "seen": 0, "theirs": 0}, salt=f"taxonomy.conflict.{row.pk}")}
        if name == "admin:taxonomy_source_move":
            posted = {"rule": str(self.world["source"].rules.first().pk), "to": "up"}
        is_api = "/api/v1/" in url or url == "/cloudevents"
        headers = {"HTTP_AUTHORIZATION": f"Bearer {self.secret}"} if self.secret and (is_api or not self.person) else {}
        client, drawn = self.browser(logged_in=not is_api), self.name in DRAWN and method == "GET"
        if is_api and method == "POST":
            content = {"phone": "+8613800138000"} if name == "api_lookup" else {"event": "product_view"}
            return is_let(client, method, url, json.dumps(content), content_type="application/json", drawn=drawn, **headers)
        return is_let(client, method, url, posted, drawn=drawn, **headers)
