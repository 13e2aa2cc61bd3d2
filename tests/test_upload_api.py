"""A file by the API: sent in parts, gone on with after any interruption, imported once; only its own source may see it."""

import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from test_imports import rows, source  # noqa: F401

from ingestion.doors.files import Column, Matching, RowEvent
from ingestion.imports import uploads
from ingestion.imports.matchings import keep
from ingestion.imports.uploads import finish_upload, forget_half_sent, receive_part
from ingestion.models import ImportRun, Upload, WriteKey
from profiles.models import Event
from taxonomy.models import Source

pytestmark = pytest.mark.django_db(transaction=True)

PART = "application/offset+octet-stream"


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def content() -> bytes:
    header = "id,event,phone,occurred_at,order_id,product_id,price,quantity\n"
    return (header + "".join(",".join(row) + "\n" for row in rows(6, quantity={1: "two"}))).encode()


def key_of(source, *, test=False) -> str:  # noqa: F811
    key = WriteKey(source=source, test=test)
    secret = key.set_secret()
    key.save()
    return secret


@pytest.fixture
def send(client, source):  # noqa: F811
    """Call the API as the source; headers by their names."""
    secret = key_of(source)

    def call(method, address, body=b"", content_type="application/json", key=secret, **headers):
        named = {"Authorization": f"Bearer {key}", "Content-Type": content_type} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return client.generic(method, address, body, headers=named)

    return call


def announce(send, size, **more):
    import json

    return send("POST", "/api/v1/imports", json.dumps({"file": "a.csv", "size_bytes": size, **more}))


def part(send, address, offset, body, **more):
    return send("PATCH", address, body, PART, Upload_Offset=str(offset), Tus_Resumable="1.0.0", **more)


def code_of(answer) -> str:
    return answer.json()["error"]["code"]


def test_a_file_is_announced_sent_in_parts_and_imported(send, content):
    announced = announce(send, len(content))
    assert announced.status_code == 201 and announced.json()["status"] == "uploading"
    here, address = announced.headers["Location"], announced.json()["upload"]
    assert part(send, address, 0, content[:100]).headers["Upload-Offset"] == "100"
    assert send("HEAD", address).headers["Upload-Offset"] == "100"
    assert part(send, address, 100, content[100:]).status_code == 204
    assert send("GET", here).json()["status"] == "waiting"
    finish_upload(Upload.objects.get().pk)
    told = send("GET", here).json()
    assert (told["status"], told["accepted"], told["quarantined"], told["causes"]) == ("finished", 5, 1, {"attribute.wrong_type": 1})
    [found] = send("GET", told["findings"]).json()["findings"]
    assert (found["row"], found["column"], found["seen"]) == (3, "quantity", "two")
    failed = b"".join(send("GET", told["failed_rows"]).streaming_content).decode("utf-8-sig")
    assert "_tagline_id" in failed and "m1," in failed and "m2," not in failed
    assert Event.objects.count() == 6
    Event.objects.filter(standing=Event.Standing.HELD).update(standing=Event.Standing.CORRECTED)
    told = send("GET", here).json()
    assert (told["failed_rows"], told["findings"]) == (None, f"{here}/findings")


def test_what_the_first_rows_may_hide_is_told_once_it_has_ended(send, content):
    cut = content.replace(b"\nm3,", b"\n2.10381E+18,")
    announced = announce(send, len(cut))
    here = announced.headers["Location"]
    assert announced.json()["traps"] == []
    part(send, announced.json()["upload"], 0, cut)
    assert send("GET", here).json()["traps"] == []
    finish_upload(Upload.objects.get().pk)
    [told] = send("GET", here).json()["traps"]
    assert told.pop("message").startswith("Column “id”, row 5: “2.10381E+18” has lost its last digits")
    assert told == {"code": "cut", "column": "id", "row": 5}
    [in_chinese] = send("GET", here, Accept_Language="zh-hans").json()["traps"]
    assert in_chinese["message"].startswith("列“id”第 5 行")


def test_a_dry_run_and_a_test_key_store_nothing(send, source, content):  # noqa: F811
    for more, key in (({"dry_run": True}, {}), ({}, {"key": key_of(source, test=True)})):
        announced = announce(lambda *a, key=key, **named: send(*a, **named, **key), len(content), **more)
        part(send, announced.json()["upload"], 0, content)
        finish_upload(Upload.objects.latest("created_at").pk)
        told = send("GET", announced.headers["Location"]).json()
        assert (told["status"], told["dry_run"], told["accepted"]) == ("finished", True, 5)
    assert not Event.objects.exists()


