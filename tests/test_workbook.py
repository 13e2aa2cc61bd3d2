"""The plan as a workbook: out in either language, in as a proposal, every row told what came of it."""

import io
import re
import zipfile
from functools import cache

import pytest
from conftest import ROOT
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext, override
from openpyxl import Workbook, load_workbook

from staff.models import User
from taxonomy.definition import apply_definition, definition, draft_items
from taxonomy.diff import diff
from taxonomy.exchange.answer import answer
from taxonomy.exchange.book import UnreadableBook, escaped, open_book
from taxonomy.exchange.cells import KEPT, Words
from taxonomy.exchange.columns import LANGUAGES, SHEETS, columns_of
from taxonomy.exchange.shapes import Trouble
from taxonomy.exchange.words import BOOKS, book_text, trouble_text
from taxonomy.exchange.workbook import about, around, read_sheets, sheets_of
from taxonomy.exchange.written import KINDS, read
from taxonomy.exchange.xlsx import ENCODINGS, save_csv, save_xlsx
from taxonomy.history import record_revision
from taxonomy.models import Attribute, Category, MappingRule, Proposal, Revision, Tag, Vote
from taxonomy.problems import VALUES
from taxonomy.proposals.propose import join, propose, pull_back, submit, withdraw
from taxonomy.proposals.review import vote
from taxonomy.publish import company_day, publish
from taxonomy.starter import starter_items

DEPARTMENTS = ("marketing", "sales", "service", "product", "data", "compliance")
WORDS = Words({code: [code, code.title()] for code in DEPARTMENTS})


STARTER = starter_items()


@pytest.fixture(scope="module")
def items():
    return STARTER


def workbook_of(items, *, language="en", chosen=None):
    if items is STARTER and chosen is None:
        return whole_workbook(language)
    return made_workbook(items, language, chosen)


@cache
def whole_workbook(language):
    return made_workbook(STARTER, language, None)


def made_workbook(items, language, chosen):
    with override(language):
        return save_xlsx(sheets_of(items, items if chosen is None else chosen, WORDS), about(base="", is_selection=False, told=""), WORDS)


def come_in(content, base, name="plan.xlsx"):
    reading = read_sheets(open_book(content, name), base, WORDS)
    return reading, read(reading.written, base, departments=DEPARTMENTS, whole=reading.whole)


def changes(content, base, name="plan.xlsx"):
    """{(kind, key): entry} of what is not as it was."""
    return {(entry.kind, entry.key): entry for entry in come_in(content, base, name)[1] if entry.status != "unchanged"}


def book(**sheets):
    """A workbook made by hand: {title: rows}."""
    made = Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return saved(made)


def saved(made):
    stored = io.BytesIO()
    made.save(stored)
    return stored.getvalue()


def edited(content, edit):
    made = load_workbook(io.BytesIO(content))
    edit(made)
    return saved(made)


def find(sheet, header, text):
    """The row number in which a column of this header says so."""
    column = [cell.value for cell in sheet[1]].index(header) + 1
    return next(row for row in range(2, sheet.max_row + 1) if sheet.cell(row, column).value == text)


def put(sheet, row, header, value):
    sheet.cell(row, [cell.value for cell in sheet[1]].index(header) + 1).value = value


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_went_out_comes_in_as_it_was(items, language):
    content = workbook_of(items, language=language)
    reading, entries = come_in(content, items)
    assert {entry.status for entry in entries} == {"unchanged"} and len(entries) == len(items)
    assert reading.notes == [] and reading.whole == set(KINDS)
    assert come_in(book(tags=TAGS), items)[0].whole == set()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_csv_comes_in_as_it_was_in_each_encoding(items, encoding, language):
    with override(language):
        content = save_csv(sheets_of(items, items, WORDS), about(base="", is_selection=False, told=""), encoding=encoding)
    assert changes(content, items, "plan.zip") == {}


def test_a_plan_goes_to_another_installation_whole(items):
    fresh = come_in(workbook_of(items), {})[1]
    assert {entry.status for entry in fresh} == {"added"}
    assert {entry.item: as_text(entry.after) for entry in fresh} == {item: as_text(one) for item, one in items.items()}


def as_text(value):
    """With numbers as texts: the bound 0 comes as "0", which judges alike; and without what nobody but the starter may set."""
    if isinstance(value, dict):
        return {name: as_text(one) for name, one in value.items() if name != "system"}
    return [as_text(one) for one in value] if isinstance(value, list) else str(value)


@pytest.mark.parametrize("language", LANGUAGES)
def test_headers_of_a_sheet_differ_from_each_other(language):
    with override(language):
        for sheet in SHEETS.values():
            labels = [str(column.label) for column in sheet.columns]
            assert len(set(labels)) == len(labels)
            assert [columns_of(sheet)[label.lower().replace(" ", "_")].name for label in labels] == [
                column.name for column in sheet.columns
            ]
        titles = [str(sheet.title) for sheet in SHEETS.values()]
        assert len(set(titles)) == len(titles) and all(len(title) <= 28 for title in titles)


def test_a_workbook_helps_who_fills_it_in(items):
    made = load_workbook(io.BytesIO(workbook_of(items)))
    tags = made["Tags"]
    assert made.sheetnames[0] == "Read me" and tags.freeze_panes == "B2"
    assert made["Lists"].sheet_state == "hidden"
    lists = {str(one.sqref): one for one in tags.data_validations.dataValidation}
    assert any(one.type == "list" and one.formula1.startswith("'Lists'!") for one in lists.values())
    assert any(one.formula1 == "'Categories'!$A$2:$A$5000" for one in lists.values())
    assert any("Leave it empty" in (one.prompt or "") for one in lists.values())
    assert tags.column_dimensions["A"].width > 20
    assert all(cell.number_format == "@" for cell in tags[2] if cell.value)


