"""Before a file is imported its rows are shown as they are understood; what is wrong is corrected without another upload."""

import io
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob
from test_file_imports import FORMS, as_csv, as_zip
from test_import_pages import steward  # noqa: F401
from test_imports import HEADER, rows, source  # noqa: F401

from ingestion.imports.run import outcome, run_import
from ingestion.models import ImportRun
from staff.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def upload(source, steward):  # noqa: F811
    """Uploads the bytes and opens the page of how they are read: (the run, the page)."""

    def upload(content: bytes):
        file = SimpleUploadedFile("till.csv", content)
        steward.post(reverse("admin:ingestion_importrun_add"), {"source": source.pk, "file": file})
        run = ImportRun.objects.get()
        return run, steward.get(reverse("admin:ingestion_importrun_check", args=[run.pk]))

    return upload


def choose(client: Client, run: ImportRun, page, act: str, **changed):
    form = page.context["form"]
    chosen = {name: "" if form[name].initial is None else form[name].initial for name in form.fields}
    return client.post(reverse("admin:ingestion_importrun_check", args=[run.pk]), {**chosen, **changed, "act": act}, follow=True)


def cells(page) -> list[list[str]]:
    return [row.cells for row in page.context["found"].rows]


@pytest.mark.parametrize("form", FORMS)
def test_the_first_rows_are_shown_and_nothing_is_imported_yet(upload, form):
    run, page = upload(FORMS[form](rows(20)))
    assert run.status == ImportRun.Status.DRAFT
    assert [row[: len(HEADER)] for row in cells(page)] == rows(20)[:10]
    assert "13800138010" in page.content.decode()
    assert not ProcrastinateJob.objects.filter(args__run_id=str(run.pk)).exists()


def test_what_was_looked_at_is_imported(upload, steward):  # noqa: F811
    run, page = upload(FORMS["gb18030"](rows(3)))
    after = choose(steward, run, page, "start")
    assert after.redirect_chain[-1][0] == reverse("admin:ingestion_importrun_change", args=[run.pk])
    assert ProcrastinateJob.objects.filter(args__run_id=str(run.pk)).count() == 1
    choose(steward, run, page, "start")
    assert ProcrastinateJob.objects.filter(args__run_id=str(run.pk)).count() == 1
    assert outcome(run_import(run.pk)).counts["accepted"] == 3


def test_a_draft_is_imported_by_nobody_who_did_not_say_so(upload):
    run, _ = upload(FORMS["utf-8"](rows(3)))
    assert outcome(run_import(run.pk)).received == 0


def test_the_encoding_is_corrected_without_another_upload(upload, steward):  # noqa: F811
    run, page = upload(FORMS["gb18030"](rows(3)))
    wrong = choose(steward, run, page, "show", encoding="cp1252")
    assert cells(wrong)[0][-1] != "南京路店"
    right = choose(steward, run, wrong, "show", encoding="gb18030")
    assert cells(right)[0][-1] == "南京路店"
    assert ImportRun.objects.get().format["encoding"] == "gb18030"


def test_a_changed_reading_is_shown_before_it_is_imported(upload, steward):  # noqa: F811
    run, page = upload(FORMS["utf-8"](rows(3)))
    after = choose(steward, run, page, "start", headers="0")
    assert after.context["found"].columns[:2] == ["A", "B"]
    assert cells(after)[0][:2] == HEADER[:2]
    assert ImportRun.objects.get().status == ImportRun.Status.DRAFT


def test_with_another_delimiter_the_header_is_found_anew(upload, steward):  # noqa: F811
    run, page = upload("日报\nid¦event\n1¦login\n2¦login\n".encode())
    assert len(page.context["found"].columns) == 1
    after = choose(steward, run, page, "show", delimiter="other", other="¦")
    assert (after.context["found"].columns, cells(after)) == (["id", "event"], [["1", "login"], ["2", "login"]])


@pytest.mark.parametrize("sign", ["", "a", "1", '"'])
def test_a_delimiter_that_parts_nothing_is_not_taken(upload, steward, sign):  # noqa: F811
    run, page = upload(FORMS["utf-8"](rows(3)))
    assert "other" in choose(steward, run, page, "show", delimiter="other", other=sign).context["form"].errors


