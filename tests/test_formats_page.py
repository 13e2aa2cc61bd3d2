"""The pages and the command: what a format loses is shown, what comes in becomes a proposal, and nobody else may."""

import io
import json
import re
import zipfile

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from staff.models import User
from taxonomy.definition import apply_definition, definition, draft_items
from taxonomy.exchange.formats import FORMATS, Choices
from taxonomy.exchange.formats.propose import export_plan, look_at, propose_written
from taxonomy.history import record_revision
from taxonomy.models import Category, MappingRule, Proposal, Revision, Source, Tag
from taxonomy.proposals.propose import NothingChanged, join, submit

pytestmark = pytest.mark.django_db
PAGE, PROPOSE, DOWNLOAD = (reverse(f"admin:taxonomy_proposal_formats{end}") for end in ("", "_propose", "_download"))
SCHEMA = {"type": "object", "properties": {"Loudness": {"type": "integer", "minimum": 1, "multipleOf": 2}}}
PLAN = {"rules": [{"key": "Song Played", "type": "TRACK", "version": 1, "jsonSchema": SCHEMA}]}


@pytest.fixture
def marketer(standard):
    return person("mia@example.com", "marketing", "marketer")


def person(email, department, role):
    found = User.objects.create_user(email, "x", department_id=department, name=email)
    found.groups.add(Group.objects.get(name=role))
    return found


def uploaded(client, plan=None, name="plan.json", **fields):
    body = json.dumps(PLAN if plan is None else plan).encode() if not isinstance(plan, bytes) else plan
    given = {"format": "segment", "category": Category.objects.first().code, "owner": "marketing", "source": "website"} | fields
    return client.post(PAGE, {**given, "uploads": SimpleUploadedFile(name, body)})


def kept_of(answer):
    return re.search(r'name="kept" value="([^"]+)"', answer.content.decode())[1]


def test_what_a_format_loses_is_shown_before_it_is_taken(client, marketer):
    client.force_login(marketer)
    shown = client.get(PAGE, {"format": "segment", "category": "", "draft": ""}).content.decode()
    assert "What this format cannot carry" in shown and "name in Chinese" in shown
    answer = client.get(DOWNLOAD, {"format": "segment", "category": "", "draft": ""})
    assert answer["Content-Disposition"] == 'attachment; filename="tagline-1.0.0-segment-tracking-plan.json"'
    assert len(json.loads(answer.content)["rules"]) == Tag.objects.count()


@pytest.mark.parametrize("format", [name for name, one in FORMATS.items() if one.write])
def test_every_format_can_be_taken_whole_or_in_part_released_or_draft(client, marketer, format):
    client.force_login(marketer)
    for fields in ({}, {"category": Category.objects.first().code}, {"draft": "draft"}):
        assert client.get(DOWNLOAD, {"format": format, **fields}).content


def test_what_nobody_offers_is_not_written(client, marketer):
    client.force_login(marketer)
    assert client.get(DOWNLOAD, {"format": "glean"}).status_code == 302
    assert client.get(PAGE, {"format": "nonsense", "category": "nowhere"}).status_code == 200


def test_an_upload_shows_first_and_becomes_a_proposal_then(client, marketer):
    client.force_login(marketer)
    answer = uploaded(client)
    text = answer.content.decode()
    assert "Song Played (song_played)" in text and "multipleOf" in text
    assert not Proposal.objects.exists() and not Tag.objects.filter(code="song_played").exists()
    answer = client.post(PROPOSE, {"title": "Songs", "why": "They play.", "kept": kept_of(answer)})
    proposal = Proposal.objects.get()
    assert answer.url == proposal.get_absolute_url()
    assert (proposal.author, proposal.items.count(), proposal.state) == (marketer, 3, "draft")
    tag = Tag.objects.get(code="song_played")
    assert (tag.status, tag.owner_id, tag.synonyms) == ("draft", "marketing", ["Song Played"])
    assert MappingRule.objects.get(name="Song Played").source == Source.objects.get(code="website")
    submit(proposal, by=marketer)
    assert proposal.is_locked


def test_the_same_upload_twice_leads_to_the_proposal_that_holds_it(client, marketer):
    client.force_login(marketer)
    kept = kept_of(uploaded(client))
    client.post(PROPOSE, {"title": "Songs", "why": "They play.", "kept": kept})
    answer = client.post(PROPOSE, {"title": "Songs", "why": "They play.", "kept": kept}, follow=True)
    assert Proposal.objects.count() == 1
    assert "holds one of these items already" in answer.content.decode() or "Nothing of it differs" in answer.content.decode()


def test_what_was_read_is_for_one_person_and_cannot_be_forged(client, marketer):
    client.force_login(marketer)
    kept = kept_of(uploaded(client))
    client.force_login(person("max@example.com", "marketing", "marketer"))
    for stolen in (kept, kept[:-1], "", "nonsense"):
        answer = client.post(PROPOSE, {"title": "Songs", "why": "x", "kept": stolen}, follow=True)
        assert "Choose the files again" in answer.content.decode()
    assert not Proposal.objects.exists()


