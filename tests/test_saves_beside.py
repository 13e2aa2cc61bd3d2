"""Two people save one tag or rule: rows that one of them removed, added or wrote anew stand in nobody's way."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from test_taxonomy_admin import form_of

from staff.models import User
from taxonomy.admin.beside import _with_ids
from taxonomy.admin.items import EachSourceOnce
from taxonomy.definition import INLINES, apply_definition, definition
from taxonomy.history import record_revision
from taxonomy.models import Attribute, Grant, MappingRow, MappingRule, Refinement, Revision, Source, Tag, TagAttribute, TagMode
from taxonomy.proposals.merge import ROW_KEYS
from taxonomy.proposals.refused import TAKEN

pytestmark = pytest.mark.django_db
# kind: (its inline, another field of the item, what is posted of a row, what that says in a definition)
ROWS = {
    "tag": ("uses", "description_en", "required", "on", True),
    "rule": ("rows", "note", "transforms", "trim", "trim"),
}


@pytest.fixture
def anna(standard, client):
    client.force_login(User.objects.create_superuser("anna@example.com", "x", name="Anna"))
    return client


@pytest.fixture(params=["tag", "rule"])
def item(request, standard):
    """Something with three rows."""
    if request.param == "tag":
        return saved(Tag.objects.get(code="purchase"))
    rule = MappingRule.objects.create(
        source=Source.objects.get(code="website"), tag=Tag.objects.get(code="purchase"), name="bought", position=70
    )
    for at, target in enumerate(("order_id", "price", "quantity")):
        MappingRow.objects.create(rule=rule, target=target, path=f"line.{target}", position=at)
    return saved(rule)


def saved(item, **fields):
    """As Bob saves it; afterwards nothing of it is what a form remembers."""
    if fields:
        item = apply_definition(item.pk, definition(item) | fields)
    record_revision(item, by=User.objects.get_or_create(email="bob@example.com")[0], action=Revision.Action.CHANGED)
    return item


def url_of(item, page="change"):
    return reverse(f"admin:taxonomy_{item._meta.model_name}_{page}", args=[item.pk])


def stands(item):
    return definition(type(item).objects.get(pk=item.pk))


def inline(item):
    """(the field of a definition, the key of its rows, its rows)"""
    field = "attributes" if item.kind == "tag" else "rows"
    return field, ROW_KEYS[field], stands(item)[field]


def without_row(item, at):
    field, _key, rows = inline(item)
    return {field: [row for number, row in enumerate(rows) if number != at]}


def test_a_row_that_one_removed_stays_removed_when_another_changed_the_description(anna, item):
    form = form_of(anna.get(url_of(item)))
    _prefix, described, *_row = ROWS[item.kind]
    field, _key, rows = inline(item)
    saved(item, **without_row(item, 1))
    answer = anna.post(url_of(item), form | {described: "By Anna"}, follow=True)
    assert "Saved together" in str([str(one) for one in answer.context["messages"]])
    assert (stands(item)[described], stands(item)[field]) == ("By Anna", [rows[0], *rows[2:]])


def test_rows_that_one_wrote_anew_are_merged_with_a_row_that_another_changed(anna, item):
    form = form_of(anna.get(url_of(item)))
    prefix, _described, name, posted, said = ROWS[item.kind]
    field, _key, rows = inline(item)
    changed = [dict(row) for row in reversed(rows)]
    saved(item, **{field: changed})
    assert anna.post(url_of(item), form | {f"{prefix}-1-{name}": posted}).status_code == 302
    assert stands(item)[field] == [row | ({name: said} if row == rows[1] else {}) for row in changed]


def test_a_row_that_one_removed_and_added_again_is_the_row_that_another_changed(anna, item):
    form = form_of(anna.get(url_of(item)))
    prefix, described, name, posted, said = ROWS[item.kind]
    field, _key, rows = inline(item)
    saved(item, **without_row(item, 1))
    saved(item, **{field: rows, described: "By Bob"})
    assert form[f"{prefix}-1-id"] not in INLINES[item.kind][field].objects.values_list("pk", flat=True)
    assert anna.post(url_of(item), form | {f"{prefix}-1-{name}": posted}).status_code == 302
    assert stands(item)[field] == [rows[0], rows[1] | {name: said}, *rows[2:]]
    saved(item, **without_row(item, 1))
    saved(item, **{field: rows})
    assert anna.post(url_of(item), form | {f"{prefix}-1-DELETE": "on"}).status_code == 302
    assert stands(item)[field] == [rows[0], *rows[2:]], "what she removed is the new row too"


@pytest.mark.parametrize("choice", ["hers", "his"])
def test_a_row_that_one_removed_and_another_changed_is_shown_in_both_versions(anna, item, choice):
    form = form_of(anna.get(url_of(item)))
    prefix, _described, name, posted, said = ROWS[item.kind]
    field, key, rows = inline(item)
    saved(item, **without_row(item, 1))
    asked = anna.post(url_of(item), form | {f"{prefix}-1-{name}": posted})
    assert [one["place"] for one in asked.context["conflicts"]] == [f"{field}.{rows[1][key]}"]
    assert asked.context["conflicts"][0]["theirs"] == "" and asked.context["conflicts"][0]["mine"]
    chosen = asked.context["conflicts"][0]["place"] if choice == "hers" else ""
    assert anna.post(url_of(item, "resolve"), {"mine": asked.context["mine"], "choice-1": chosen}).status_code == 302
    found = {row[key]: row for row in stands(item)[field]}
    assert found.get(rows[1][key]) == (rows[1] | {name: said} if choice == "hers" else None)
    assert len(found) == len(rows) - (choice == "his")


def test_what_both_removed_is_gone_and_what_both_added_is_one_row(anna, item):
    form = form_of(anna.get(url_of(item)))
    prefix, _described, name, posted, said = ROWS[item.kind]
    field, key, rows = inline(item)
    added = {
        "tag": lambda: {"attribute": str(Attribute.objects.get(code="rating").pk), "required": False, "constraints": {}},
        "rule": lambda: {"target": "category", "path": "kind", "transforms": ""},
    }[item.kind]()
    saved(item, **{field: [row for row in rows if row != rows[1]] + [added]})
    last = int(form[f"{prefix}-TOTAL_FORMS"])
    hers = {f"{prefix}-{last}-{key}": added[key], f"{prefix}-{last}-position": "0", f"{prefix}-{last}-{name}": posted}
    hers |= {f"{prefix}-{last}-path": "kind"} if item.kind == "rule" else {}
    asked = anna.post(url_of(item), form | hers | {f"{prefix}-1-DELETE": "on", f"{prefix}-TOTAL_FORMS": str(last + 1)})
    assert [one["place"] for one in asked.context["conflicts"]] == [f"{field}.{added[key]}"]
    anna.post(url_of(item, "resolve"), {"mine": asked.context["mine"], "choice-1": asked.context["conflicts"][0]["place"]})
    assert [row for row in stands(item)[field] if row[key] in (added[key], rows[1][key])] == [added | {name: said}]


def test_a_form_with_a_mistake_shows_its_rows_as_they_stand_and_is_saved_once_mended(anna, item):
    form = form_of(anna.get(url_of(item)))
    prefix, _described, name, posted, said = ROWS[item.kind]
    field, _key, rows = inline(item)
    saved(item, **without_row(item, 0))
    mistake = {"code": "Not A Code"} if item.kind == "tag" else {"match": "nonsense"}
    again = anna.post(url_of(item), form | mistake | {f"{prefix}-1-{name}": posted})
    assert again.status_code == 200 and not any(one.formset.total_error_count() for one in again.context["inline_admin_formsets"])
    mended = form_of(again) | {name: form[name] for name in mistake}
    assert anna.post(url_of(item), mended).status_code == 302
    assert stands(item)[field] == [rows[1] | {name: said}, *rows[2:]]


def test_what_is_written_to_the_draft_keeps_the_ids_of_its_rows(standard):
    tag, sources = Tag.objects.get(code="purchase"), [str(one.pk) for one in Source.objects.all()[:3]]
    Refinement.objects.create(tag=tag, pattern="{tag}_at_{category}", position=8)
    wanted = definition(tag) | {"modes": [{"source": one, "mode": "note"} for one in ("", *sources[:2])]}
    apply_definition(tag.pk, wanted)

    def ids():
        return [dict(model.objects.filter(tag=tag).values_list(key, "pk")) for model, key in
                ((TagAttribute, "attribute"), (Refinement, "pattern"), (TagMode, "source"))]  # fmt: skip

    before = ids()
    backwards = wanted | {name: list(reversed(wanted[name])) for name in ("attributes", "refinements")}
    backwards["modes"] = [
        *({"source": one["source"], "mode": "set_aside"} for one in wanted["modes"]),
        {"source": sources[2], "mode": "note"},
    ]
    apply_definition(tag.pk, backwards)
    assert definition(tag) == backwards
    assert [{key: after[key] for key in was} for was, after in zip(before, ids(), strict=True)] == before
    apply_definition(tag.pk, wanted | {"modes": list(reversed(wanted["modes"])), "refinements": []})
    assert definition(tag) == wanted | {"modes": list(reversed(wanted["modes"])), "refinements": []}


@pytest.mark.parametrize("source", ["", "website"])
def test_how_strict_a_tag_is_merges_too(anna, source):
    tag, source = Tag.objects.get(code="purchase"), str(Source.objects.get(code=source).pk) if source else ""
    other = str(Source.objects.get(code="till").pk)
    saved(tag, modes=[{"source": source, "mode": "set_aside"}, {"source": other, "mode": "note"}])
    form = form_of(anna.get(url_of(tag)))
    saved(tag, modes=[{"source": other, "mode": "note"}])
    asked = anna.post(url_of(tag), form | {"modes-0-mode": "note"})
    assert [one["place"] for one in asked.context["conflicts"]] == [f"modes.{source}"]
    assert anna.post(url_of(tag), form | {"label_en": "By Anna"}).status_code == 302
    assert stands(tag)["modes"] == [{"source": other, "mode": "note"}]


def test_a_row_that_says_how_strict_every_source_is_taken_is_saved_as_it_comes(anna):
    tag = Tag.objects.get(code="purchase")
    form = form_of(anna.get(url_of(tag)))
    assert anna.post(url_of(tag), form | {"modes-TOTAL_FORMS": "1", "modes-0-source": "", "modes-0-mode": "note"}).status_code == 302
    assert stands(tag)["modes"] == [{"source": "", "mode": "note"}]


ROWS_OF_MODES = {
    "both empty": ({"0-source": "", "1-source": ""}, 1),
    "both of one source": ({"0-source": "till", "1-source": "till"}, 1),
    "one of them deleted": ({"0-source": "", "1-source": "", "1-DELETE": "on"}, 0),
}


def with_modes(form, rows):
    till = str(Source.objects.get(code="till").pk)
    posted = {f"modes-{name}": till if value == "till" else value for name, value in rows.items()}
    return form | {"modes-TOTAL_FORMS": "2", "modes-0-mode": "note", "modes-1-mode": "note"} | posted


@pytest.mark.parametrize("case", ROWS_OF_MODES)
def test_two_rows_of_one_source_are_told_at_the_second(anna, case):
    tag, (rows, errors) = Tag.objects.get(code="purchase"), ROWS_OF_MODES[case]
    answer = anna.post(url_of(tag), with_modes(form_of(anna.get(url_of(tag))), rows))
    if not errors:
        assert answer.status_code == 302 and stands(tag)["modes"] == [{"source": "", "mode": "note"}]
        return
    [formset] = [one.formset for one in answer.context["inline_admin_formsets"] if one.formset.model is TagMode]
    assert [list(form.errors) for form in formset.forms] == [[], ["source"]]
    assert "that is one row too" in answer.content.decode() and "modes" not in stands(tag)


def test_what_only_the_database_refuses_is_told_on_the_form(anna, monkeypatch):
    tag = Tag.objects.get(code="purchase")
    monkeypatch.setattr(EachSourceOnce, "clean", lambda formset: None)
    answer = anna.post(url_of(tag), with_modes(form_of(anna.get(url_of(tag))), ROWS_OF_MODES["both empty"][0]))
    assert answer.status_code == 200 and str(TAKEN) in answer.context["adminform"].form.non_field_errors()
    assert "modes" not in stands(tag)


@pytest.mark.parametrize("names_it", [False, True])
@pytest.mark.parametrize("is_beside", [False, True])
def test_how_strict_a_source_is_taken_stays_where_who_saves_may_not_read_it(anna, is_beside, names_it):
    tag, till = Tag.objects.get(code="purchase"), Source.objects.get(code="till")
    Source.objects.filter(pk=till.pk).update(owner="service")
    Grant.objects.create(sources_of_id="service", department_id="service", may="read")
    saved(tag, modes=[{"source": str(till.pk), "mode": "note"}])
    mia = User.objects.create_user("mia@example.com", department_id="marketing")
    mia.groups.add(Group.objects.get(name="marketer"))
    anna.force_login(mia)
    form = form_of(anna.get(url_of(tag))) | {"label_en": "By Mia"}
    if is_beside:
        saved(tag, description_en="By Bob")
    if names_it:
        named = {"TOTAL_FORMS": "1", "INITIAL_FORMS": "1", "0-id": TagMode.objects.get().pk, "0-source": till.pk, "0-mode": "set_aside"}
        form |= {f"modes-{name}": str(value) for name, value in named.items()}
    answer = anna.post(url_of(tag), form)
    assert (answer.status_code, stands(tag)["label_en"]) == ((200, tag.label_en) if names_it else (302, "By Mia"))
    assert stands(tag)["modes"] == [{"source": str(till.pk), "mode": "note"}]
    if names_it and is_beside:
        [formset] = [one.formset for one in answer.context["inline_admin_formsets"] if one.formset.model is TagMode]
        assert [list(one.errors) for one in formset.forms] == [["source"]], "a row that is new to her"


def test_a_row_whose_id_another_gave_to_another_row_is_the_row_of_its_key(anna, item):
    form = form_of(anna.get(url_of(item)))
    prefix, described, name, posted, said = ROWS[item.kind]
    field, key, rows = inline(item)
    code = "category" if item.kind == "rule" else "rating"
    other = code if item.kind == "rule" else str(Attribute.objects.get(code=code).pk)
    model = INLINES[item.kind][field]
    column = "attribute_id" if item.kind == "tag" else key
    model.objects.filter(pk=form[f"{prefix}-1-id"]).update(**{column: other})
    model.objects.create(**{item.kind: item, column: rows[1][key], "position": 9, **({"path": rows[1]["path"]} if item.kind == "rule" else {"required": rows[1]["required"]})})  # fmt: skip
    saved(item)
    answer = anna.post(url_of(item), form | {described: "By Anna", f"{prefix}-1-{name}": posted}, follow=True)
    assert "Saved together" in str([str(one) for one in answer.context["messages"]])
    stood = {row[key]: row for row in stands(item)[field]}
    assert stands(item)[described] == "By Anna"
    assert stood.keys() == {row[key] for row in rows} | {other} and stood[rows[1][key]][name] == said


def test_ids_of_rows_follow_their_keys():
    def row(pk, key, **more):
        return {"id": [pk], "key": [key]} | more

    def ids(rows, stand):
        return [(one["id"][-1], one["key"][-1]) for one in _with_ids(rows, "key", stand)]

    assert ids([row("1", "price")], {"amount": "1", "price": "2"}) == [("2", "price")]
    assert ids([row("1", "cost")], {"price": "1"}) == [("1", "cost")], "renamed in the form"
    assert ids([row("1", "cost"), row("", "price")], {"price": "1"}) == [("1", "price"), ("", "cost")]
    assert ids([row("1", "b"), row("2", "a")], {"a": "1", "b": "2"}) == [("2", "b"), ("1", "a")]
    assert ids([row("1", "a", DELETE=["on"]), row("", "a")], {"a": "1"}) == [("1", "a")], "removed and added again"
    assert ids([row("9", "gone", DELETE=["on"]), row("9", "new")], {}) == [("", "new")]
