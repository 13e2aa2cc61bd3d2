"""JSON with names of its own: matched as columns are, where the source's envelope does not read it."""

import json
import uuid
import zipfile
from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from test_file_matching import till  # noqa: F401
from test_import_pages import steward  # noqa: F401
from test_match_page import choose, understood

from ingestion.doors.files import Column, FileFormat, Matching, RowEvent, UnreadableFile, cells_under, sniff
from ingestion.doors.files.names import by_name, names_in
from ingestion.imports.check_file import check_file
from ingestion.imports.columns import look
from ingestion.imports.failed import failed_rows
from ingestion.imports.matchings import completed, fingerprint, fits_envelope, in_force, keep, use_again
from ingestion.imports.run import follow, outcome, run_import, take_file
from ingestion.imports.suggest import suggest
from ingestion.models import FileMatching, ImportRun, Replay
from ingestion.quarantine.replay import ask, run_replay
from profiles.models import Event
from profiles.original import shown_original
from profiles.sight import Sight
from staff.models import User
from taxonomy.current import current
from taxonomy.models import Source
from taxonomy.publish import publish

SALE = Matching(
    (Column("customer.phone", "phone"), Column("sold.at", "occurred_at", "%d/%m/%Y %H:%M"), Column("receipt", "id"), Column("line", "id")),
    (
        RowEvent(
            name="purchase",
            columns=(
                Column("item.sku", "attribute.product_id"), Column("item.price", "attribute.price"), Column("item.count", "attribute.quantity"),
                Column("receipt", "attribute.order_id"),
            ),
        ),
    ),
).in_order()  # fmt: skip
NAMES = ["receipt", "line", "customer.phone", "sold.at", "item.sku", "item.price", "item.count"]


def sales(number: int, **counts: object) -> list[dict]:
    """Of a till with names of its own; `counts`: what stands in a line's count, by `n` and its number."""
    return [
        {
            "receipt": "R1", "line": at, "customer": {"phone": f"13800138{at:03}"}, "sold.at": "03/04/2026 14:05",
            "item": {"sku": "p1", "price": 9.90, "count": counts.get(f"n{at}", 1)},
        }
        for at in range(number)
    ]  # fmt: skip


FORMS = {
    "ndjson": lambda records: "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records).encode(),
    "json": lambda records: json.dumps({"shop": "a", "sales": records}, indent=1, ensure_ascii=False).encode(),
    "gb18030": lambda records: json.dumps(records, ensure_ascii=False).encode("gb18030"),
}


@pytest.fixture
def load(till, tmp_path):  # noqa: F811
    def load(content: bytes, **more) -> ImportRun:
        path = tmp_path / uuid.uuid4().hex
        path.write_bytes(content)
        return run_import(take_file(path, source=till, file_name="sales.json", **more).pk)

    return load


def kept(source: Source, matching: Matching = SALE, names: list[str] = NAMES) -> FileMatching:
    return keep(matching, source=source, headings=names, file_name="sales.ndjson", by=None, is_json=True)


# pure


@pytest.mark.parametrize(
    ("record", "cells"),
    [
        ({"a": 1, "b": None}, {"a": 1, "b": None}),
        ({"a": {"b": 1, "c": {"d": "x"}}}, {"a.b": 1, "a.c.d": "x"}),
        ({"a.b": 1, "c": {"d.e": 2}}, {"a.b": 1, "c.d.e": 2}),
        ({"a.b": 1, "a": {"b": 2}}, {"a.b": 1}),
        ({"a": {"b": 2}, "a.b": 1}, {"a.b": 1}),
        ({"a": [{"b": 1}], "c": {"d": [1]}}, {"a": [{"b": 1}], "c.d": [1]}),
        ({"a": {}}, {"a": {}}),
    ],
    ids=str,
)
def test_values_stand_under_their_names(record, cells):
    assert by_name(record) == cells


