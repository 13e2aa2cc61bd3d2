"""The plan as code: a folder of YAML written, read, compared and proposed."""

import json
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staff.models import User
from taxonomy.definition import apply_definition, definition, draft_items
from taxonomy.draft import ChangedMeanwhile
from taxonomy.exchange.command import language_of
from taxonomy.exchange.folder import Folder, NotAPlanFolder, export, file_name, in_order, read_folder, texts
from taxonomy.exchange.take import compare, propose_entries
from taxonomy.exchange.written import DEFAULTS, KINDS, read
from taxonomy.history import record_revision
from taxonomy.models import Attribute, Proposal, Revision, Tag
from taxonomy.proposals.propose import join, propose_definitions, submit
from taxonomy.proposals.refused import said_of
from taxonomy.publish import newest
from taxonomy.starter import starter_items

DEPARTMENTS = {"marketing", "sales", "service", "product", "data", "compliance"}


def entries_of(folder, base):
    found = read_folder(folder)
    entries = read(found.written, base, departments=DEPARTMENTS, whole=found.whole, full=True)
    in_order(entries, found.written)
    return found, entries


def statuses(folder, base):
    found, entries = entries_of(folder, base)
    return {entry.status for entry in entries} | {one.code for one in found.mistakes}


@pytest.fixture(scope="module")
def items():
    return starter_items()


@pytest.fixture
def folder(tmp_path, items):
    export(items, tmp_path, release="1.0.0")
    return tmp_path


def test_what_was_exported_reads_as_it_was(folder, items):
    assert statuses(folder, items) == {"unchanged"}
    assert read_folder(folder).release == "1.0.0"
    assert read_folder(folder).whole == set(KINDS)


def test_exporting_twice_gives_the_same_bytes_and_touches_nothing(folder, items):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.yaml")}
    assert export(dict(reversed(items.items())), folder, release="1.0.0") == []
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.yaml")} == before


def test_a_file_reads_well(folder):
    assert (folder / "tags/login.yaml").read_text().startswith("code: login\nlabel_en: ")
    lines = (folder / "tags/purchase.yaml").read_text().splitlines()
    assert "  - attribute: order_id" in lines and "    required: true" in lines
    assert lines[-1].startswith("id: ")
    assert not any(line.startswith(("status:", "system:", "kind:", "successor:")) for line in lines)
    assert "rules:\n  - name: " in "".join((folder / "sources/website.yaml").read_text())


def test_one_change_is_one_file_and_few_lines(folder, items):
    tag = next(item for item, one in items.items() if one.get("code") == "login")
    assert export(items | {tag: {**items[tag], "label_en": "Sign in"}}, folder, release="1.0.0") == ["tags/login.yaml"]


def test_files_of_an_earlier_export_go_and_others_stay(folder, items):
    (folder / "tags/notes.yaml").write_text("what: mine\n")
    (folder / "README.md").write_text("mine")
    used = {one["tag"] for one in items.values() if one["kind"] == "rule"}
    gone = next(item for item, one in items.items() if one["kind"] == "tag" and item not in used)
    changed = export({item: one for item, one in items.items() if item != gone}, folder, release="1.0.0")
    assert changed == [f"tags/{items[gone]['code']}.yaml"]
    assert (folder / "tags/notes.yaml").exists() and (folder / "README.md").exists()