def test_columns_of_fixed_width_are_read_by_the_widths_that_the_caller_says(send, content):
    rows = [line.split(",") for line in content.decode().splitlines()]
    said = "".join("".join(cell.ljust(30) for cell in row) + "\n" for row in rows).encode()
    announced = announce(send, len(said), format={"widths": [30] * len(rows[0]), "measure": "characters", "headers": 1})
    assert announced.status_code == 201, announced.json()
    part(send, announced.json()["upload"], 0, said)
    finish_upload(Upload.objects.get().pk)
    told = send("GET", announced.headers["Location"]).json()
    assert (told["status"], told["accepted"], told["quarantined"]) == ("finished", 5, 1)


@pytest.mark.parametrize("sign", [";", "+|"])
def test_what_the_caller_says_of_the_format_is_obeyed(send, content, sign):
    said = content.decode().replace(",", sign).encode("gb18030")
    announced = announce(send, len(said), format={"delimiter": sign, "encoding": "gb18030"})
    part(send, announced.json()["upload"], 0, said)
    finish_upload(Upload.objects.get().pk)
    assert ImportRun.objects.get().format["encoding"] == "gb18030"
    assert Event.objects.count() == 6


def test_the_last_part_again_and_the_job_again_import_once(send, content):
    announced = announce(send, len(content))
    address = announced.json()["upload"]
    part(send, address, 0, content)
    assert part(send, address, len(content), b"").status_code == 204
    for _ in range(2):
        finish_upload(Upload.objects.get().pk)
    assert ImportRun.objects.count() == 1 and Event.objects.count() == 6


def test_a_part_at_another_offset_or_beyond_the_size_is_refused_and_changes_nothing(send, content):
    address = announce(send, len(content)).json()["upload"]
    part(send, address, 0, content[:100])
    for offset, body in ((0, content[:100]), (200, b"x"), (100, content)):
        answer = part(send, address, offset, body)
        assert (answer.status_code, code_of(answer)) == (409, "upload.offset")
    part(send, address, 100, content[100:])
    finish_upload(Upload.objects.get().pk)
    assert Event.objects.count() == 6


def test_a_sender_that_breaks_off_goes_on_where_it_stopped(send, content):
    announce(send, len(content))
    upload = Upload.objects.get()
    stream = io.BytesIO(content[:150])
    assert receive_part(upload.pk, 0, stream.read, len(content), when_whole=pytest.fail).received_bytes == 150
    begun = []
    receive_part(upload.pk, 150, io.BytesIO(content[150:]).read, len(content) - 150, when_whole=begun.append)
    assert begun == [upload.pk]


def test_while_a_part_is_received_another_is_told_to_wait(send, content):
    address = announce(send, len(content)).json()["upload"]
    upload = Upload.objects.get()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [upload.pk.int % 2**63])
            answer = part(send, address, 0, content)
    finally:
        other.close()
    assert (answer.status_code, code_of(answer)) == (423, "upload.busy")


def test_killed_within_a_part_it_goes_on_where_the_answers_stood(send, content, monkeypatch):
    """What was written and not answered is written again, whatever stands there."""
    address = announce(send, len(content)).json()["upload"]
    part(send, address, 0, content[:100])
    upload = Upload.objects.get()
    with uploads._path(upload.pk).open("ab") as file:
        file.write(b"torn")
    assert send("HEAD", address).headers["Upload-Offset"] == "100"
    part(send, address, 100, content[100:])
    assert uploads._path(upload.pk).read_bytes() == content