@pytest.fixture(scope="module")
def strict(items):
    """The starter's plan with modes and days of all kinds."""
    tag, website, app = (next(item for item, one in items.items() if one.get("code") == code) for code in ("login", "website", "app"))
    uses = [{**use, "watch_until": "2099-06-30"} for use in items[tag]["attributes"]]
    modes = [{"source": "", "mode": "note"}, {"source": website, "mode": "set_aside"}, {"source": app, "mode": "quarantine"}]
    price = next(item for item, one in items.items() if one.get("code") == "price")
    return items | {
        tag: {**items[tag], "modes": modes, "attributes": uses, "watch_until": "2099-12-31"},
        price: {**items[price], "watch_until": "2099-01-31"},
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_how_strict_a_tag_is_goes_out_and_comes_in(items, strict, language):
    content = workbook_of(strict, language=language)
    assert changes(content, strict) == {}
    assert {key: entry.after for key, entry in changes(content, items).items()} == {
        (one["kind"], one["code"]): one for item, one in strict.items() if one != items[item]
    }
    with override(language):
        csv = save_csv(sheets_of(strict, strict, WORDS), about(base="", is_selection=False, told=""), encoding="utf-8")
    assert changes(csv, strict, "plan.zip") == {}


def test_modes_are_changed_added_and_removed_by_their_rows(strict):
    def edit(made):
        sheet = made["How strict, by source"]
        assert [[cell.value for cell in row] for row in sheet] == [
            ["tag", "source", "when an attribute breaks a rule"],
            ["login", None, "accept and note"],
            ["login", "website", "accept, set the attribute aside"],
            ["login", "app", "hold the event"],
        ]
        put(sheet, 3, "when an attribute breaks a rule", "hold the event")
        sheet.delete_rows(4)
        sheet.append(["purchase", "", "accept and note"])

    found = changes(edited(workbook_of(strict), edit), strict)
    assert set(found) == {("tag", "login"), ("tag", "purchase")}
    assert [one["mode"] for one in found["tag", "login"].after["modes"]] == ["note", "quarantine"]
    assert found["tag", "purchase"].after["modes"] == [{"source": "", "mode": "note"}]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (["login", "nowhere", "accept and note"], "written.no_such"),
        (["login", "till", "be nice"], "mode.invalid"),
        (["login", "till", ""], "written.wrong_type"),
        (["login", "website", "accept and note"], "mode.invalid"),
    ],
)
def test_a_mode_that_cannot_be_is_told(strict, row, code):
    entry = changes(edited(workbook_of(strict), lambda made: made["How strict, by source"].append(row)), strict)["tag", "login"]
    assert entry.status == "wrong" and {one.code for one in entry.troubles} == {code}


def test_a_source_that_is_not_shown_keeps_its_mode(strict):
    shown = {item: one for item, one in strict.items() if one.get("code") != "website" and one.get("source") not in {item for item, one in strict.items() if one.get("code") == "website"}}  # fmt: skip
    with override("en"):
        content = save_xlsx(sheets_of(shown, shown, WORDS), about(base="", is_selection=True, told=""), WORDS)
    assert changes(content, strict) == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_choices_stand_on_a_hidden_sheet_in_the_readers_language(items, language):
    with override(language):
        title = gettext("Lists")
    made = load_workbook(io.BytesIO(workbook_of(items, language=language)))
    assert [sheet.title for sheet in made if sheet.sheet_state == "hidden"] == [title]
    used = {one.formula1 for sheet in made for one in sheet.data_validations.dataValidation if one.formula1}
    assert any(one.startswith(f"'{title}'!") for one in used)


def test_nothing_written_is_a_formula(items):
    tag = next(item for item, one in items.items() if one.get("code") == "login")
    evil = items | {
        tag: {
            **items[tag],
            "label_en": '=HYPERLINK("http://x")',
            "description_en": "+1",
            "label_zh_hans": "@x",
            "description_zh_hans": "-1\t",
        }
    }
    made = load_workbook(io.BytesIO(workbook_of(evil)))
    assert all(cell.data_type != "f" for sheet in made for row in sheet for cell in row)
    assert changes(workbook_of(evil), evil) == {}
    csv = save_csv(sheets_of(evil, evil, WORDS), [], encoding="utf-8")
    text = zipfile.ZipFile(io.BytesIO(csv)).read("tags.csv").decode("utf-8-sig")
    assert "'=HYPERLINK" in text and ",=" not in text and '"=' not in text
    assert changes(csv, evil, "x.zip") == {}


@pytest.mark.parametrize("text", ["=1", "'=1", "''", "'", "-5", "＝1", "\tx", "plain", "it's", "@a", "\r"])
def test_what_is_escaped_in_csv_is_read_as_it_was(items, text):
    tag = next(item for item, one in items.items() if one.get("code") == "login")
    evil = items | {tag: {**items[tag], "label_en": text}}
    assert changes(save_csv(sheets_of(evil, evil, WORDS), [], encoding="utf-8"), evil, "x.zip") == {}
    assert escaped(text)[0] not in "=+-@\t\r＝＋－＠"


@pytest.mark.parametrize(
    "text", ["a\r\nb", "a\x0bb", " padded ", "_x000D_", "x" * 40_000, KEPT, "😀🏽", "1.0", "2026-01-31", "yes", "中\n文"]
)
def test_what_a_workbook_cannot_carry_stays_as_it_is(items, text):
    tag = next(item for item, one in items.items() if one.get("code") == "login")
    odd = items | {tag: {**items[tag], "description_en": text}}
    assert changes(workbook_of(odd), odd) == {}


def test_adding_changing_removing_and_renaming_in_excel(items):
    def edit(made):
        tags, uses = made["Tags"], made["Attributes of tags"]
        row = find(tags, "Code" if tags["A1"].value == "Code" else "code", "login")
        put(tags, row, "code", "sign_in")
        put(tags, row, "name in English", "Sign in")
        tags.append(["wave", "Wave", "挥手", "", "", "account", "Marketing", "draft"])
        uses.append(["wave", "brand", "yes", "longest = 9"])
        uses.append(["sign_in", "brand", "no", ""])
        refinements = made["Refinements"]
        refinements.append(["wave", "{tag}_{brand}"])
        made["Mapping rules"].append(["new one", "website", None, None, "waves", "status", "is", "x", "wave"])
        made["Rows of rules"].append(["new one", "brand", "b", "trim"])

    found = changes(edited(workbook_of(items), edit), items)
    assert {(kind, entry.status) for (kind, _key), entry in found.items()} == {("tag", "changed"), ("tag", "added"), ("rule", "added")}
    renamed = found["tag", "sign_in"]
    assert (renamed.before["code"], renamed.after["label_en"]) == ("login", "Sign in")
    brand = next(item for item, one in items.items() if one.get("code") == "brand" and one["kind"] == "attribute")
    wave = found["tag", "wave"].after
    assert wave["attributes"] == [{"attribute": brand, "required": True, "constraints": {"max_length": 9}}]
    assert (wave["owner"], wave["status"], wave["refinements"]) == ("marketing", "draft", [{"pattern": "{tag}_{brand}"}])
    rule = found["rule", "new one"].after
    assert rule["condition"] == {"path": "status", "operator": "eq", "value": "x"}
    assert rule["rows"] == [{"target": "brand", "path": "b", "transforms": "trim"}]
    assert rule["tag"] == found["tag", "wave"].item