@pytest.mark.parametrize(
    ("records", "names"),
    [
        ([{"b": 1}, {"a": 1, "b": 2}, {"c": 1}], ["b", "a", "c"]),
        ([{"a": None, "b": 1}, {"a": {"x": 1}}], ["b", "a.x"]),
        ([{"a": 5}, {"a": {"x": 1}}], ["a", "a.x"]),
        ([{"a": None}], ["a"]),
        ([{"": 1, "a\0": 2, "b": 3}], ["b"]),
    ],
    ids=str,
)
def test_the_names_are_those_of_all_records_in_order(records, names):
    assert names_in(records) == names


@pytest.mark.parametrize("form", FORMS)
def test_a_file_tells_the_names_of_its_first_objects(tmp_path, form):
    path = tmp_path / "x"
    path.write_bytes(FORMS[form]([*sales(1), {"店": "南京路"}, "no object", *sales(150), {"late": 1}]))
    assert sniff(path).columns == [*NAMES, "店"]


@pytest.mark.parametrize(
    "content", [b"[[1, 2]]", b'{"a": 1', b'[[{"a": 1}]]', b"[" + b'{"a":' * 1100], ids=["list", "cut", "lists", "deep"]
)
def test_what_holds_no_objects_has_no_names(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert sniff(path).columns == []


def test_cells_are_shown_by_name_without_what_is_ours(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(FORMS["ndjson"]([{"_tagline_id": "1", "_reason": "x", "a": {"b": True}, "c": 12.50, "d": None}]))
    found = sniff(path)
    assert (found.columns, cells_under(path.read_bytes(), found)) == (
        ["_tagline_id", "_reason", "a.b", "c", "d"],
        (["true", "12.5", ""], []),
    )
    assert cells_under(b"no json", found) == (["", "", ""], [])


def test_files_of_a_zip_are_one_whatever_names_their_first_objects_have(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("a.ndjson", b'{"a": 1}\n')
        packed.writestr("b.ndjson", b'{"b": 1}\n')
    assert sniff(tmp_path / "x.zip").members == ["a.ndjson", "b.ndjson"]


def test_names_in_json_are_understood_as_headings_are():
    headings = ["orderNo", "lineNo", "customer.phone", "customer.id", "createdAt"]
    rows = [["o1", "1", "13800138000", "c1", "2026-03-04 10:00"], ["o1", "2", "13900138000", "c2", "2026-03-04 10:00"]]
    found = suggest(look(headings, rows), rows, source="", known=None, earlier=[])
    assert {heading: guess.target for heading, guess in found.columns.items() if guess.target} == {
        "customer.phone": "phone", "customer.id": "identifier.crm_id", "createdAt": "occurred_at",
    }  # fmt: skip
    assert found.ids == ["orderNo", "lineNo"]


# with the database

database = pytest.mark.django_db(transaction=True)


@database
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dry_run", [True, False])
def test_objects_are_read_by_the_matching_for_their_names(till, load, form, dry_run):  # noqa: F811
    used = kept(till)
    run = load(FORMS[form](sales(4, n2="two")), dry_run=dry_run)
    assert run.matching == used
    assert (outcome(run).counts["accepted"], outcome(run).counts["quarantined"]) == (3, 1)
    if dry_run:
        assert outcome(run_import(follow(run, by=None)[0].pk)).counts["accepted"] == 3
    event = Event.objects.get(message_id="0-R1")
    assert (event.occurred_at.date().isoformat(), event.attributes["product_id"], event.attributes["quantity"]) == ("2026-04-03", "p1", 1)


@database
def test_what_reading_has_to_say_of_an_object_is_said_when_it_is_matched(till, load):  # noqa: F811
    kept(till)
    run = load(FORMS["ndjson"](sales(1)).replace(b'"line": 0', b'"line": 7, "line": 0'))
    assert "record.repeated_key" in dict(outcome(run).notes) | dict(outcome(run).causes)


@database
@pytest.mark.parametrize("form", ["ndjson", "json"])
@pytest.mark.parametrize("mend", [True, False])
def test_failed_objects_come_back_as_they_were_and_close_what_was_held(till, load, form, mend):  # noqa: F811
    kept(till)
    sent = sales(4, n1="two", n3="three")
    del sent[1]["item"]["price"]
    sent[3]["remark"] = "of no earlier object"  # nothing that the layout knows
    returned = b"".join(failed_rows(load(FORMS[form](sales(150) + [{**one, "receipt": "R2"} for one in sent]))))
    back = [json.loads(line) for line in returned.splitlines()] if form == "ndjson" else json.loads(returned)
    assert [one["item"] for one in back] == [sent[1]["item"], sent[3]["item"]]
    assert all("item.count (attributes.quantity)" in one["_reason"] and one["_tagline_id"] for one in back)
    for one in back if mend else []:
        one["item"]["count"] = 2
        one["item"]["price"] = 1
    run = load(FORMS[form](back))
    assert run.matching is not None
    found = outcome(run)
    assert (found.counts["accepted"], found.counts["duplicate"], found.closed) == ((2, 0, 2) if mend else (0, 2, 0))
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == (0 if mend else 2)


@database
def test_a_line_that_was_no_json_is_mended_in_its_text_and_matched(till, load):  # noqa: F811
    kept(till)
    run = load(FORMS["ndjson"](sales(2)) + b"no json\n")
    [back] = [json.loads(line) for line in b"".join(failed_rows(run)).splitlines()]
    assert back["_record"] == "no json"
    back["_record"] = json.dumps(sales(3)[2])
    assert outcome(load(FORMS["ndjson"]([back]))).counts["accepted"] == 1


@database
def test_held_objects_are_replayed_as_they_were_read(till, load):  # noqa: F811
    Source.objects.filter(pk=till.pk).update(region="")
    publish(notes="no region", by=None)
    kept(till)
    assert outcome(load(FORMS["json"](sales(3)))).counts["quarantined"] == 3
    Source.objects.filter(pk=till.pk).update(region="CN")
    publish(notes="region", by=None)
    assert run_replay(ask(Replay(source=till)).pk).fixed == 3
    assert {event.attributes["product_id"] for event in Event.objects.filter(standing=Event.Standing.COUNTED)} == {"p1"}


@database
def test_a_cause_names_the_place_in_the_object(till, load, admin_client):  # noqa: F811
    kept(till)
    load(FORMS["ndjson"](sales(2, n1="two")))
    page = admin_client.get(reverse("admin:ingestion_quarantinereason_changelist"))
    assert [told for _group, _trend, told in page.context["lines"]] == ["item.count"]


@database
def test_who_may_not_see_personal_data_sees_none_under_the_till_s_own_names(till, load):  # noqa: F811
    names = [{"receipt": NAMES[0], "customer.phone": "customer.who"}.get(name, name) for name in NAMES]
    matching = replace_column(SALE, "customer.phone", Column("customer.who", "phone"))
    kept(till, matching, names)
    load(FORMS["ndjson"]([{**one, "customer": {"who": f"Ann {at}"}} for at, one in enumerate(sales(2))]))
    event = Event.objects.order_by("id").first()
    assert "Ann" in shown_original(event.original, event, Sight(unmasked=True)).text
    masked = shown_original(event.original, event, Sight(unmasked=False))
    assert masked.cells is None and "Ann" not in masked.text and '"sku"' in masked.text


@database
@pytest.mark.parametrize(
    "who", [{"customer.who": {"no": "Ann 1"}}, {"customer": {"who": {"no": "Ann 1"}}}, {"customer": {"who.no": "Ann 1"}}], ids=str
)
def test_a_matched_value_is_masked_wherever_the_dots_of_its_heading_stand(till, load, who):  # noqa: F811
    heading = "customer.who.no"
    names = [heading if name == "customer.phone" else name for name in NAMES]
    kept(till, replace_column(SALE, "customer.phone", Column(heading, "phone")), names)
    [sent] = sales(1)
    del sent["customer"]
    load(FORMS["ndjson"]([sent | who]))
    event = Event.objects.get()
    masked = shown_original(event.original, event, Sight(unmasked=False)).text
    assert "Ann" in shown_original(event.original, event, Sight(unmasked=True)).text
    assert "Ann" not in masked and 'no": ' in masked and '"sku": "p1"' in masked


def replace_column(matching: Matching, heading: str, column: Column) -> Matching:
    return Matching(tuple(column if one.heading == heading else one for one in matching.columns), matching.events).in_order()


# which files a matching reads


@database
def test_objects_may_lack_names_or_have_more(till, load):  # noqa: F811
    used = kept(till)
    lacking = sales(1)
    del lacking[0]["item"]["price"]
    assert load(FORMS["ndjson"](lacking)).matching == used
    assert load(FORMS["ndjson"]([{**one, "note": "x"} for one in sales(1)])).matching == used


@database
def test_objects_that_lack_what_is_read_and_have_other_names_are_not_read_by_guess(till, load):  # noqa: F811
    used = kept(till)
    other = [{**sales(1)[0], "item": {"sku": "p1", "cost": 1}}]
    with pytest.raises(UnreadableFile) as caught:
        load(FORMS["ndjson"](other))
    assert (caught.value.code, caught.value.values) == ("file.unmatched", {"new": "item.cost", "missing": "item.price, item.count"})
    assert load(FORMS["ndjson"](other), matching=1).matching == used
    with pytest.raises(UnreadableFile, match=r"matching\.missing"):
        load(b'{"x": 1}\n', matching=1)


@database
def test_what_the_envelope_reads_stays_its_own_though_a_table_of_like_names_was_matched(till, load):  # noqa: F811
    by_table = Matching((Column("tel", "phone"), Column("evt", "id")), (RowEvent(name="purchase"),))
    keep(by_table, source=till, headings=["evt", "tel", "at"], file_name="a.csv", by=None)
    run = load(FORMS["ndjson"]([{"evt": "login", "tel": "13800138000", "at": 1767225600000}]))
    assert (run.matching, Event.objects.get().name) == (None, "login")
    matched = keep(by_table, source=till, headings=["evt", "tel", "at"], file_name="a.json", by=None, is_json=True)
    again = load(FORMS["ndjson"]([{"evt": "x1", "tel": "13800138000", "at": 1767225600000}]))
    assert (again.matching, Event.objects.order_by("-id").first().name) == (matched, "purchase")


@database
def test_a_table_and_objects_of_the_same_names_share_a_matching_where_no_envelope_reads_them(till, load):  # noqa: F811
    names = ["receipt", "line", "phone", "day"]
    matching = Matching((Column("phone", "phone"), Column("receipt", "id"), Column("line", "id")), (RowEvent(name="login"),))
    used = keep(matching, source=till, headings=names, file_name="a.csv", by=None)
    assert load(b'{"receipt": "r", "line": 1, "phone": "13800138000", "day": "x"}\n').matching == used


@database
def test_a_table_is_read_by_the_matching_for_objects_of_its_columns(till, load):  # noqa: F811
    used = kept(till)
    row = "R1,0,13800138000,03/04/2026 14:05,p1,9.90,1\n"
    run = load((",".join(NAMES) + "\n" + row).encode())
    assert (run.matching, outcome(run).counts["accepted"]) == (used, 1)


@database
def test_without_a_matching_objects_are_read_by_the_envelope_whatever_their_names(till, load):  # noqa: F811
    csv = Matching((Column("x", "phone"),), (RowEvent(name="login"),))
    keep(csv, source=till, headings=["x"], file_name="a.csv", by=None)
    run = load(FORMS["ndjson"](sales(1)))
    assert (run.matching, outcome(run).counts["quarantined"]) == (None, 1)


@database
def test_a_layout_changed_for_a_file_that_lacks_a_name_is_the_same_layout_and_loses_nothing(till):  # noqa: F811
    first = kept(till)
    day = Column("sold.at", "occurred_at", "%m/%d/%Y %H:%M")
    other = Matching(SALE.columns, (RowEvent(name="purchase", columns=(Column("receipt", "attribute.order_id"),)),))
    second = kept(till, replace_column(other, "sold.at", day), NAMES[:4])
    assert (second.headings, second.fingerprint) == (first.headings, first.fingerprint)
    assert second.matching == replace_column(SALE, "sold.at", day)
    assert in_force(till, NAMES, is_json=True) == second
    assert use_again(first, by=None).is_json
    assert fingerprint(NAMES, is_json=True) != fingerprint(NAMES)


AT, DAY, CLOCK = Column("at", "occurred_at"), Column("day", "occurred_at", "%d/%m/%Y"), Column("clock", "time_of_day", "%H:%M")
PRICE, COUNT = Column("price", "attribute.price"), Column("count", "attribute.quantity")
ID, LINE, OWN = (Column(name, "id") for name in ("receipt", "line", "own"))


@database
@pytest.mark.parametrize(
    ("before", "lacking", "chosen", "becomes"),
    [
        ([ID, LINE, PRICE, COUNT], "count", [ID, LINE, PRICE], [ID, LINE, PRICE, COUNT]),
        ([ID, LINE, COUNT], "count", [ID], [ID, COUNT]),
        ([ID, LINE], "line", [], [ID, LINE]),
        ([ID, LINE], "line", [ID], [ID, LINE]),
        ([ID, LINE], "line", [ID, OWN], [ID, OWN]),
        ([DAY, CLOCK], "clock", [DAY], [DAY, CLOCK]),
        ([DAY, CLOCK], "clock", [AT], [AT]),
        ([DAY, CLOCK], "day clock", [AT], [AT]),
        ([COUNT], "count", [Column("pieces", "attribute.quantity")], [Column("pieces", "attribute.quantity")]),
        ([COUNT, PRICE], "", [COUNT], [COUNT]),
    ],
    ids=[
        "attribute",
        "id as chosen",
        "no id",
        "a part of an id",
        "another id",
        "clock",
        "another time",
        "another day",
        "another name",
        "none",
    ],
)
def test_what_objects_lack_is_read_as_before_but_where_something_else_was_chosen_for_it(till, before, lacking, chosen, becomes):  # noqa: F811
    def bought(columns: list[Column]) -> Matching:
        own = tuple(one for one in columns if one.target.startswith("attribute."))
        return Matching(tuple({*columns} - {*own}), (RowEvent(name="purchase", columns=own),)).in_order()

    names = ["receipt", "line", "own", "at", "day", "clock", "price", "count", "pieces"]
    first = kept(till, bought(before), names)
    assert kept(till, bought(chosen), [name for name in names if name not in lacking.split()]).matching == bought(becomes)
    assert use_again(first, by=None).matching == first.matching


@database
def test_a_further_event_that_objects_lack_a_name_of_keeps_its_place(till):  # noqa: F811
    joined, seen = (RowEvent(name="login", only_if=name) for name in ("member", "seen"))
    first = kept(till, Matching(SALE.columns, (*SALE.events, joined, seen)), [*NAMES, "member", "seen"])
    assert kept(till, Matching(SALE.columns, (*SALE.events, seen)), [*NAMES, "seen"]) == first
    assert kept(till, SALE, [*NAMES, "seen"]).matching.events == (*SALE.events, joined)
    assert kept(till, completed(SALE, in_force(till, NAMES, is_json=True), NAMES), NAMES).matching.events == (*SALE.events, joined)


@database
def test_a_smaller_layout_of_another_event_leaves_the_larger_one_as_it_is(till, load):  # noqa: F811
    orders, logins = kept(till), kept(till, Matching(SALE.columns, (RowEvent(name="login"),)), NAMES[:4])
    assert logins.headings == NAMES[:4]
    signed_in = [{name: value for name, value in one.items() if name != "item"} | {"receipt": "R2"} for one in sales(2)]
    assert load(FORMS["ndjson"](sales(2))).matching == orders
    assert load(FORMS["ndjson"](signed_in)).matching == logins
    assert sorted(Event.objects.values_list("tag__code", flat=True)) == ["login", "login", "purchase", "purchase"]


CONSTANT = {"preset": "custom", "event_constant": "purchase", "phone": "phone", "occurred_at": "occurred_at", "message_id": "id"}
LOGIN = Matching((Column("phone", "phone"), Column("at", "occurred_at"), Column("card", "id")), (RowEvent(name="login"),)).in_order()


@database
@pytest.mark.parametrize("envelope", [{}, CONSTANT], ids=["named", "constant"])
def test_failed_objects_that_the_envelope_read_are_read_by_it_again(till, load, envelope):  # noqa: F811
    Source.objects.filter(pk=till.pk).update(envelope=envelope)
    publish(notes="envelope", by=None)
    kept(till, LOGIN, ["phone", "at", "card"])
    bought = {"order_id": "o1", "product_id": "p1", "price": "9.90", "quantity": "two"}
    own = {"id": "e1", "phone": "13800138000", "occurred_at": "2026-03-01T09:00:00+08:00"}
    run = load(FORMS["ndjson"]([own | bought if envelope else own | {"event": "purchase", "attributes": bought}]))
    assert (run.matching, outcome(run).counts["quarantined"]) == (None, 1)
    again = load(b"".join(failed_rows(run)).replace(b'"two"', b"2"))
    assert (again.matching, outcome(again).counts["accepted"], outcome(again).closed) == (None, 1, 1)
    assert Event.objects.get(standing=Event.Standing.COUNTED).tag.code == "purchase"


@database
@pytest.mark.parametrize("envelope", [{}, CONSTANT], ids=["named", "constant"])
def test_failed_objects_with_a_name_not_seen_before_are_of_their_layout(till, load, envelope):  # noqa: F811
    Source.objects.filter(pk=till.pk).update(envelope=envelope)
    publish(notes="envelope", by=None)
    used = kept(till, LOGIN, ["phone", "at", "card"])
    assert load(b'{"phone": "13800138000", "at": "never", "card": "c1", "shop": 1, "_tagline_id": "", "_reason": ""}\n').matching == used


@database
@pytest.mark.parametrize(
    ("envelope", "names", "fits"),
    [
        ({"preset": "tagline"}, ["event", "attributes.price"], True),
        ({"preset": "tagline"}, ["kind"], False),
        ({"preset": "segment"}, ["batch"], True),
        ({"preset": "cloudevents"}, ["type", "data.phone"], True),
        ({"preset": "custom", "event": "body.what"}, ["body.what"], True),
        ({"preset": "custom", "event": "what", "events": "orders[].lines[]"}, ["orders"], True),
        ({"preset": "custom", "event": "what"}, ["whatever"], False),
    ],
    ids=str,
)
def test_whether_the_envelope_finds_events_is_told_by_the_names(till, envelope, names, fits):  # noqa: F811
    Source.objects.filter(pk=till.pk).update(envelope=envelope)
    publish(notes="envelope", by=None)
    assert fits_envelope(till, FileFormat("ndjson", columns=names)) is fits


@database
def test_a_run_kept_before_names_were_seen_goes_on_as_it_began(till, tmp_path):  # noqa: F811
    path = tmp_path / "x"
    path.write_bytes(FORMS["ndjson"]([{"evt": "login", "tel": "13800138000", "at": 1767225600000}]))
    run = take_file(path, source=till, file_name="x.ndjson")
    ImportRun.objects.filter(pk=run.pk).update(format=replace(FileFormat(**run.format), columns=[]).as_json())
    assert take_file(path, source=till, file_name="x.ndjson", encoding="utf-8") == run
    assert outcome(run_import(run.pk)).counts["accepted"] == 1


@database
def test_the_checker_reads_objects_as_an_import_does(till, tmp_path):  # noqa: F811
    kept(
        till, Matching(SALE.columns, (*SALE.events, RowEvent(name="login", only_if="member", says=("yes",)))).in_order(), [*NAMES, "member"]
    )
    path = tmp_path / "x"
    path.write_bytes(FORMS["ndjson"]([{**one, "member": "Y"} for one in sales(3, n1="two")]))
    known = current()
    found = check_file(path, known.plan.sources_by_uuid[str(till.pk)], current=known, received_at=timezone.now())
    assert (found.matching.number, found.counts["accepted"], [one.column for one in found.findings]) == (1, 2, ["item.count"])
    assert [(one.column, one.seen, one.times) for one in found.unlike] == [("member", "Y", 3)]


# the page


@pytest.fixture
def upload(till, steward):  # noqa: F811
    def upload(content: bytes):
        file = SimpleUploadedFile("sales.ndjson", content)
        page = steward.post(reverse("admin:ingestion_importrun_add"), {"source": till.pk, "file": file}, follow=True)
        return ImportRun.objects.get(status=ImportRun.Status.DRAFT), page

    return upload


@database
@pytest.mark.parametrize("form", FORMS)
def test_a_till_s_objects_are_matched_run_dry_and_imported(upload, steward, form):  # noqa: F811
    run, page = upload(FORMS[form](sales(8, n5="two")))
    assert page.redirect_chain[-1][0] == reverse("admin:ingestion_importrun_match", args=[run.pk])
    shown = {column.heading: column.examples for column in page.context["columns"]}
    assert shown["customer.phone"] == ["13800138000", "13800138001", "13800138002"] and list(shown) == NAMES
    assert not page.context["by_envelope"] and understood(page)["customer.phone"] == "phone"
    assert "no header" not in page.content.decode()
    page = choose(steward, run, page, event="name:purchase")
    targets = {
        "item.sku": "attribute.product_id",
        "item.price": "attribute.price",
        "item.count": "attribute.quantity",
        "receipt": "attribute.order_id",
    }
    said = {f"c{NAMES.index(name)}-is": target for name, target in targets.items()} | {
        f"c{NAMES.index('sold.at')}-is": "occurred_at", f"c{NAMES.index('sold.at')}-written": "%d/%m/%Y %H:%M", "c1-is": "", "id": ["0", "1"],
    }  # fmt: skip
    page = choose(steward, run, page, **said)
    assert page.context["problems"] == []
    assert {one.verdict for one in page.context["events"]} == {"accepted", "quarantined"}
    choose(steward, run, page, "try", **said)
    tried = run_import(run.pk)
    assert (tried.dry_run, outcome(tried).counts["accepted"]) == (True, 7)
    page = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    assert page.status_code == 200 and page.context["examples"]
    assert FileMatching.objects.get().matching == SALE
    made, _ = follow(tried, by=tried.started_by)
    assert outcome(run_import(made.pk)).counts["accepted"] == 7


@database
def test_the_next_file_is_matched_when_it_is_uploaded(till, upload):  # noqa: F811
    used = kept(till)
    run, page = upload(FORMS["ndjson"](sales(2)))
    assert (run.matching, page.context["problems"], page.context["replaces"]) == (used, [], None)


def may_match_nothing() -> None:
    User.objects.get().user_permissions.set(Permission.objects.filter(codename__in=["view_importrun", "add_importrun"]))
    User.objects.update(is_superuser=False)


@database
@pytest.mark.parametrize("name", ["item.count", "line"])
def test_a_file_whose_first_objects_lack_a_name_is_imported_as_it_stands_by_who_may_match_nothing(till, upload, steward, name):  # noqa: F811
    used = kept(till)
    may_match_nothing()
    lacking = [{**one, "receipt": f"R{at}"} for at, one in enumerate(sales(101, n100=7))]
    for one in lacking[:100]:
        (one["item"] if name == "item.count" else one).pop(name.rpartition(".")[2])
    run, page = upload(FORMS["ndjson"](lacking))
    assert (page.context["lacking"], page.context["replaces"], page.context["doubts"]) == ([name], None, [])
    choose(steward, run, page, "start")
    assert outcome(run_import(run.pk)).counts["accepted"] == (101 if name == "line" else 1)
    assert Event.objects.get(attributes__quantity=7).message_id == "100-R100"
    assert [*FileMatching.objects.all()] == [used]


@database
@pytest.mark.parametrize("may_match", [True, False])
def test_a_further_event_that_the_first_objects_lack_a_name_of_is_read_once_in_each_file(till, upload, steward, may_match):  # noqa: F811
    used = kept(till, Matching(SALE.columns, (*SALE.events, RowEvent(name="login", only_if="member"))), [*NAMES, "member"])
    if not may_match:
        may_match_nothing()
    for file in "AB":
        objects = [one | {"receipt": f"{file}{at}"} | ({"member": "y"} if at > 100 else {}) for at, one in enumerate(sales(103))]
        run, page = upload(FORMS["ndjson"](objects))
        assert (page.context["lacking"], page.context["replaces"]) == (["member"], None)
        choose(steward, run, page, "start")
        assert outcome(run_import(run.pk)).received == 103 + 2
    assert [*FileMatching.objects.all()] == [used]


@database
@pytest.mark.parametrize("is_changed", [False, True])
def test_who_may_match_nothing_imports_objects_by_a_table_s_matching_and_makes_none(till, upload, steward, is_changed):  # noqa: F811
    by_table = Matching((Column("tel", "phone"), Column("no", "id")), (RowEvent(name="login"),)).in_order()
    used = keep(by_table, source=till, headings=["no", "tel"], file_name="a.csv", by=None)
    may_match_nothing()
    run, page = upload(b'{"no": 1, "tel": "13800138000"}\n{"no": 2, "tel": "13800138001"}\n')
    assert run.matching == used
    answer = choose(steward, run, page, "start", **({"event": "name:purchase"} if is_changed else {}))
    assert [*FileMatching.objects.all()] == [used]
    if is_changed:
        assert answer.status_code == 403
    else:
        run = run_import(run.pk)
        assert (run.matching, outcome(run).counts["accepted"]) == (used, 2)


@database
def test_objects_as_the_source_s_own_are_begun_without_matching(upload, steward):  # noqa: F811
    run, page = upload(FORMS["ndjson"]([{"evt": "login", "tel": "13800138000", "at": 1767225600000}]))
    assert page.context["by_envelope"]
    choose(steward, run, page, "start", by="envelope")
    assert (outcome(run_import(run.pk)).counts["accepted"], FileMatching.objects.count()) == (1, 0)


@database
def test_objects_of_other_names_may_be_left_to_the_envelope(upload, steward):  # noqa: F811
    run, page = upload(FORMS["ndjson"](sales(1)))
    assert 'value="envelope"' in page.content.decode()
    choose(steward, run, page, "start", by="envelope")
    assert (outcome(run_import(run.pk)).counts["quarantined"], FileMatching.objects.count()) == (1, 0)


@database
def test_its_first_rows_are_shown_by_name_and_what_is_no_object_says_so(upload, steward):  # noqa: F811
    run, _ = upload(FORMS["ndjson"](sales(1)) + b"[1]\nno json\n")
    page = steward.get(reverse("admin:ingestion_importrun_check", args=[run.pk]))
    found = page.context["found"]
    assert found.columns == NAMES and found.rows[0].cells == ["R1", "0", "13800138000", "03/04/2026 14:05", "p1", "9.9", "1"]
    assert [bool(row.problem) for row in found.rows] == [False, True, True]
    assert (
        reverse("admin:ingestion_importrun_match", args=[run.pk])
        in steward.post(page.request["PATH_INFO"], {"act": "match", "encoding": "utf-8"}).url
    )


@database
def test_a_list_of_no_objects_has_nothing_to_match(upload):
    run, page = upload(b"[[1, 2]]")
    assert page.redirect_chain[-1][0] == reverse("admin:ingestion_importrun_check", args=[run.pk])