def test_a_job_killed_between_taking_the_file_and_noting_it_takes_it_once(send, content, monkeypatch):
    address = announce(send, len(content)).json()["upload"]
    part(send, address, 0, content)
    real = Upload.save
    with monkeypatch.context() as patch:
        patch.setattr(Upload, "save", lambda *_a, **_n: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            finish_upload(Upload.objects.get().pk)
    assert Upload.save is real and ImportRun.objects.count() == 1
    finish_upload(Upload.objects.get().pk)
    assert ImportRun.objects.count() == 1 and Event.objects.count() == 6


def test_a_file_that_cannot_be_read_fails_with_its_reason(send):
    address = announce(send, 4).json()["upload"]
    part(send, address, 0, b"\n\n\n\n")
    finish_upload(Upload.objects.get().pk)
    told = send("GET", address.removesuffix("/file")).json()
    assert (told["status"], told["error"]["code"]) == ("failed", "file.empty")


def test_a_file_that_is_refused_for_a_column_is_told_which(send):
    sent = b"event,phone,note,phone\nlogin,13800138000,x,13900139000\n"
    address = announce(send, len(sent)).json()["upload"]
    part(send, address, 0, sent)
    finish_upload(Upload.objects.get().pk)
    told = send("GET", address.removesuffix("/file")).json()["error"]
    assert told["code"] == "file.column_repeated" and told["message"].endswith("(column phone, columns number 2, 4)")


def test_who_sends_a_file_is_not_told_the_columns_of_others(send, source):  # noqa: F811
    matching = Matching((Column("tel", "phone"), Column("no", "id")), (RowEvent(name="login"),))
    keep(matching, source=source, headings=["no", "tel"], file_name="a", by=None)
    address = announce(send, len(b"nr,tel\n1,2\n")).json()["upload"]
    part(send, address, 0, b"nr,tel\n1,2\n")
    finish_upload(Upload.objects.get().pk)
    told = send("GET", address.removesuffix("/file")).json()["error"]
    assert told["code"] == "file.unmatched" and told["message"].endswith("(new nr)")


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", "{}", '{"file": "a"}', '{"file": "a", "size_bytes": 0}', '{"file": "a", "size_bytes": 99999999999999}',
     '{"file": "a", "size_bytes": 1, "format": {"delimiter": "x"}}', '{"file": "a", "size_bytes": 1, "format": {"widths": [0]}}', '{"file": "a", "size_bytes": 1, "dry_run": "perhaps"}'],
)  # fmt: skip
def test_an_announcement_that_is_none_is_refused(send, body):
    answer = send("POST", "/api/v1/imports", body.encode())
    assert (answer.status_code, code_of(answer)) == (400, "import.fields")


def test_a_part_that_is_none_is_refused(send, content):
    address = announce(send, len(content)).json()["upload"]
    assert code_of(send("PATCH", address, b"x", "text/csv", Upload_Offset="0")) == "upload.media_type"
    assert code_of(send("PATCH", address, b"x", PART)) == "upload.no_offset"
    assert code_of(send("PATCH", address, b"x", PART, Upload_Offset="-1")) == "upload.no_offset"
    assert code_of(send("PATCH", address, b"x", PART, Upload_Offset="0", Tus_Resumable="0.2.2")) == "upload.version"


def test_an_import_of_another_source_is_not_there(send, content):
    other = key_of(Source.objects.get(code="website"))
    announced = announce(send, len(content))
    here = announced.headers["Location"]
    for method, address in (("GET", here), ("HEAD", f"{here}/file"), ("GET", f"{here}/failed-rows"), ("GET", f"{here}/findings")):
        assert send(method, address, key=other).status_code == 404
        assert send(method, address, key="tlw_wrong").status_code == 401
    assert part(send, f"{here}/file", 0, content, key=other).status_code == 404
    assert send("GET", f"/api/v1/imports/{uuid4()}").status_code == 404


def test_failed_rows_are_not_there_before_the_end(send, content):
    here = announce(send, len(content)).headers["Location"]
    assert code_of(send("GET", f"{here}/failed-rows")) == "import.not_ended"


def test_a_full_disk_is_told_before_and_while_a_file_comes(send, content, monkeypatch):
    address = announce(send, len(content)).json()["upload"]

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ingestion.imports.uploads._make_safe", full)
        assert code_of(part(send, address, 0, content)) == "upload.no_room"
    assert part(send, address, 0, content).status_code == 204
    monkeypatch.setattr("ingestion.imports.uploads._SPARE_BYTES", 10**18)
    answer = announce(send, 10)
    assert (answer.status_code, code_of(answer)) == (507, "upload.no_room")


def test_a_source_may_have_so_many_unfinished(send, monkeypatch):
    monkeypatch.setattr("ingestion.imports.uploads.MOST_OPEN", 2)
    assert [announce(send, 10).status_code for _ in range(3)] == [201, 201, 507]


def test_what_is_not_sent_to_its_end_is_forgotten_after_days(send, content):
    address = announce(send, len(content)).json()["upload"]
    part(send, address, 0, content[:100])
    kept = uploads._path(Upload.objects.get().pk)
    assert forget_half_sent(timezone.now() + timedelta(days=6)) == 0 and kept.exists()
    assert forget_half_sent(timezone.now() + timedelta(days=8)) == 1 and not kept.exists()
    assert code_of(send("GET", address.removesuffix("/file"))) == "import.unknown"


def test_the_same_content_again_is_said_to_have_been_imported_before(send, content):
    def sent(**more) -> str:
        announced = announce(send, len(content), **more)
        part(send, announced.json()["upload"], 0, content)
        finish_upload(Upload.objects.latest("created_at").pk)
        return announced.headers["Location"]

    first = sent()
    assert [send("GET", one).json()["imported_before"] for one in (first, sent(dry_run=True), sent(), first)] == [False, True, True, False]