def test_a_missing_title_is_asked_for_again_and_nothing_is_lost(client, marketer):
    client.force_login(marketer)
    kept = kept_of(uploaded(client))
    answer = client.post(PROPOSE, {"title": "", "why": "", "kept": kept})
    assert kept_of(answer) == kept and not Proposal.objects.exists()


def test_who_only_reads_may_take_and_not_bring(client, standard):
    client.force_login(person("pat@example.com", "product", "product_manager"))
    assert "Bring a plan in" not in client.get(PAGE).content.decode()
    assert client.get(DOWNLOAD, {"format": "segment"}).status_code == 200
    assert uploaded(client).status_code == 403
    assert client.post(PROPOSE, {"kept": ""}).status_code == 403
    assert client.get(PROPOSE).status_code == 405
    client.logout()
    assert client.get(PAGE).status_code == client.get(DOWNLOAD).status_code == 302


@pytest.mark.parametrize(("name", "body", "said"), [
    ("plan.json", b"{", "cannot be read as JSON"), ("plan.zip", b"PK\x03\x04x", "The zip is damaged"), ("plan.json", b"{}", "not of this format"),
    ("<script>alert(1)</script>.json", b"{}", "not of this format"),
])  # fmt: skip
def test_a_file_that_is_no_plan_is_answered_with_why(client, marketer, name, body, said):
    client.force_login(marketer)
    text = uploaded(client, body, name=name).content.decode()
    assert said in text and "<script>alert" not in text and 'name="kept"' not in text


def test_an_upload_without_files_is_asked_for_them(client, marketer):
    client.force_login(marketer)
    answer = client.post(PAGE, {"format": "segment", "category": Category.objects.first().code, "owner": "marketing"})
    assert "This field is required" in answer.content.decode()


def test_hostile_names_are_shown_as_text(client, marketer):
    client.force_login(marketer)
    plan = {
        "rules": [
            {
                "key": "<img src=x onerror=alert(1)>",
                "type": "TRACK",
                "jsonSchema": {"type": "object", "properties": {"<b>x": {"multipleOf": 1}}},
            }
        ]
    }
    text = uploaded(client, plan).content.decode()
    assert "<img src=x" not in text and "&lt;img src=x" in text and "<b>x" not in text


def test_what_hangs_on_something_wrong_is_not_proposed(standard, marketer):
    """A tag whose category is gone meanwhile stays out, and so does its rule."""
    looked = look_at("segment", [("plan.json", json.dumps(PLAN).encode())], Choices(Category.objects.first().code, "marketing", "website"))
    looked.written["tag"]["song_played"]["category"] = "gone"
    proposal, _was_open = propose_written(looked.written, title="Songs", why="x", by=marketer)
    assert {one.kind for one in proposal.items.all()} == {"attribute"}


def test_what_is_mended_goes_into_the_same_proposal(standard, marketer):
    looked = look_at("segment", [("plan.json", json.dumps(PLAN).encode())], Choices(Category.objects.first().code, "marketing", "website"))
    first, was_open = propose_written(looked.written, title="Songs", why="x", by=marketer)
    assert not was_open
    looked.written["tag"]["song_played"]["label_en"] = "Mended"
    assert propose_written(looked.written, title="Again", why="x", by=marketer) == (first, True)
    assert Tag.objects.get(code="song_played").label_en == "Mended"


def test_what_is_there_already_is_nothing_to_propose(marketer):
    exported = export_plan("json-schema", draft=True)
    looked = look_at("json-schema", [(exported.name, exported.body)], Choices("", "", ""))
    assert {entry.status for entry in looked.entries} == {"unchanged"} and looked.left_out == []
    with pytest.raises(NothingChanged):
        propose_written(looked.written, title="x", why="x", by=marketer)


# The command


def run(*arguments):
    said = io.StringIO()
    call_command("plan", *arguments, stdout=said)
    return said.getvalue()


def test_the_command_writes_a_folder_a_zip_or_a_file(standard, tmp_path):
    assert "not carried" in run("write", "--format", "snowplow", "--out", str(tmp_path / "iglu"))
    assert len(list((tmp_path / "iglu" / "schemas").rglob("1-0-0"))) == Tag.objects.count()
    run("write", "--format", "json-schema", "--out", str(tmp_path / "deep" / "plan.zip"))
    with zipfile.ZipFile(tmp_path / "deep" / "plan.zip") as archive:
        assert len(archive.namelist()) == Tag.objects.count()
    run("write", "--format", "segment", "--out", str(tmp_path / "one.zip"))
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len(archive.namelist()) == 1 and "rules" in json.loads(archive.read(archive.namelist()[0]))
    run("write", "--format", "segment", "--out", str(tmp_path / "plan.json"), "--draft", "--category", Category.objects.first().code)
    assert "rules" in json.loads((tmp_path / "plan.json").read_text())