def test_what_is_no_plan_is_not_written_over(tmp_path, items):
    (tmp_path / "categories.yaml").write_text("mine: 1\n")
    with pytest.raises(NotAPlanFolder):
        export(items, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["categories.yaml"]
    with pytest.raises(NotAPlanFolder):
        read_folder(tmp_path)


@pytest.mark.parametrize("code", ["../../etc/passwd", "a/b", "", ".", "..", "con", "NUL.x", "a" * 300, "标签", "a\x00b", "c:\\x"])
def test_a_code_never_leads_out_of_the_folder(code):
    name = file_name(code)
    assert name.isascii() and "/" not in name and "\\" not in name and not name.startswith(".") and len(name) < 256
    assert name.partition(".")[0].lower() not in ("con", "nul")


def test_a_rename_in_a_file_is_a_rename(folder, items):
    path = folder / "tags/login.yaml"
    path.write_text(path.read_text().replace("code: login", "code: sign_in"))
    changed = [entry for entry in entries_of(folder, items)[1] if entry.status != "unchanged"]
    assert [(entry.before["code"], entry.after["code"]) for entry in changed] == [("login", "sign_in")]


def test_rules_keep_their_places_and_a_new_one_takes_its_own(folder, items):
    path = folder / "sources/website.yaml"
    head, _sign, rest = path.read_text().partition("rules:\n")
    new = "  - name: brand_new\n    tag: login\n"
    path.write_text(f"{head}rules:\n{new}{rest}")
    rules = [entry for entry in entries_of(folder, items)[1] if entry.kind == "rule" and entry.after["source"] == rules_source(items)]
    assert rules[0].status == "added"
    positions = [(entry.after["position"], entry.item) for entry in rules]
    assert positions == sorted(positions)
    path.write_text(f"{head}rules:\n{rest}")
    assert statuses(folder, items) == {"unchanged"}


def test_a_rule_for_a_while_stands_beside_the_one_of_its_name(folder, items):
    path = folder / "sources/website.yaml"
    rule = next(one for one in items.values() if one["kind"] == "rule" and one["source"] == rules_source(items) and one["match"] == "exact" and not one.get("condition"))  # fmt: skip
    tag = items[rule["tag"]]["code"]
    head, _sign, rest = path.read_text().partition("rules:\n")
    path.write_text(f'{head}rules:\n  - name: {rule["name"]}\n    tag: {tag}\n    below_version: "4.2"\n    until: "2027-12-31"\n{rest}')
    changed = [entry for entry in entries_of(folder, items)[1] if entry.status not in ("unchanged",)]
    assert [(entry.status, entry.troubles) for entry in changed if entry.after.get("below_version")] == [("added", [])]
    assert {entry.status for entry in changed if not entry.after.get("below_version")} <= {"changed"}, "only their places"


def rules_source(items):
    return next(item for item, one in items.items() if one["kind"] == "source" and one["code"] == "website")


@pytest.mark.parametrize(
    ("name", "text", "code", "line"),
    [
        ("tags/login.yaml", "code: login\nlabel_en: [", "yaml.syntax", 3),
        ("tags/login.yaml", "a: &x 1\nb: *x\n", "yaml.alias", 2),
        ("tags/login.yaml", "a: 1\na: 2\n", "yaml.twice", 2),
        ("tags/login.yaml", "a: !!python/object:os.system x\n", "yaml.tag", 1),
        ("tags/login.yaml", "- 1\n", "yaml.not_fields", 1),
        ("tags/login.yaml", "", "yaml.not_fields", 1),
        ("tags/login.yaml", "a: 1\n---\nb: 2\n", "yaml.documents", 2),
        ("tags/login.yaml", "a: " + "[" * 200_000, "yaml.too_deep", 1),
        ("tags/login.yaml", "a: x\x07", "yaml.characters", 1),
        ("tags/login.yaml", "x" * 3_000_000, "yaml.too_large", 1),
        ("tags/second.yaml", "code: login\n", "folder.twice", 1),
        ("categories.yaml", "categories:\n  - label_en: x\n", "yaml.no_code", 2),
        ("categories.yaml", "categories: 3\n", "yaml.not_list", 1),
        ("sources/website.yaml", "code: website\nrules: 3\n", "yaml.not_list", 2),
        ("sources/website.yaml", "code: website\nrules:\n  - 3\n", "yaml.not_fields", 3),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_its_line(folder, name, text, code, line):
    (folder / name).write_text(text)
    assert [(one.file, one.code, one.line) for one in read_folder(folder).mistakes] == [(name, code, line)]


def test_other_encodings_are_told(folder):
    (folder / "tags/login.yaml").write_bytes("code: login\nlabel_en: é".encode("latin-1"))
    assert [(one.code, one.line) for one in read_folder(folder).mistakes] == [("yaml.not_utf8", 2)]
    (folder / "tags/login.yaml").write_bytes("\ufeffcode: login\n".encode())
    assert read_folder(folder).mistakes == []


def test_what_people_write_by_hand_is_taken_as_meant(folder, items):
    (folder / "attributes/size.yaml").write_text(
        "label_en: Size\nlabel_zh_hans: 尺码\ntype: decimal\nexample: 12.50\nunit: no\nconstraints:\n  minimum: 1\n"
    )
    (folder / "tags/wave.yaml").write_text(
        "label_en: Yes\nlabel_zh_hans: 2026-01-31\ncategory: account\nowner: data\nsynonyms: [no, 1e3, 7]\nattributes: [size]\nsystem: no\n"
    )
    new = {entry.key: entry.after for entry in entries_of(folder, items)[1] if entry.status == "added"}
    assert (new["size"]["example"], new["size"]["unit"], new["size"]["constraints"]) == ("12.50", "no", {"minimum": 1})
    assert (new["wave"]["label_en"], new["wave"]["label_zh_hans"], new["wave"]["synonyms"]) == ("Yes", "2026-01-31", ["no", "1e3", "7"])


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20) | st.sampled_from(
    ["yes", "no", "~", "null", "1e3", "0x1F", "1_000", "12:30", "2026-01-31", "a: b", "- x", "# no", "a\nb", "  a\nb\n", "\n", "\t", "😀🏽",
     "中文：标签", "'q\" \\", "=1+1", "<<", "*a", "&a", "!t", "a\r\nb", "\u2028x", "\x85", "\ufeffx", "{tag}", "[", "%", "|", ">", "x " * 300]
)  # fmt: skip
labels = dict.fromkeys(("label_en", "label_zh_hans", "description_en", "description_zh_hans"), text)
number = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text


@st.composite
def plans(draw):
    """Any plan with whatever texts: it need not be one that can be released."""
    items, of_kind = {}, {kind: [] for kind in KINDS}

    def some(kind, optional=False):
        return draw(st.sampled_from(of_kind[kind] + ([None] if optional else [])))

    def add(kind, fields):
        item = str(uuid5(UUID(int=1), f"{kind} {len(items)}"))
        items[item] = {"kind": kind, **DEFAULTS[kind], **fields}
        if kind != "rule":
            items[item]["code"] = draw(st.just(f"{kind}_{len(items)}") | text.map(lambda one: f"{one} {len(items)}"))
        of_kind[kind].append(item)

    for at in range(draw(st.integers(1, 3))):
        add("category", {name: draw(one) for name, one in labels.items()} | {"parent": some("category", True) if at else None})
    for _ in range(draw(st.integers(1, 3))):
        add("attribute", {name: draw(one) for name, one in labels.items()} | {
            "type": draw(st.sampled_from(["text", "decimal"])), "example": draw(text), "unit": draw(text),
            "constraints": draw(st.dictionaries(text, number, max_size=2)),
        })  # fmt: skip
    for _ in range(draw(st.integers(1, 3))):
        uses = draw(st.lists(st.sampled_from(of_kind["attribute"]), unique=True, max_size=3))
        add("tag", {name: draw(one) for name, one in labels.items()} | {
            "category": some("category"), "owner": "data", "synonyms": draw(st.lists(text, max_size=2)),
            "attributes": [{"attribute": use, "required": draw(st.booleans()), "constraints": draw(st.dictionaries(text, number, max_size=1))} for use in uses],
            "refinements": [{"pattern": one} for one in draw(st.lists(text, unique=True, max_size=2))], "one_of": draw(st.lists(st.lists(text, max_size=2), max_size=2)),
            "system": draw(st.booleans()), "status": draw(st.sampled_from(["draft", "active"])),
        })  # fmt: skip
    add("source", {"owner": "data", "timezone": draw(text), "hold_unreadable_phone": draw(st.booleans()),
                   "envelope": draw(st.dictionaries(text, text | st.dictionaries(text, text, max_size=2), max_size=2))})  # fmt: skip
    for _ in range(draw(st.integers(0, 3))):
        condition = {"path": draw(text), "operator": "eq", "value": draw(text)}
        add("rule", {
            "source": some("source"), "tag": some("tag"), "name": draw(text), "note": draw(text), "position": draw(st.integers(0, 3)),
            "condition": condition if condition["path"] and draw(st.booleans()) else None,
            "rows": [{"target": one, "path": draw(text), "transforms": draw(text)} for one in draw(st.lists(text.filter(bool), unique=True, max_size=2))],
        })  # fmt: skip
    return items


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(items=plans())
def test_any_plan_comes_back_as_it_was(items, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    export(items, folder)
    found = read_folder(folder)
    assert found.mistakes == []
    entries = read(found.written, items, departments=DEPARTMENTS, whole=found.whole, full=True)
    in_order(entries, found.written)
    assert [(entry.status, entry.before, entry.after, entry.troubles) for entry in entries if entry.before != entry.after] == []
    assert len(entries) == len(items)
    assert texts(items) == texts({item: items[item] for item in reversed(items)})


def run(*arguments):
    """(what the command printed, its exit code)."""
    out = StringIO()
    try:
        call_command("plan", *map(str, arguments), stdout=out)
    except SystemExit as end:
        return out.getvalue(), end.code
    except CommandError as error:
        return out.getvalue() + str(error), error.returncode
    return out.getvalue(), 0


@pytest.fixture
def engineer(standard):
    from django.contrib.auth.models import Group

    person = User.objects.create_user("eve@example.com", "x", department_id="data", name="Eve")
    person.groups.add(Group.objects.get(name="engineer"))
    return person


@pytest.fixture
def exported(standard, tmp_path):
    assert run("export", "--out", tmp_path)[1] == 0
    return tmp_path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def a_tag(folder):
    return sorted((folder / "tags").glob("*.yaml"))[0]


def test_diff_ends_as_diff_does(exported):
    assert run("diff", exported)[1] == 0
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    told, code = run("diff", exported)
    assert code == 1
    assert "~ tag New " in told and "name in English: " in told and "1 changed" in told
    a_tag(exported).write_text("code: x\nowner: nobody\ncategory: nowhere\n")
    told, code = run("diff", exported)
    assert code == 2
    assert f"{a_tag(exported).relative_to(exported)}:2: owner: There is no “nobody”" in told
    assert run("diff", exported / "nowhere")[1] == 2


def test_diff_and_export_of_draft_and_release(exported, standard, tmp_path_factory):
    Tag.objects.filter(pk=Tag.objects.first().pk).update(label_en="Not released")
    assert run("diff", exported)[1] == 0
    assert run("diff", exported, "--draft")[1] == 1
    other = tmp_path_factory.mktemp("draft")
    run("export", "--out", other, "--draft")
    assert run("diff", other, "--draft")[1] == 0
    run("export", "--out", other, "--release", standard.version)
    assert {path.name: path.read_bytes() for path in other.rglob("*.yaml")} == {
        path.name: path.read_bytes() for path in exported.rglob("*.yaml")
    }
    assert run("export", "--out", other, "--release", "99.0.0")[1] == 2


def test_propose_makes_a_proposal_and_writes_nothing_else(exported, engineer, standard):
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    (exported / "attributes/brand_new.yaml").write_text("label_en: Brand new\nlabel_zh_hans: 全新\ntype: text\n")
    told, code = run("propose", exported, "--title", "From git", "--why", "w", "--as", "eve@example.com", "--json")
    assert code == 0
    made = Proposal.objects.get()
    assert json.loads(told)["proposal"] == {"id": made.pk, "url": f"{site.SITE_URL}{made.get_absolute_url()}", "title": "From git"}
    assert (made.title, made.author, made.state, made.items.count()) == ("From git", engineer, "draft", 2)
    assert Attribute.objects.filter(code="brand_new").exists()
    _again, code = run("propose", exported, "--title", "t", "--why", "w", "--as", "eve@example.com")
    assert code == 2 and Proposal.objects.count() == 1


def test_adding_updating_and_removing_are_chosen_apart(exported, engineer):
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    (exported / "attributes/brand_new.yaml").write_text("label_en: Brand new\nlabel_zh_hans: 全新\n")
    rest = ("--title", "t", "--why", "w", "--as", "eve@example.com")
    run("propose", exported, *rest, "--no-update")
    assert [one.kind for one in Proposal.objects.get().items.all()] == ["attribute"]
    run("propose", exported, *rest)
    assert [one.kind for one in Proposal.objects.first().items.all()] == ["tag"]


def test_what_is_missing_goes_only_when_asked(exported, engineer):
    source = next(path for path in sorted((exported / "sources").glob("*.yaml")) if "rules:" in path.read_text())
    source.write_text(source.read_text().partition("rules:")[0] + source.read_text()[source.read_text().rindex("id: ") :])
    rest = ("propose", exported, "--title", "t", "--why", "w", "--as", "eve@example.com")
    assert "Nothing of it differs" in run(*rest)[0]
    assert run(*rest, "--remove")[1] == 0
    assert {one.kind for one in Proposal.objects.get().items.all()} == {"rule"}


def test_nothing_is_proposed_while_something_is_wrong_unless_it_is_left_out(exported, engineer):
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    (exported / "tags/brand_new.yaml").write_text("label_en: x\n")
    rest = ("propose", exported, "--title", "t", "--why", "w", "--as", "eve@example.com")
    told, code = run(*rest)
    assert code == 2 and "tags/brand_new.yaml:1: owner: It needs a value." in told and not Proposal.objects.exists()
    assert run(*rest, "--leave-out-wrong")[1] == 0
    assert Proposal.objects.get().items.count() == 1


def test_what_others_changed_since_the_export_stays(exported, engineer):
    tag = Tag.objects.get(code=a_tag(exported).stem)
    Tag.objects.filter(pk=tag.pk).update(label_zh_hans="别人改的")
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    other = Attribute.objects.create(code="made_meanwhile", label_en="x", label_zh_hans="x")
    run("propose", exported, "--title", "t", "--why", "w", "--as", "eve@example.com", "--remove")
    tag.refresh_from_db()
    assert tag.label_en.startswith("New ") and tag.label_zh_hans == "别人改的"
    assert Attribute.objects.filter(pk=other.pk).exists()


@pytest.mark.parametrize("email", ["nobody@example.com", "rep@example.com"])
def test_only_who_may_propose_proposes(exported, email):
    User.objects.create_user("rep@example.com", "x", department_id="data")
    assert run("propose", exported, "--title", "t", "--why", "w", "--as", email)[1] == 2


def test_an_item_in_another_proposal_is_left_to_it(exported, engineer):
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    User.objects.create_superuser("max@example.com", "x")
    rest = ("propose", exported, "--why", "w", "--title")
    run(*rest, "First", "--as", "eve@example.com")
    edit(a_tag(exported), "label_en: New ", "label_en: Newer ")
    told, code = run(*rest, "Second", "--as", "max@example.com")
    assert code == 2 and "“First” by Eve holds it already" in told


def test_what_is_mended_goes_into_the_same_proposal(exported, engineer):
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    (exported / "attributes/brand_new.yaml").write_text("label_en: Brand new\nlabel_zh_hans: 全新\ntype: text\n")
    rest = ("propose", exported, "--why", "w", "--as", "eve@example.com", "--title")
    assert run(*rest, "First")[1] == 0
    edit(a_tag(exported), "label_en: New ", "label_en: Newer ")
    (exported / "attributes/late.yaml").write_text("label_en: Late\nlabel_zh_hans: 晚\ntype: text\n")
    told, code = run(*rest, "Second")
    proposal = Proposal.objects.get()
    assert code == 0 and "It was open already" in told and proposal.title == "First"
    submit(proposal, by=engineer)
    names = {row.after["label_en"].partition(" ")[0] for row in proposal.items.all()}
    assert names == {"Newer", "Brand", "Late"}
    edit(a_tag(exported), "label_en: Newer ", "label_en: Newest ")
    told, code = run(*rest, "Third")
    assert code == 2 and "your own proposal “First”, which is under review" in told


def test_the_draft_is_as_it_was_when_nothing_could_be_proposed(exported, engineer):
    before = draft_items()
    edit(a_tag(exported), "owner: ", "owner: no_")
    run("propose", exported, "--title", "t", "--why", "w", "--as", "eve@example.com")
    assert draft_items() == before
    assert isinstance(read_folder(exported), Folder)


def test_what_is_said_is_in_the_language_of_the_terminal_or_as_asked(exported, engineer, monkeypatch):
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    english = run("diff", exported)[0]
    assert "1 changed" in english
    assert "已修改" in run("diff", exported, "--language", "zh-hans")[0]
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert run("diff", exported)[0] == run("diff", exported, "--language", "zh-hans")[0] != english
    assert run("diff", exported, "--language", "en")[0] == english


@pytest.mark.parametrize(("environment", "language"), [
    ({"LANG": "zh_CN.UTF-8"}, "zh-hans"), ({"LANG": "en_US.UTF-8"}, "en"), ({"LANG": "C.UTF-8"}, "en"), ({}, "en"),
    ({"LC_ALL": "", "LANG": "zh_TW"}, "zh-hans"), ({"LC_ALL": "C", "LANG": "zh_CN"}, "en"), ({"LC_MESSAGES": "zh", "LANG": "de"}, "zh-hans"),
])  # fmt: skip
def test_the_language_of_a_terminal(environment, language):
    assert language_of(environment) == language


def test_every_act_answers_in_json_and_takes_the_same_options(exported, engineer, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    files = {}
    for act in (("codegen", "python"), ("write", "--format", "json-schema"), ("export",)):
        told, code = run(*act, "--out", out / act[0], "--json")
        answer = json.loads(told)
        assert (code, answer["out"], answer["release"]) == (0, str(out / act[0]), newest().version)
        files[act[0]] = answer
        assert run(*act, "--out", out / act[0], "--release", "99.0.0")[1] == 2
    assert all(Path(one).is_file() for act in ("codegen", "write") for one in files[act]["files"])
    assert files["write"]["left_out"] and all(one["reason"] and one["places"] for one in files["write"]["left_out"])
    told, code = run("read", "--format", "json-schema", out / "write", "--dry-run", "--json")
    assert (code, json.loads(told)) == (0, {"changes": [], "left_out": [], "proposal": None})


def test_what_is_not_carried_over_stands_a_line_each(standard, tmp_path):
    told, _code = run("write", "--format", "segment", "--out", tmp_path / "plan.json")
    lines = told.splitlines()
    assert any(line.startswith("not carried over: ") for line in lines)
    assert sum(line.startswith("    ") for line in lines) > 5 and not any("tag " in line and ", tag " in line for line in lines)


def test_what_a_co_author_mended_of_a_new_tag_stays_however_often_the_folder_comes_in_again(exported, engineer):
    template = yaml_of(a_tag(exported), "code", "owner", "category")
    path = exported / "tags/brand_new.yaml"
    path.write_text(f"{template}label_en: Brand new\nlabel_zh_hans: 全新\n".replace(a_tag(exported).stem, "brand_new"))
    rest = ("propose", exported, "--why", "w", "--as", "eve@example.com", "--title", "First")
    assert run(*rest)[1] == 0
    ben = User.objects.create_superuser("ben@example.com", "x", name="Ben")
    join(Proposal.objects.get(), by=ben)
    tag = Tag.objects.get(code="brand_new")
    told = compare({"tag": {"brand_new": {"label_en": "By Ben"}}}, by=ben)
    assert [note.code for note in told[0].notes] == ["written.changed_meanwhile"], "he never saved it, so nothing says what he knew of it"
    modes = [{"source": "", "mode": "note"}]
    record_revision(
        apply_definition(tag.pk, definition(tag) | {"label_en": "Fresh", "modes": modes}), by=ben, action=Revision.Action.CHANGED
    )
    for number in range(3):
        path.write_text(path.read_text() + f"description_en: Again {number}\n" if number == 0 else path.read_text().replace(f"Again {number - 1}", f"Again {number}"))  # fmt: skip
        assert run(*rest)[1] == 0
        stands = definition(Tag.objects.get(code="brand_new"))
        assert (stands["label_en"], stands["modes"], stands["description_en"]) == ("Fresh", modes, f"Again {number}")
    edit(path, "label_en: Brand new", "label_en: Newest")
    told, code = run(*rest)
    assert code == 0 and "Somebody else changed it meanwhile; this replaces what they wrote" in told
    assert Tag.objects.get(code="brand_new").label_en == "Newest"


def yaml_of(path, *names):
    return "".join(f"{line}\n" for line in path.read_text().splitlines() if line.startswith(tuple(f"{name}:" for name in names)))


def test_what_was_saved_after_it_was_compared_is_not_written_over(exported, engineer):
    edit(a_tag(exported), "label_en: ", "label_en: New ")
    found, draft = read_folder(exported), draft_items()
    entries = compare(found.written, draft=draft, base=draft, full=True, by=engineer)
    Tag.objects.filter(code=a_tag(exported).stem).update(label_zh_hans="别人改的")
    with pytest.raises(ChangedMeanwhile):
        propose_entries(entries, title="t", why="w", by=engineer)
    assert not Proposal.objects.exists()
    said = said_of(ChangedMeanwhile([entry.item for entry in entries if entry.status == "changed"]))
    assert said.count(f"({a_tag(exported).stem})") == 1 and "changed meanwhile" in said


def test_many_items_of_one_proposal_are_compared_with_as_many_queries_as_few(engineer, django_assert_max_num_queries):
    other = User.objects.create_user("mo@example.com", "x", department_id="data")
    first = Attribute.objects.first()
    wanted = {f"11111111-1111-4111-8111-{number:012}": definition(first) | {"code": f"brand_new_{number}"} for number in range(50)}
    propose_definitions(wanted, title="t", why="w", by=User.objects.create_superuser("max@example.com", "x"))
    written = {"attribute": {one["code"]: {"label_en": "Other"} for one in wanted.values()}}
    with django_assert_max_num_queries(30):
        entries = compare(written, by=other)
    assert {(entry.status, entry.troubles[0].code) for entry in entries} == {("wrong", "written.elsewhere")}