def test_a_sheet_of_ones_own_adds_to_what_is_there(items):
    uses = [["tag", "attribute", "required"], ["login", "brand", "yes"]]
    entry = changes(book(tag_attributes=uses), items)["tag", "login"]
    assert len(entry.after["attributes"]) == len(entry.before["attributes"]) + 1
    twice = changes(book(tag_attributes=[*uses, ["login", "brand", "no"]]), items)["tag", "login"]
    assert [(one.code, one.field) for one in twice.troubles] == [("written.twice", "attributes")]


def test_parts_go_with_their_rows_and_items_only_as_removed(items):
    def edit(made):
        uses = made["Attributes of tags"]
        for row in reversed(range(2, uses.max_row + 1)):
            if uses.cell(row, 1).value == "login":
                uses.delete_rows(row)

    found = changes(edited(workbook_of(items), edit), items)
    assert set(found) == {("tag", "login")} and found["tag", "login"].after["attributes"] == []


def test_a_workbook_of_ones_own_says_only_what_it_says(items):
    content = book(
        **{"行为标签" if False else "tags": [["Name in Chinese", "remarks", "CODE"], ["登录账号", "ours", "login"], ["", "", ""]]}
    )
    reading, entries = come_in(content, items)
    assert reading.notes == [("book.columns_ignored", {"sheet": "tags", "columns": "remarks"})]
    changed = [entry for entry in entries if entry.status == "changed"]
    assert [(entry.after["label_zh_hans"], entry.after["attributes"]) for entry in changed] == [
        ("登录账号", changed[0].before["attributes"])
    ]


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("name in English", "=1+1", "cell.formula"),
        ("name in English", "#N/A", "cell.error"),
        ("code", __import__("datetime").datetime(2026, 3, 1), "cell.date"),
        ("owner", "Nobody", "written.no_such"),
        ("status", "perhaps", "written.not_a_choice"),
        ("category", "nowhere", "written.no_such"),
        ("code", "Log In", "written.code"),
        ("code", 1.0, "written.code"),
        ("code", None, "written.missing"),
        ("owner", None, "written.missing"),
        ("at least one of", '[["price"', "cell.json"),
        ("at least one of", "price", "one_of.unknown"),
        ("name in English", "x" * 130, "written.too_long"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_cell_is_told(items, header, value, code):
    content = edited(workbook_of(items), lambda made: put(made["Tags"], find(made["Tags"], "code", "login"), header, value))
    wrong = [entry for entry in come_in(content, items)[1] if entry.status == "wrong"]
    assert [entry.before["code"] for entry in wrong] == ["login"]
    assert code in {one.code for one in wrong[0].troubles}


@pytest.mark.parametrize(
    ("sheet", "row", "code"),
    [
        ("Attributes of tags", ["nowhere", "brand"], "written.no_such"),
        ("Attributes of tags", ["login", "nowhere"], "written.no_such"),
        ("Attributes of tags", ["login", "brand", "perhaps"], "cell.yes"),
        ("Attributes of tags", ["login", "brand", "yes", "biggest: 3"], "cell.lines"),
        ("Attributes of tags", ["login"], "written.missing"),
        ("Rows of rules", ["nowhere", "brand", "b"], "written.no_such"),
        ("Refinements", ["login", "{nothing}"], "refinement.invalid"),
        ("Categories", ["brand_new", "General", "x", "", "", "", "one"], "cell.number"),
        ("Tags", ["login", "Again"], "written.twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_row_is_told_in_that_row(items, sheet, row, code):
    content = edited(workbook_of(items), lambda made: made[sheet].append(row))
    reading, entries = come_in(content, items)
    out = next(one for one in answer(reading, entries, items, WORDS) if one.title == sheet)
    marked = [row for row, status in zip(out.rows, out.statuses, strict=True) if status == "wrong"]
    assert marked[-1][0] == "wrong" and marked[-1][1] and "%(" not in marked[-1][1]
    found = {one.code for entry in entries for one in entry.troubles} | {one.code for told in reading.troubles.values() for one in told}
    assert code in found


SHEET_TITLES = [str(sheet.title) for sheet in SHEETS.values()]
CODE = re.compile(r"\b(written|cell|definition|attribute|path|row|rule|mode|source|reference|refinement|transforms)\.[a-z_]+")


def wrong_rows(content, items):
    """{(sheet, first cells): reason} of the rows that are wrong; each has a reason in words, in either language."""
    reading, entries = come_in(content, items)
    found = {}
    for language in LANGUAGES:
        with override(language):
            sheets = answer(reading, entries, items, WORDS)
        for sheet in sheets:
            for row, status in zip(sheet.rows, sheet.statuses, strict=True):
                if status == "wrong":
                    why = row[1]
                    assert why.strip() and "%(" not in why and not CODE.search(why), (language, sheet.name, row)
                    assert language == "en" or re.search("[一-鿿]", why), (sheet.name, row)
                    found[sheet.name, *row[2:4]] = why
    return found


def spoil(value):
    """Each column of each sheet holds the value once in a row that is there, and once in a new one."""

    def edit(made):
        for sheet in (made[title] for title in SHEET_TITLES if made[title].max_row > 1):
            head, last = [cell.value for cell in sheet[1]], sheet.max_row
            fresh = [[cell.value for cell in sheet[2 + at % (last - 1)]] for at in range(len(head))]
            for at, row in enumerate(fresh):
                sheet.cell(2 + at * max(1, (last - 2) // len(head)), at + 1).value = value
                named = {"id": None, "code": f"new_{at}"}
                row = [named.get(name, cell) for name, cell in zip(head, row, strict=True)]
                row[at] = value
                sheet.append(row)

    return edit


@pytest.mark.parametrize("value", ["=1+1", "no such thing!", "x" * 700, None], ids=["formula", "text", "long", "empty"])
def test_whatever_is_wrong_in_whatever_column_has_its_reason_in_the_readers_language(items, value):
    told = wrong_rows(edited(workbook_of(items), spoil(value)), items)
    assert {sheet for sheet, *_row in told} >= {"tags", "tag_attributes", "attributes", "sources", "rules", "rule_rows"}


def test_what_is_written_twice_or_missing_but_used_has_its_reason_on_every_sheet(items):
    def again(made):
        for title in SHEET_TITLES:
            for row in range(2, min(made[title].max_row, 6)):
                made[title].append([cell.value for cell in made[title][row]])

    told = wrong_rows(edited(workbook_of(items), again), items)
    assert {sheet for sheet, *_row in told} == {sheet.name for sheet in SHEETS.values() if sheet.name != "modes"}

    told = wrong_rows(edited(workbook_of(items), lambda made: made["Tags"].delete_rows(2, made["Tags"].max_row)), items)
    login = [why for (sheet, tag, *_rest), why in told.items() if (sheet, tag) == ("tag_attributes", "login")]
    assert login and all("无法移除" in why for why in login)
    for title in ("Attributes", "Categories", "Sources", "Mapping rules"):
        wrong_rows(edited(workbook_of(items), lambda made, title=title: made[title].delete_rows(2, made[title].max_row // 2)), items)


def test_a_row_wrong_by_another_says_what_is_wrong_there(items):
    book_of_uses = book(tag_attributes=[["tag", "attribute", "required"], ["login", "brand", "no"], ["login", "nowhere", "no"]])
    told = wrong_rows(book_of_uses, items)
    assert "nowhere" in told["tag_attributes", "login", "brand"]


def test_choices_are_told_as_they_are_called(items):
    content = edited(workbook_of(items), lambda made: put(made["Tags"], find(made["Tags"], "code", "login"), "status", "perhaps"))
    assert "草稿 (draft)" in wrong_rows(content, items)["tags", "login", "Log in"]


def test_a_row_of_what_others_removed_meanwhile_says_so(items):
    login = next(item for item, one in items.items() if one.get("code") == "login" and one["kind"] == "tag")
    gone = {item: one for item, one in items.items() if item != login and one.get("tag") != login}
    reading, entries = come_in(workbook_of(items), gone)
    left = [entry for entry in entries if entry.item != login and (entry.before or entry.after).get("tag") != login]
    with override("en"):
        sheets = {sheet.name: sheet for sheet in answer(reading, left, gone, WORDS)}
    for name in ("tags", "tag_attributes"):
        rows = [row for row in sheets[name].rows if row[2] == "login"]
        assert rows and all(row[0] == "unchanged" and "removed meanwhile" in row[1] for row in rows)


def test_cells_beyond_the_header_are_left_aside(items):
    sheet = open_book(
        book(tags=[["code", "name in English", None, "  "], ["login", "Sign in", None, None, "more", *[None] * 300, "far"]]), "x.xlsx"
    )[0]
    assert (sheet.header, sheet.rows) == (["code", "name in English"], [(2, ["login", "Sign in"])])


def test_numbers_are_read_as_texts_where_texts_are_meant(items):
    content = book(attributes=[["code", "example", "unit"], ["price", 12.5, 1.0]])
    after = changes(content, items)["attribute", "price"].after
    assert (after["example"], after["unit"]) == ("12.5", "1")


def password_protected():
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 500


def repacked(content, **changed):
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
        for name, text in changed.items():
            new.writestr(name.replace("__", "/"), text)
    return stored.getvalue()


TAGS = [["code", "name in English"], ["a", "b"]]


def merged():
    made = load_workbook(io.BytesIO(book(tags=TAGS)))
    made["tags"].merge_cells("A2:A4")
    return saved(made)


def a_million_rows():
    """Row 1,048,576, which is an error of Excel's users often: something is at the very end."""
    rows = b"".join(b'<row r="%d"/>' % number for number in range(3, 200_010))
    content = book(tags=TAGS)
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        sheet = old.read("xl/worksheets/sheet1.xml").replace(b"</sheetData>", rows + b"</sheetData>")
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, sheet if entry.filename.endswith("sheet1.xml") else old.read(entry))
    return stored.getvalue()


def bomb():
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("[Content_Types].xml", b"\0" * (201 * 1024 * 1024))
    return stored.getvalue()


def with_entities():
    content = book(tags=TAGS)
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stored, "w") as new:
        for entry in old.infolist():
            text = old.read(entry)
            new.writestr(entry.filename, b'<!DOCTYPE x [<!ENTITY a "b">]>' + text if entry.filename == "xl/workbook.xml" else text)
    return stored.getvalue()


BAD = {
    "empty": (lambda: b"", "x.xlsx", "book.empty"),
    "zeros": (lambda: b"\0" * 100, "x.xlsx", "book.empty"),
    "a workbook without rows": (lambda: book(tags=[]), "x.xlsx", "book.empty"),
    "no xlsx": (lambda: b"%PDF-1.7 ...", "x.xlsx", "book.not_xlsx"),
    "half of one": (lambda: book(tags=TAGS)[:1500], "x.xlsx", "book.not_xlsx"),
    "another zip": (lambda: repacked(save_empty_zip(), **{"a.txt2": "x"}), "x.xlsx", "book.not_xlsx"),
    "password": (password_protected, "x.xlsx", "book.password"),
    "old Excel": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "x.xls", "book.old_excel"),
    "macros": (lambda: repacked(book(tags=TAGS), xl__vbaProject="x", **{"xl/vbaProject.bin": "x"}), "x.xlsm", "book.macros"),
    "bomb": (bomb, "x.xlsx", "book.bomb"),
    "entities": (with_entities, "x.xlsx", "book.not_xlsx"),
    "merged": (merged, "x.xlsx", "book.merged"),
    "a million rows": (a_million_rows, "x.xlsx", "book.too_long"),
    "many rows": (lambda: b"code\n" + b"a\n" * 50_001, "tags.csv", "book.too_many_rows"),
    "too large": (lambda: b"x" * (20 * 1024 * 1024 + 1), "tags.csv", "book.too_large"),
    "a cell too long": (lambda: book_with_long_cell(), "x.xlsx", "book.cell_too_long"),
    "no sheet of ours": (lambda: book(Sheet1=TAGS), "x.xlsx", "book.no_sheet"),
    "headers of another language": (lambda: book(tags=[["código", "nombre"], ["a", "b"]]), "x.xlsx", "book.header_missing"),
    "a header twice": (lambda: book(tags=[["code", "编码" if False else "Code"], ["a", "b"]]), "x.xlsx", "book.header_twice"),
    "bytes of no encoding": (lambda: b"code,name\n\xff\xff\xff,\xff", "tags.csv", "book.encoding"),
    "an image as csv": (lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "tags.csv", "book.encoding"),
}  # fmt: skip


def save_empty_zip():
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as made:
        made.writestr("readme.md", "x")
    return stored.getvalue()


def book_with_long_cell():
    content = book(tags=[["code", "name in English"], ["a", "MARK"]])
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry).replace(b"MARK", b"x" * 100_001))
    return stored.getvalue()


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_told_in_a_sentence(items, case):
    make, name, code = BAD[case]
    with pytest.raises(UnreadableBook) as error:
        read_sheets(open_book(make(), name), items, WORDS)
    assert error.value.code == code
    assert "%(" not in book_text(code, error.value.values)


def test_every_code_of_an_upload_has_its_sentence():
    from django.conf import settings

    text = "".join(
        (settings.BASE_DIR / f"taxonomy/{name}.py").read_text() for name in ("exchange/book", "exchange/workbook", "exchange_page")
    )
    assert set(re.findall(r'"(book\.[a-z_]+)"', text)) == set(BOOKS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_of_any_program_is_read(items, encoding, delimiter):
    content = f"code{delimiter}name in Chinese\r\nlogin{delimiter}登录账号\r\n".encode(encoding)
    assert changes(content, items, "Tags.csv")["tag", "login"].after["label_zh_hans"] == "登录账号"
    assert changes(b"sep=;\r\ncode;name in English\r\nlogin;A", items, "tags.csv")["tag", "login"].after["label_en"] == "A"


@pytest.fixture
def marketer(standard, client):
    person = User.objects.create_user("mia@example.com", "x", department_id="marketing", name="Mia")
    person.groups.add(Group.objects.get(name="marketer"))
    client.force_login(person)
    return person


def download(client, **query):
    return client.get(reverse("plan_export"), {"of": "draft", "language": "en", "file": "xlsx", **query})


def post(client, content, name="plan.xlsx", **more):
    return client.post(reverse("plan_exchange"), {"file": SimpleUploadedFile(name, content), **more})


def test_the_whole_way_from_a_download_to_a_proposal(marketer, client):
    tag = Tag.objects.first()

    def edit(made):
        put(made["Tags"], find(made["Tags"], "code", tag.code), "name in English", "By Excel")
        made["Attributes"].append(["brand_new", "Brand new", "全新", "", "", "text"])
        made["Attributes"].append(["Wrong One", "x", "x"])

    before = draft_items()
    page = post(client, edited(download(client).content, edit))
    assert page.status_code == 302 and draft_items() == before
    report = client.get(page.url)
    assert {status: count for status, _label, count in report.context["figures"]} == {"added": 1, "changed": 1, "unchanged": len(before) - 1, "removed": 0, "wrong": 1}  # fmt: skip
    shown = {row["status"]: row for group in report.context["groups"] for row in group["rows"]}
    assert [(line.before, line.after) for line in shown["changed"]["lines"]] == [(tag.label_en, "By Excel")] and shown["added"]["lines"]
    answer = load_workbook(io.BytesIO(client.get(f"{page.url}answer").content))
    rows = {row[2]: row[:2] for row in answer["Attributes"].iter_rows(min_row=2, values_only=True)}
    assert rows["brand_new"][0] == "added" and rows["Wrong One"][0] == "wrong" and "small letters" in rows["Wrong One"][1]
    assert next(row for row in answer["Tags"].iter_rows(min_row=2, values_only=True) if row[2] == tag.code)[0] == "changed"
    fill = next(row for row in answer["Attributes"].iter_rows(min_row=2) if row[2].value == "Wrong One")[0].fill
    assert fill.fgColor.rgb.endswith("FFC7CE")
    made = client.post(page.url, {"add": "1", "update": "1", "title": "From Excel", "why": "better"})
    proposal = Proposal.objects.get()
    assert made.url == proposal.get_absolute_url()
    assert (proposal.author, proposal.state, sorted(one.kind for one in proposal.items.all())) == (marketer, "draft", ["attribute", "tag"])
    assert client.get(page.url).status_code == 302


def test_the_answer_can_be_corrected_and_uploaded_again(marketer, client):
    used = set(MappingRule.objects.values_list("tag", flat=True))
    gone = Tag.objects.exclude(pk__in=used).exclude(pk__in=Tag.objects.exclude(successor=None).values("successor")).first()

    def edit(made):
        made["Tags"].delete_rows(find(made["Tags"], "code", gone.code))
        made["Attributes"].append(["Wrong One", "x", "x"])

    first = post(client, edited(download(client).content, edit)).url
    answered = client.get(f"{first}answer").content
    rows = list(load_workbook(io.BytesIO(answered))["Tags"].iter_rows(min_row=2, values_only=True))
    assert [row[0] for row in rows if row[2] == gone.code] == ["removed"]
    second = post(client, edited(answered, lambda made: put(made["Attributes"], made["Attributes"].max_row, "code", "right_one"))).url
    figures = {status: count for status, _label, count in client.get(second).context["figures"]}
    assert (figures["added"], figures["removed"], figures["wrong"]) == (1, 1, 0)
    assert client.get(second).context["notes"] == []


def test_adding_updating_and_removing_are_chosen_apart(marketer, client):
    rule = MappingRule.objects.filter(condition_path="").first()

    def edit(made):
        rules = made["Mapping rules"]
        rules.delete_rows(find(rules, "id", str(rule.pk)))
        made["Attributes"].append(["brand_new", "Brand new", "全新", "", "", "text"])
        put(made["Tags"], 2, "name in English", "By Excel")
        rows = made["Rows of rules"]
        for row in reversed(range(2, rows.max_row + 1)):
            if rows.cell(row, 1).value == f"{rule.source.code}: {rule.name}":
                rows.delete_rows(row)

    page = post(client, edited(download(client).content, edit)).url
    assert [(one["name"], one["checked"]) for one in client.get(page).context["choices"]] == [
        ("add", True),
        ("update", True),
        ("remove", False),
    ]
    client.post(page, {"remove": "1", "title": "t", "why": "w"})
    assert [one.kind for one in Proposal.objects.get().items.all()] == ["rule"]
    assert not Attribute.objects.filter(code="brand_new").exists()


def test_the_title_is_offered_from_the_files_name_and_the_day(marketer, client):
    page = client.get(post(client, book(attributes=[["code", "name in English"], ["price", "Cost"]]), "autumn plan.xlsx").url)
    told = date_format(company_day(), "DATE_FORMAT")
    assert f'value="autumn plan, {told}"' in page.content.decode()
    long = client.get(post(client, book(attributes=[["code", "name in English"], ["price", "Cost"]]), f"{'x' * 200}.xlsx").url)
    assert len(long.context["form"]["title"].value()) <= 160


def test_nothing_chosen_and_no_reason_are_told(marketer, client):
    page = post(client, book(attributes=[["code", "name in English", "name in Chinese"], ["brand_new", "a", "b"]])).url
    assert client.post(page, {"title": "t", "why": "w"}).status_code == 200
    assert client.post(page, {"add": "1", "title": "t", "why": ""}).status_code == 200
    assert not Proposal.objects.exists()


def test_a_choice_that_does_not_hold_together_is_refused_with_the_reason(marketer, client):
    tag = Tag.objects.first()
    content = book(
        attributes=[["code", "name in English", "name in Chinese"], ["brand_new", "a", "b"]],
        tag_attributes=[["tag", "attribute"], [tag.code, "brand_new"]],
    )
    page = post(client, content).url
    answer = client.post(page, {"update": "1", "title": "t", "why": "w"})
    assert "does not hold together" in answer.content.decode() and not Proposal.objects.exists()
    assert client.post(page, {"update": "1", "add": "1", "title": "t", "why": "w"}).status_code == 302


def test_codes_that_change_places_are_refused_in_words(marketer, client):
    one, two = Attribute.objects.all()[:2]
    content = book(attributes=[["id", "code"], [str(one.pk), two.code], [str(two.pk), one.code]])
    page = post(client, content).url
    answer = client.post(page, {"update": "1", "title": "t", "why": "w"})
    assert answer.status_code == 200 and "does not hold together" in answer.content.decode()


def test_what_others_changed_since_the_download_stays(marketer, client):
    tag = Tag.objects.first()
    content = edited(
        download(client).content, lambda made: put(made["Tags"], find(made["Tags"], "code", tag.code), "name in English", "Mine")
    )
    from taxonomy.history import record_revision

    record_revision(tag, by=None, action=Revision.Action.CREATED)
    content = edited(
        download(client).content, lambda made: put(made["Tags"], find(made["Tags"], "code", tag.code), "name in English", "Mine")
    )
    tag.label_zh_hans = "别人改的"
    tag.save()
    record_revision(tag, by=None, action=Revision.Action.CHANGED)
    other = Attribute.objects.create(code="made_meanwhile", label_en="x", label_zh_hans="x")
    record_revision(other, by=None, action=Revision.Action.CREATED)
    page = post(client, content).url
    figures = {status: count for status, _label, count in client.get(page).context["figures"]}
    assert (figures["changed"], figures["removed"]) == (1, 0)
    client.post(page, {"update": "1", "title": "t", "why": "w"})
    tag.refresh_from_db()
    assert (tag.label_en, tag.label_zh_hans) == ("Mine", "别人改的")


def test_a_selection_holds_what_it_stands_on_and_removes_nothing(marketer, client):
    tag = Tag.objects.filter(rules__isnull=False, uses__isnull=False).first()
    answer = client.post(reverse("admin:taxonomy_tag_changelist"), {"action": "download_workbook", "_selected_action": [str(tag.pk)]})
    made = load_workbook(io.BytesIO(answer.content))
    assert [row[0] for row in made["Tags"].iter_rows(min_row=2, values_only=True)] == [tag.code]
    assert {row[0] for row in made["Attributes"].iter_rows(min_row=2, values_only=True)} == {use.attribute.code for use in tag.uses.all()}
    assert made["Mapping rules"].max_row > 1 and made["Sources"].max_row > 1
    page = client.get(post(client, answer.content, everything="1").url)
    assert {status for status, _label, count in page.context["figures"] if count} == {"unchanged"}
    assert page.context["is_selection"]


def test_tags_under_review_can_be_downloaded(marketer, client):
    from taxonomy.proposals.propose import propose, submit

    tag = Tag.objects.first()
    Tag.objects.filter(pk=tag.pk).update(label_en="x")
    submit(propose([str(tag.pk)], title="t", why="w", by=marketer), by=marketer)
    answer = client.post(reverse("admin:taxonomy_tag_changelist"), {"action": "download_workbook", "_selected_action": [str(tag.pk)]})
    assert answer.status_code == 200 and answer.content.startswith(b"PK")


def test_a_selection_of_what_is_not_there_is_empty(items):
    assert around(items, ["11111111-1111-4111-8111-111111111111"]) == {}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("file", ["xlsx", *ENCODINGS])
def test_every_download_comes_back_unchanged(marketer, client, language, file):
    answer = download(client, language=language, file=file, of="release")
    assert answer["Content-Disposition"].startswith("attachment")
    page = post(client, answer.content, "plan.xlsx" if file == "xlsx" else "plan.zip")
    assert {status for status, _label, count in client.get(page.url).context["figures"] if count} == {"unchanged"}


@pytest.mark.parametrize("case", ["password", "empty", "macros", "no sheet of ours"])
def test_a_bad_upload_is_told_on_the_page(marketer, client, case):
    make, name, _code = BAD[case]
    answer = post(client, make(), name)
    assert answer.status_code == 200 and 'role="alert"' in answer.content.decode()


def test_who_may_what(standard, client):
    reader = User.objects.create_user("pat@example.com", "x", department_id="product")
    reader.groups.add(Group.objects.get(name="product_manager"))
    outsider = User.objects.create_user("out@example.com", "x", department_id="sales")
    assert client.get(reverse("plan_exchange")).status_code == 302
    client.force_login(outsider)
    assert [client.get(reverse("plan_exchange")).status_code, download(client).status_code] == [403, 403]
    client.force_login(reader)
    assert [client.get(reverse("plan_exchange")).status_code, download(client).status_code] == [200, 200]
    assert post(client, book(tags=TAGS)).status_code == 403


def test_an_upload_is_its_owners_alone_and_for_a_day(marketer, client, settings, tmp_path):
    import os

    settings.UPLOAD_DIR = tmp_path
    page = post(client, book(attributes=[["code", "name in English", "name in Chinese"], ["brand_new", "a", "b"]])).url
    stored = next(tmp_path.rglob("*.zst"))
    other = User.objects.create_user("max@example.com", "x", department_id="marketing")
    other.groups.add(Group.objects.get(name="marketer"))
    client.force_login(other)
    assert client.get(page).status_code == 302 and client.get(f"{page}answer").status_code == 404
    client.force_login(marketer)
    assert client.get(page).status_code == 200
    os.utime(stored, (0, 0))
    assert client.get(page).status_code == 302
    post(client, book(attributes=[["code"], ["price"]]))
    assert not stored.exists()


def test_uploads_of_one_person_do_not_pile_up(marketer, client, settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path
    for _ in range(23):
        post(client, book(attributes=[["code"], ["price"]]))
    assert len(list(tmp_path.rglob("*.zst"))) == 20


def renamed(item, *, by, title="First", name="x"):
    """A proposal that gives an item another name."""
    type(item).objects.filter(pk=item.pk).update(label_en=name)
    return propose([str(item.pk)], title=title, why="w", by=by)


def test_an_item_in_another_proposal_is_told_and_left_to_it(marketer, client):
    tag = Tag.objects.first()
    renamed(tag, by=User.objects.create_superuser("max@example.com", "x", name="Max"))
    page = post(client, book(tags=[["code", "name in English"], [tag.code, "y"]])).url
    answer = client.get(page).content.decode()
    assert "“First” by Max holds it already" in answer


HEADER = ["code", "name in English", "name in Chinese", "description in English"]
THREE = [[f"brand_new_{at}", f"Brand new {at}", f"全新{at}", "What it is"] for at in range(3)]


def figures_of(client, page):
    return {status: count for status, _label, count in client.get(page).context["figures"] if count}


def words_of(client, page):
    """What the form of an upload posts as it stands, as a browser sends it."""
    shown = client.get(page).context
    words = {name: shown["form"][name].value() or "" for name in ("title", "why")}
    hidden = {"taker": shown["taker"].pk} | {f"offered_{name}": text for name, text in shown["offered"].items()} if shown["taker"] else {}
    return {name: str(text).replace("\n", "\r\n") for name, text in (words | hidden).items()}


def test_a_row_that_is_mended_after_changes_were_asked_for_goes_into_the_same_proposal(marketer, client):
    first = post(client, book(attributes=[HEADER, *THREE])).url
    client.post(first, {"add": "1", "title": "Brands", "why": "w"})
    proposal = Proposal.objects.get()
    steward = User.objects.create_superuser("dan@example.com", "x", department_id="data")
    submit(proposal, by=marketer)
    mended = book(
        attributes=[HEADER, THREE[0], ["brand_new_1", "Mended", *THREE[1][2:]], THREE[2], ["brand_new_3", "Late", "晚", "What it is"]]
    )
    page = post(client, mended).url
    assert figures_of(client, page) == {"added": 1, "unchanged": 2, "wrong": 1}
    assert "your own proposal “Brands”, which is under review" in client.get(page).content.decode()

    vote(proposal, by=steward, choice=Vote.Choice.CHANGES, comment="mend the second")
    assert figures_of(client, page) == {"added": 1, "changed": 1, "unchanged": 2}
    assert client.get(page).context["form"]["title"].value() == "Brands"
    made = client.post(page, words_of(client, page) | {"add": "1", "update": "1", "title": "Brands", "why": "mended as asked"})
    assert made.url == Proposal.objects.get().get_absolute_url() == proposal.get_absolute_url()
    submit(proposal, by=marketer)
    proposal.refresh_from_db()
    assert proposal.why == "mended as asked"
    assert {row.after["code"]: row.after["label_en"] for row in proposal.items.all()} == {
        "brand_new_0": "Brand new 0", "brand_new_1": "Mended", "brand_new_2": "Brand new 2", "brand_new_3": "Late",
    }  # fmt: skip


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("goes", [False, True])
def test_what_was_brought_in_oneself_is_taken_back_by_bringing_in_what_was_before(marketer, client, goes, is_shared):
    tag = Tag.objects.create(code="gift_wrapped", label_en="Gift", label_zh_hans="礼", category=Category.objects.first(), owner_id="data")
    record_revision(tag, by=None, action=Revision.Action.CREATED)
    publish(notes="n", by=None)
    was, content = definition(tag), download(client).content
    row = find(load_workbook(io.BytesIO(content))["Tags"], "code", tag.code)
    changed = edited(content, lambda made: made["Tags"].delete_rows(row) if goes else put(made["Tags"], row, "name in English", "Mine"))
    chosen = {"add": "1", "update": "1", "remove": "1"}
    client.post(post(client, changed).url, {"title": "First", "why": "w"} | chosen)
    proposal = Proposal.objects.get()
    submit(proposal, by=marketer)
    dan = User.objects.create_superuser("dan@example.com", "x", department_id="data")
    vote(proposal, by=dan, choice=Vote.Choice.CHANGES, comment="as it was, please")
    if is_shared:
        apply_definition(tag.pk, was | {"label_en": "Mine", "label_zh_hans": "别人改的"})
        record_revision(Tag.objects.get(pk=tag.pk), by=dan, action=Revision.Action.CHANGED)
    page = post(client, content).url
    client.post(page, words_of(client, page) | chosen)
    stands = definition(Tag.objects.get(pk=tag.pk))
    assert stands == was if not is_shared else stands["label_zh_hans"] == "别人改的"


@pytest.mark.parametrize("is_hers", [False, True])
def test_what_a_colleague_saved_while_a_report_was_read_is_shown_before_it_is_written_over(marketer, client, is_hers):
    one, two = Attribute.objects.all()[:2]
    page = post(client, book(attributes=[["code", "name in English"], [one.code, "By file"], [two.code, "By file"]])).url
    shown = words_of(client, page) | {"mark": client.get(page).context["mark"], "update": "1", "why": "w"}
    assert f'name="mark" value="{shown["mark"]}"' in client.get(page).content.decode()
    saver = marketer if is_hers else User.objects.create_superuser("dan@example.com", "x")
    record_revision(apply_definition(two.pk, definition(two) | {"label_en": "Saved"}), by=saver, action=Revision.Action.CHANGED)
    answer = client.post(page, shown)
    if is_hers:
        assert answer.status_code == 302
        return
    assert answer.status_code == 200 and not Proposal.objects.exists()
    assert f"({two.code}) changed meanwhile" in answer.content.decode() and f"({one.code}) changed" not in answer.content.decode()
    client.post(page, shown | {"mark": answer.context["mark"]})
    assert definition(Attribute.objects.get(pk=two.pk))["label_en"] == "By file"


def test_rows_of_two_proposals_of_ones_own_are_told_apart(marketer, client):
    one, two = Attribute.objects.all()[:2]
    own = [renamed(item, by=marketer, title=item.code.title()) for item in (one, two)]
    content = book(attributes=[["code", "name in English"], [one.code, "y"], [two.code, "y"]])
    page = post(client, content).url
    assert figures_of(client, page) == {"wrong": 2}
    answer = client.get(page).content.decode()
    assert all(f"your own proposal “{proposal.title}”" in answer for proposal in own)
    withdraw(own[0], by=marketer)
    client.post(page, words_of(client, page) | {"update": "1"})
    assert own[1].items.count() == 2


def test_a_co_author_adds_to_the_proposal_and_what_others_hold_is_left_out(marketer, client):
    one, two, third = Attribute.objects.all()[:3]
    root = User.objects.create_superuser("max@example.com", "x", name="Max")
    shared, other = renamed(one, by=root), renamed(two, by=root, title="Other")
    join(shared, by=marketer)
    content = book(attributes=[["code", "name in English"], *([item.code, "y"] for item in (one, two, third))])
    page = post(client, content).url
    assert figures_of(client, page) == {"changed": 2, "wrong": 1}
    client.post(page, words_of(client, page) | {"update": "1"})
    assert {row.item for row in shared.items.all()} == {one.pk, third.pk} and other.items.count() == 1


def test_html_in_a_workbook_is_text_on_the_page(marketer, client):
    page = post(
        client, book(attributes=[["code", "name in English", "name in Chinese"], ["brand_new", "<script>alert(1)</script>", "b"]])
    ).url
    assert "<script>alert(1)" not in client.get(page).content.decode()


def test_choices_and_departments_stand_in_the_readers_language_and_are_read_again(items):
    said = Words({code: [code, code.title(), f"{code}部"] for code in DEPARTMENTS})
    with override("zh-hans"):
        written_sheets = sheets_of(items, items, said)
        content = save_xlsx(written_sheets, about(base="", is_selection=False, told=""), said)
    for sheet in written_sheets:
        for at, column in enumerate(sheet.columns):
            if column.form in ("choice", "owner"):
                codes = DEPARTMENTS if column.form == "owner" else column.of.values
                assert not {row[at] for row in sheet.rows} & {code for code in codes if code}, (sheet.name, column.name)
    reading = read_sheets(open_book(content, "plan.xlsx"), items, said)
    entries = read(reading.written, items, departments=DEPARTMENTS, whole=reading.whole)
    assert {entry.status for entry in entries} == {"unchanged"}


def test_two_departments_of_one_name_are_written_by_their_codes():
    said = Words({"a": ["a", "Sales", "销售部"], "b": ["b", "Sales", "销售部"]})
    owner = SHEETS["tags"].column("owner")
    assert said.label(owner, "a") == "a" and said.value(owner, said.label(owner, "b")) == "b"


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Trouble("definition.bound", "constraints", {"expected": {"type": "integer"}}), ["应为", "整数"]),
        (Trouble("definition.constraint_unknown", "constraints", {"expected": ["minimum", "max_length"]}), ["应为", "最小值", "最长"]),
        (Trouble("reference.missing", "category", {"kind": "category", "target": "x"}), ["类型", "分类"]),
        (Trouble("written.not_a_choice", "status", {"seen": "x", "choices": ["draft", "active"]}), ["草稿 (draft)", "启用 (active)"]),
    ],
    ids=lambda one: one.code if isinstance(one, Trouble) else "",
)
def test_what_is_wrong_is_said_in_the_readers_language(trouble, words):
    with override("zh-hans"):
        said = trouble_text(trouble, {})
    assert all(word in said for word in words), said
    assert not re.search(r"\b(expected|kind|integer|minimum|max_length)\b", said), said


def test_every_value_of_a_problem_has_a_name_in_words():
    source = (ROOT / "taxonomy/standardize/check.py").read_text()
    names = {name for told in re.findall(r"Problem\((.*)\)|values = (\{.*\})", source) for name in re.findall(r'"(\w+)":', "".join(told))}
    assert names and names <= VALUES.keys()


def test_a_change_is_told_with_choices_and_conditions_in_words(items):
    rule = next(one for one in items.values() if one["kind"] == "rule")
    with override("zh-hans"):
        [line] = diff({"kind": "tag", "status": "active"}, {"kind": "tag", "status": "deprecated"}, {})
        assert (line.before, line.after) == ("启用", "已弃用")
        [line] = diff(rule | {"condition": None}, rule | {"condition": {"path": "state", "operator": "eq", "value": "paid"}}, items)
        assert "eq" not in line.after.split() and line.after.startswith("state ")


@pytest.fixture
def shared(marketer):
    """Mia's proposal of an attribute, in two lines, which is signed."""
    proposal = renamed(Attribute.objects.first(), by=marketer)
    Proposal.objects.filter(pk=proposal.pk).update(why="one\ntwo")
    submit(proposal, by=marketer)
    vote(proposal, by=User.objects.create_superuser("dan@example.com", "x", department_id="data"), choice=Vote.Choice.APPROVE)
    pull_back(proposal, by=marketer)
    proposal.refresh_from_db()
    return proposal


def two_rows():
    one, two = Attribute.objects.all()[:2]
    return book(attributes=[["code", "name in English"], [one.code, "y"], [two.code, "y"], ["brand_new", "New"]])


def test_words_that_were_not_said_otherwise_stay_and_so_do_approvals(marketer, client, shared):
    page = post(client, two_rows()).url
    posted = words_of(client, page) | {"update": "1"}
    Proposal.objects.filter(pk=shared.pk).update(title="Meanwhile")
    client.post(page, posted)
    shared.refresh_from_db()
    assert (shared.title, shared.why, shared.items.count()) == ("Meanwhile", "one\ntwo", 2)
    assert shared.votes.filter(stands=True).exists()
    page = post(client, book(attributes=[["code", "name in English"], [Attribute.objects.first().code, "z"]])).url
    client.post(page, words_of(client, page) | {"update": "1", "why": "mended"})
    shared.refresh_from_db()
    assert (shared.title, shared.why) == ("Meanwhile", "mended") and not shared.votes.filter(stands=True).exists()


def test_an_upload_that_another_proposal_would_take_now_is_shown_again(marketer, client, shared):
    page = post(client, two_rows()).url
    posted = words_of(client, page) | {"update": "1", "why": "Typed by hand"}
    withdraw(shared, by=marketer)
    other = renamed(Attribute.objects.all()[1], by=marketer, title="Other", name="o")
    again = client.post(page, posted)
    assert "Another proposal would take it now" in again.content.decode()
    form, offered = again.context["form"], again.context["offered"]
    assert (form["title"].value(), form["why"].value(), offered["why"]) == ("Other", "Typed by hand", other.why)
    other.refresh_from_db()
    assert (other.title, other.items.count(), Proposal.objects.count()) == ("Other", 1, 2)


def test_what_is_chosen_goes_into_the_proposal_that_the_page_names_even_if_that_holds_none_of_it(marketer, client, shared):
    page = post(client, two_rows()).url
    assert client.get(page).context["taker"] == shared
    assert client.post(page, words_of(client, page) | {"add": "1"}).url == shared.get_absolute_url()
    assert Proposal.objects.count() == 1 and shared.items.count() == 2
