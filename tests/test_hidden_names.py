"""What grants keep from a reader is named at no address: not in the standard, not in what arrives, not while typing, not in a file."""

import io
import zipfile

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from places import Address, Samples, addresses, model_of
from world import NO_ROLE, Visitor

from ingestion.models import (
    AttributeDay,
    Cause,
    Discovered,
    FailedRequest,
    ImportRun,
    ReadingDay,
    Replay,
    Stream,
    ViolationDay,
    WriteKey,
)
from ingestion.pipeline import Incoming, receive
from profiles.models import Event
from staff.models import User
from taxonomy.current import plan_of
from taxonomy.definition import apply_definition, definition
from taxonomy.exchange.formats import FORMATS
from taxonomy.models import Attribute, Category, Grant, MappingRule, Release, Source, Tag
from taxonomy.proposals.propose import propose
from taxonomy.publish import company_day, newest, publish

pytestmark = pytest.mark.django_db
NAMED = {"label_en": "Zzsecret", "label_zh_hans": "Zzsecret"}
TOLD = NAMED | {"description_en": "Zzsecret it is", "description_zh_hans": "Zzsecret"}
MARK = "zzsecret"
# Who may what is for those who say it: its pages name the places.
APART = "admin:taxonomy_grant"


@pytest.fixture(scope="module")
def area(world, django_db_blocker):
    """A category and sources that service alone reads, with all that can tell of them: some released, some gone, some arriving."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield _area(world)
        transaction.set_rollback(True)


def _area(world) -> dict:
    website, open_tag = world["source"], Tag.objects.get(code="login")
    category = Category.objects.create(code="zzsecret_area", **TOLD)
    attribute = Attribute.objects.create(code="zzsecret_attribute", **TOLD)
    tag = Tag.objects.create(code="zzsecret_was", category=category, owner_id="service", status="active", synonyms=["zzsecret_too"], **TOLD)
    gone = Tag.objects.create(code="zzsecret_gone", category=category, owner_id="service", status="active", **TOLD)
    tag.uses.create(attribute=attribute, position=0)
    source = Source.objects.create(code="zzsecret_source", source_kind="till", owner_id="service", **TOLD)
    rules = [MappingRule.objects.create(source=one, name="zzsecret_name", tag=tag, position=900) for one in (source, website)]
    rules.append(MappingRule.objects.create(source=source, name="zzsecret_opens", tag=open_tag, position=901))
    items = [str(one.pk) for one in (category, attribute, tag, gone, source, *rules)]
    publish(items, notes="released the Zzsecret area", by=None)
    # another code, one removed, and an open tag that the secret one succeeds
    Tag.objects.filter(pk=tag.pk).update(code="zzsecret_tag")
    old = Tag.objects.get(code="product_view")
    apply_definition(old.pk, definition(old) | {"label_en": "Looked at", "successor": str(tag.pk)})
    removed = str(gone.pk)
    from taxonomy.draft import write_items

    write_items({removed: None}, by=None, why="x")
    publish([str(tag.pk), removed, str(old.pk)], notes="Zzsecret again", by=None)
    sam = User.objects.create_user("sam@example.com", "x", department_id="service")
    Tag.objects.filter(pk=tag.pk).update(label_en="Zzsecret too")
    Attribute.objects.filter(pk=attribute.pk).update(label_en="Zzsecret too")
    propose([str(tag.pk)], title="Zzsecret proposal", why="x", by=sam)
    _arrives(website, source, open_tag, tag)
    key = WriteKey(source=source)
    key.set_secret()
    key.save()
    Replay.objects.create(source=source, last_event_id=0, status="finished")
    ImportRun.objects.create(source=source, file_name="y.csv", path="/nowhere", status="finished", format={"kind": "csv", "columns": []})
    file = settings.UPLOAD_DIR / "x.csv"
    file.write_text("event\n", encoding="utf-8")
    ImportRun.objects.update(path=str(file))
    FailedRequest.objects.create(source=source, cause="y", hour=timezone.now(), count=1)
    Grant.objects.all().delete()
    Grant.objects.create(department_id="service", may="read", category=category)
    Grant.objects.create(department_id="service", may="read", sources_of_id="service")
    return {"category": category, "tag": tag, "attribute": attribute, "source": source, "open": open_tag, "old": old}


def _arrives(website: Source, source: Source, open_tag: Tag, tag: Tag) -> None:
    now, plan = timezone.now(), plan_of(newest().pk)
    phone = b'"phone": "+8613800138000"'
    for code, record in [
        ("zzsecret_source", b'{"event": "not known"}'), ("zzsecret_source", b'{"id": "z1", "event": "login", %s}' % phone),
        ("website", b'{"id": "z2", "event": "zzsecret_name", %s, "attributes": {"zzsecret_attribute": "v"}}' % phone),
    ]:  # fmt: skip
        receive([Incoming(record)], source_code=code, door="api", received_at=now, current=plan)
    seen = {"count": 5, "first_at": now, "last_at": now}
    for one, kind, of, name in [
        (source, "name", None, "whatIsIt"), (website, "attribute", tag, "colour"), (source, "attribute", open_tag, "size"), (source, "rest", None, ""),
    ]:  # fmt: skip
        Discovered.objects.create(source=one, kind=kind, tag=of, name=name, written_at=now, **seen)
    today = company_day()
    for one, of in [(website, open_tag), (website, tag), (source, open_tag)]:
        ReadingDay.objects.create(day=today, source=one, tag=of, accepted=True, count=7, last_at=now, source_version=f"v {one.code}")
        ViolationDay.objects.create(day=today, source=one, tag=of, code="attribute.missing", path=f"{of.code}", effect="noted", count=1)
        Stream.objects.create(source=one, tag=of, state="stopped", first_day=today, last_at=now, judged_at=now)
    AttributeDay.objects.create(day=today, source=website, tag=open_tag, attribute="zzsecret_attribute", count=1)
    for whole in ({"source": website}, {"tag": open_tag}, {"source": source}, {"tag": tag}):
        Stream.objects.create(state="alive", first_day=today, last_at=now, judged_at=now, **whole)


@pytest.fixture
def reader(world, area) -> Visitor:
    """Of marketing, with every permission but over grants: what they do not see, grants keep from them."""
    found = Visitor(NO_ROLE, world)
    found.person.user_permissions.set(Permission.objects.exclude(content_type__model="grant"))
    return found


def values_of(one: Address, parameter: str, samples: Samples) -> list:
    """What to open an address with: the sample, and whatever is secret."""
    model = model_of(one.name)
    secret = {
        "item_id": [row.pk for model in (Tag, Source) for row in model.objects.filter(label_en__startswith="Zzsecret")],
        "discovered_id": list(Discovered.objects.values_list("pk", flat=True)),
        "code": ["zzsecret_tag", "zzsecret_was", "zzsecret_gone", "zzsecret_attribute", "zzsecret_source", "login"],
        "version": list(Release.objects.values_list("version", flat=True)),
        "after": list(Release.objects.values_list("version", flat=True)),
        "run_id": list(ImportRun.objects.values_list("pk", flat=True)),
        "cause_id": list(Cause.objects.values_list("pk", flat=True)),
        "event_id": [event.public_id for event in Event.objects.all()],
    }.get(parameter, [])
    if parameter == "object_id" and model:
        secret = [
            row.pk for row in model._default_manager.all() if model is Release or MARK in f"{row} {getattr(row, 'source', '')}".lower()
        ]
    return [samples.value(one.name, parameter), *secret]


QUERIES = {
    "admin:ingestion_stream_changelist": ["of=source", "of=tag"],
    "admin:tag_health": ["source=zzsecret_source", "days=90"],
    "admin:ingestion_discovered_changelist": ["state=open", "state=drafted", "state=released", "kind=attribute"],
    "admin:autocomplete": ["app_label=taxonomy&model_name=mappingrule&field_name=tag&term=zz"],
    "admin:taxonomy_proposal_formats": [f"format={one}&draft=draft" for one in FORMATS],
    "admin:taxonomy_proposal_formats_download": [f"format={one}&draft={of}" for one in FORMATS for of in ("", "draft")],
    "plan_export": [f"language=en&of={of}&file={file}" for of in ("draft", "release") for file in ("xlsx", "utf-8")],
    "dictionary": ["", "print&all"],
    "customer": ["", "source=zzsecret_source"],
}  # fmt: skip


def content_of(answer) -> str:
    """What an answer says, the files of a zip or workbook too."""
    content = answer.getvalue()
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            content = b"".join(packed.read(name) for name in packed.namelist())
    return content.decode("utf-8", "replace").lower()


def around(said: str) -> str:
    at = said.index(MARK)
    return " ".join(said[max(0, at - 200) : at + 100].split())


def told_at(visitor: Visitor) -> dict[str, str]:
    """{name of an address that tells the visitor of what is secret: the words around it}. What they typed themselves does not count."""
    found = {}
    for one in addresses():
        if one.name.startswith(APART) or one.name == "admin:logout":
            continue
        varied = [name for name in one.parameters if len(values_of(one, name, visitor.samples)) > 1]
        urls = {visitor.samples.url(one.name, one.parameters)}
        for name in varied:
            for value in values_of(one, name, visitor.samples):
                special = visitor.samples.special | {(one.name, name): value}
                urls.add(Samples(special, visitor.samples.common).url(one.name, one.parameters))
        for url in urls:
            for query in QUERIES.get(one.name, [""]):
                is_api = "/api/v1/" in url
                headers = {"HTTP_AUTHORIZATION": f"Bearer {visitor.secret}"} if is_api else {}
                answer = visitor.browser(logged_in=not is_api).get(f"{url}?{query}" if query else url, **headers)
                said = content_of(answer) + " ".join(str(told) for told in get_messages(answer.wsgi_request)).lower()
                for typed in {part for part in url.split("/") if MARK in part} | ({"zzsecret_source"} if "source=zz" in query else set()):
                    said = said.replace(f"“{typed}”", "").replace(f"source={typed}", "").replace(f"/{typed}", "")
                    said = said.replace(f"<code>{typed}</code>", "") if answer.status_code == 404 else said
                if MARK in said:
                    found[one.name] = f"{url}?{query}: {around(said)}"
    posted = {
        "admin:taxonomy_tag_similar": {"code": "zzsecret", "label_en": "Zzsecret too"},
        "admin:taxonomy_attribute_similar": {"code": "zzsecret_attribute", "label_en": "opens"},
        "dictionary_search": {"q": "zzsecre"},
    }
    for name, asked in posted.items():
        if MARK in (said := content_of(visitor.browser().post(reverse(name), asked))):
            found[f"POST {name}"] = around(said)
    return found


def test_what_a_reader_may_not_read_is_named_at_no_address(reader):
    assert told_at(reader) == {}


def test_whoever_may_read_it_meets_it_at_the_same_addresses(world, area):
    """Else the test above could not fail."""
    pages = {
        f"admin:taxonomy_{kind}_{page}"
        for kind in ("category", "tag", "attribute", "source", "mappingrule")
        for page in ("changelist", "change")
    }
    others = {
        "POST admin:taxonomy_attribute_similar", "POST admin:taxonomy_tag_similar", "POST dictionary_search", "admin:autocomplete", "admin:index",
        "admin:ingestion_discovered_change", "admin:ingestion_discovered_changelist", "admin:ingestion_failedrequest_changelist",
        "admin:ingestion_importrun_change", "admin:ingestion_quarantinereason_changelist", "admin:ingestion_stream_changelist",
        "admin:ingestion_writekey_changelist", "admin:source_health", "admin:tag_health", "admin:taxonomy_proposal_changelist",
        "admin:taxonomy_proposal_formats_download", "admin:taxonomy_proposal_unreleased", "admin:taxonomy_release_change",
        "admin:taxonomy_release_changelist", "admin:taxonomy_source_rules", "api_timeline", "customer", "customer_event", "dictionary",
        "dictionary_attribute", "dictionary_source", "dictionary_tag", "plan", "plan_export", "plan_tag", "release", "release_diff", "releases",
    }  # fmt: skip
    assert (pages | others) - told_at(Visitor("superuser", world)).keys() == set()


def upload(reader: Visitor, name: str, content: bytes, **more: str):
    """The page that tells what an upload would change."""
    file = SimpleUploadedFile(name, content)
    answer = reader.browser().post(reverse("plan_exchange"), {"file": file, **more})
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    return reader.browser().get(answer["Location"])


def counted(page) -> dict[str, int]:
    return {status: count for status, _label, count in page.context["figures"]}


def test_a_plan_taken_out_and_in_again_changes_nothing_of_what_its_reader_may_not_read(reader):
    whole = reader.browser().get(reverse("plan_export"), {"language": "en", "of": "draft", "file": "xlsx"}).getvalue()
    page = upload(reader, "plan.xlsx", whole)
    assert {status: count for status, count in counted(page).items() if count and status != "unchanged"} == {}
    page = upload(reader, "tags.csv", b"code\nlogin\n", everything="on")
    assert counted(page)["removed"] + counted(page)["wrong"] > 0
    assert MARK not in page.content.decode().lower()
    answer = reader.browser().get(page.wsgi_request.path + "answer")
    assert answer.status_code == 200 and MARK not in content_of(answer)


def test_an_upload_cannot_take_a_code_or_an_id_that_is_kept_from_its_author(reader, area):
    page = upload(reader, "tags.csv", b"code,label_en,label_zh_hans,category,owner\nzzsecret_tag,Mine,Mine,product,marketing\n")
    assert (counted(page)["wrong"], counted(page)["added"]) == (1, 0)
    page = upload(reader, "tags.csv", f"code,id,label_en,label_zh_hans\nmine_now,{area['tag'].pk},Mine,Mine\n".encode())
    assert (counted(page)["wrong"], counted(page)["changed"], counted(page)["added"]) == (1, 0, 0)
    assert "Zzsecret" not in page.content.decode()


@pytest.fixture
def stranger(reader) -> Visitor:
    """Of a department that owns nothing: owners may always change what is theirs."""
    User.objects.filter(pk=reader.person.pk).update(department="product")
    return reader


def test_an_upload_says_what_its_author_may_not_change(stranger):
    Grant.objects.create(department_id="sales", may="propose", category=Tag.objects.get(code="login").category)
    page = upload(stranger, "tags.csv", b"code,label_en\nlogin,Logged in\n")
    assert (counted(page)["wrong"], counted(page)["changed"]) == (1, 0)
    assert "Only Marketing, Sales may change it" in page.content.decode()


def test_health_counts_only_what_its_reader_may_read(reader, world, area):
    page = reader.browser().get(reverse("admin:tag_health", args=[area["open"].pk]))
    assert page.context["health"].total == 7
    page = reader.browser().get(reverse("admin:tag_health", args=[area["open"].pk]), {"source": "zzsecret_source"})
    assert page.context["source"] is None and page.context["health"].total == 7
    page = reader.browser().get(reverse("admin:source_health", args=[world["source"].pk]))
    assert page.context["health"].total == 7
    root = Visitor("superuser", world)
    assert root.browser().get(reverse("admin:tag_health", args=[area["open"].pk])).context["health"].total == 14


def test_the_news_of_the_dictionary_count_only_what_may_be_read(reader, world, area):
    User.objects.filter(pk=reader.person.pk).update(seen_release=Release.objects.order_by("pk").first().pk)
    page = reader.browser().get(reverse("dictionary"))
    assert page.context["news_count"] == len(reader.browser().get(reverse("dictionary_changes")).context["page"]) == 1


def test_a_way_back_that_would_touch_what_is_hidden_is_refused_without_naming_it(reader):
    first = Release.objects.order_by("pk").first()
    answer = reader.browser().post(reverse("admin:taxonomy_release_back", args=[first.pk]), {"why": "x"})
    [said] = [str(one) for one in get_messages(answer.wsgi_request)]
    assert "Customer service" in said and MARK not in said.lower()


@pytest.mark.parametrize("act", ["map", "use", "add"])
def test_what_was_discovered_is_put_only_where_its_finder_may_change_something(stranger, world, area, act):
    now = timezone.now()
    Grant.objects.create(department_id="sales", may="propose")
    row = Discovered.objects.create(
        source=world["source"], kind="name" if act == "map" else "attribute", tag=None if act == "map" else area["open"], name="aNewOne",
        count=1, first_at=now, last_at=now, written_at=now,
    )  # fmt: skip
    posted = {"tag": str(area["open"].pk), "attribute": str(Attribute.objects.get(code="product_id").pk), "code": "a_new_one", "type": "text", "label_en": "A", "label_zh_hans": "A"}  # fmt: skip
    answer = stranger.browser().post(reverse("admin:discovered_act", args=[row.pk]), {"act": act, **posted})
    assert "Only" in " ".join(str(one) for one in get_messages(answer.wsgi_request))
    assert not MappingRule.objects.filter(name="aNewOne").exists() and not Attribute.objects.filter(code="a_new_one").exists()