def test_a_header_that_cannot_be_one_is_corrected_here(upload, steward):  # noqa: F811
    run, page = upload(b"_reason,_reason\nid,event\n1,login\n")
    assert page.context["found"].problem
    choose(steward, run, page, "start")
    assert ImportRun.objects.get().status == ImportRun.Status.DRAFT
    after = choose(steward, run, page, "show", above="1")
    assert (after.context["found"].problem, after.context["found"].columns) == ("", ["id", "event"])


def test_a_row_that_cannot_be_read_says_why(upload):
    _, page = upload(as_csv(rows(3)).replace(b"m1,", b"m1\xff,"))
    assert [bool(row.problem) for row in page.context["found"].rows] == [False, True, False]


def test_another_file_of_a_zip_can_be_chosen(upload, steward):  # noqa: F811
    import io
    import zipfile

    written = io.BytesIO(as_zip(as_csv(rows(3))))
    with zipfile.ZipFile(written, "a") as packed:
        packed.writestr("other.csv", b"x;y\n1;2\n")
    run, page = upload(written.getvalue())
    after = choose(steward, run, page, "show", member="other.csv")
    assert (after.context["found"].columns, cells(after)) == (["x", "y"], [["1", "2"]])


def test_a_decimal_comma_is_noted(upload):
    _, page = upload(b"id;price\n1;12,50\n2;1.200,00\n")
    assert page.context["found"].has_decimal_comma


def test_of_a_file_that_is_not_imported_nothing_is_kept(upload, steward):  # noqa: F811
    run, page = upload(FORMS["utf-8"](rows(3)))
    choose(steward, run, page, "discard")
    assert not ImportRun.objects.exists()
    assert not Path(run.path).exists()


def test_a_file_uploaded_again_is_the_same_draft(upload):
    first, _ = upload(FORMS["utf-8"](rows(3)))
    again, _ = upload(FORMS["utf-8"](rows(3)))
    assert first.pk == again.pk


def test_rows_of_somebody_else_are_shown_only_to_who_sees_personal_data(upload):
    run, _ = upload(FORMS["utf-8"](rows(3)))
    from django.contrib.auth.models import Permission

    other = User.objects.create_user("other@example.com", "x", is_staff=True)
    other.user_permissions.set(Permission.objects.filter(codename__in=["view_importrun", "add_importrun"]))
    client = Client()
    client.force_login(other)
    assert client.get(reverse("admin:ingestion_importrun_check", args=[run.pk])).status_code == 403


def test_a_header_with_damaged_characters_can_be_stored_and_shown(upload):
    run, page = upload(as_csv(rows(30)).replace(b"quantity", b"quan\xfftity\0", 1))
    assert run.format["columns"][HEADER.index("quantity")] == "quan\ufffdtity\ufffd"
    assert page.status_code == 200


def test_what_may_be_read_otherwise_than_it_was_meant_is_told_with_its_row(upload):
    lines = "".join(f"m{n},login,13800138000,2026-01-0{n} 10:00\n" for n in range(1, 9))
    _, page = upload(f"id,event,phone,occurred_at\n{lines}2.10381E+18,login,13800138000,03/04/05\n".encode())
    assert [trap.split(":")[0] for trap in page.context["found"].traps] == ["Column “id”, row 10", "Column “occurred_at”, row 10"]
    assert "2003-04-05 or 2005-03-04 or 2005-04-03" in page.content.decode()


def test_columns_of_fixed_width_are_given_where_no_blank_parts_them(upload, steward):  # noqa: F811
    run, page = upload("m1login南京路店9.50\nm2login北京路店9.50\n".encode("gb18030"))
    after = choose(steward, run, page, "show", widths="2, 5, 8, 0", measure="gb18030", headers="0")
    assert cells(after) == [["m1", "login", "南京路店", "9.50"], ["m2", "login", "北京路店", "9.50"]]
    assert "widths" in choose(steward, run, after, "show", widths="2, x").context["form"].errors
    back = choose(steward, run, after, "show", widths="", delimiter="comma")
    assert ImportRun.objects.get().format["kind"] == "csv" and len(cells(back)[0]) == 1


def test_of_a_zip_of_months_all_are_read_or_one(upload, steward):  # noqa: F811
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for month in ("1", "2"):
            packed.writestr(f"{month}.csv", f"id,event\n{month},login\n")
    run, page = upload(written.getvalue())
    assert [row[0] for row in cells(page)] == ["1", "2"]
    one = choose(steward, run, page, "show", member="2.csv")
    assert [row[0] for row in cells(one)] == ["2"]
    assert [row[0] for row in cells(choose(steward, run, one, "show", member=""))] == ["1", "2"]