def test_the_command_proposes_what_it_reads(marketer, tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "plan.json").write_text(json.dumps(PLAN))
    (tmp_path / "plan" / ".hidden").write_text("{")
    rest = (
        "--format",
        "segment",
        str(tmp_path / "plan"),
        "--category",
        Category.objects.first().code,
        "--owner",
        "marketing",
        "--source",
        "website",
    )
    before = draft_items()
    assert "added  tag song_played" in run("read", *rest, "--dry-run")
    assert draft_items() == before
    for missing in (("--title", "Songs"), ("--as", "mia@example.com"), ("--title", "Songs", "--as", "nobody@example.com")):
        with pytest.raises(CommandError):
            run("read", *rest, *missing)
    said = run("read", *rest, "--title", "Songs", "--why", "They play.", "--as", "MIA@example.com")
    made = Proposal.objects.get()
    assert (
        made.items.count() == 3
        and f"Proposal {made.pk}: Songs, {settings.SITE_URL}{made.get_absolute_url()}" in said
        and "multipleOf" in said
    )
    with pytest.raises(CommandError, match=r"differs|holds one of these"):
        run("read", *rest, "--title", "Songs", "--as", "mia@example.com")
    with pytest.raises(CommandError, match="no such file"):
        run("read", "--format", "segment", str(tmp_path / "nowhere"), "--dry-run")


def test_the_command_reads_its_own_zip(marketer, tmp_path):
    run("write", "--format", "json-schema", "--out", str(tmp_path / "plan.zip"))
    assert run("read", "--format", "json-schema", str(tmp_path / "plan.zip"), "--dry-run") == ""
    packed = io.BytesIO((tmp_path / "plan.zip").read_bytes())
    assert zipfile.ZipFile(packed).testzip() is None


def test_what_goes_into_an_open_proposal_says_so_before_and_after(client, marketer, tmp_path):
    client.force_login(marketer)
    client.post(PROPOSE, {"title": "Songs", "why": "They play.", "kept": kept_of(uploaded(client))})
    exported = export_plan("json-schema", draft=True)
    for name in ("By page", "By command"):
        with zipfile.ZipFile(io.BytesIO(exported.body)) as archive:
            body = json.loads(archive.read(next(one for one in archive.namelist() if "song_played" in one)))
        (tmp_path / "song_played.json").write_text(json.dumps(body | {"title": name}))
        if name == "By page":
            answer = uploaded(client, body | {"title": name}, name="song_played.json", format="json-schema")
            assert "“Songs”</a> holds some of it already" in answer.content.decode()
            answer = client.post(PROPOSE, {"title": "Other", "why": "Other", "kept": kept_of(answer)}, follow=True)
            assert "It was open already and keeps its title and why" in answer.content.decode()
        else:
            said = run("read", "--format", "json-schema", str(tmp_path / "song_played.json"), "--title", "t", "--as", marketer.email)
            assert "It was open already" in said
        assert Proposal.objects.get().title == "Songs" and Tag.objects.get(code="song_played").label_en == name


def test_what_a_co_author_mended_stays_when_files_of_others_come_in_again(marketer):
    ben = person("ben@example.com", "marketing", "marketer")
    choices = Choices(Category.objects.first().code, "marketing", "website")
    looked = look_at("segment", [("plan.json", json.dumps(PLAN).encode())], choices)
    shared, _was_open = propose_written(looked.written, title="Songs", why="x", by=marketer)
    join(shared, by=ben)
    tag = Tag.objects.get(code="song_played")
    mended = apply_definition(tag.pk, definition(tag) | {"label_en": "Heard"})
    record_revision(mended, by=ben, action=Revision.Action.CHANGED)
    with pytest.raises(NothingChanged):
        propose_written(looked.written, title="Again", why="x", by=marketer)
    looked.written["tag"]["song_played"]["description_en"] = "By Mia"
    propose_written(looked.written, title="Again", why="x", by=marketer)
    tag.refresh_from_db()
    assert (tag.label_en, tag.description_en) == ("Heard", "By Mia")


def test_what_a_colleague_saved_while_an_upload_was_looked_at_is_not_written_over(client, marketer):
    client.force_login(marketer)
    client.post(PROPOSE, {"title": "Songs", "why": "w", "kept": kept_of(uploaded(client))})
    tag = Tag.objects.get(code="song_played")
    with zipfile.ZipFile(io.BytesIO(export_plan("json-schema", draft=True).body)) as archive:
        body = json.loads(archive.read(next(one for one in archive.namelist() if "song_played" in one)))
    kept = kept_of(uploaded(client, body | {"title": "By file"}, name="song_played.json", format="json-schema"))
    mended = apply_definition(tag.pk, definition(tag) | {"label_en": "By Ben"})
    record_revision(mended, by=person("ben@example.com", "marketing", "marketer"), action=Revision.Action.CHANGED)
    answer = client.post(PROPOSE, {"title": "Songs", "why": "w", "kept": kept}, follow=True)
    assert "(song_played) changed meanwhile" in answer.content.decode()
    assert Tag.objects.get(code="song_played").label_en == "By Ben"
