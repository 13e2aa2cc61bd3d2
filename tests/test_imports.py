"""A file comes in whole: interrupted and started again it ends as if never interrupted; its failed rows come back mended."""

import csv
import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import get_language

from ingestion.imports import chunk
from ingestion.imports.failed import failed_rows
from ingestion.imports.run import outcome, run_import, take_file
from ingestion.models import ImportRun, QuarantineReason
from profiles.models import Event, Tally
from taxonomy.models import Source

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = ["id", "event", "phone", "occurred_at", "order_id", "product_id", "price", "quantity"]


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def source(standard):
    """A source whose files are flat rows."""
    source = Source.objects.get(code="website")
    source.pk, source.code, source.envelope = None, "files", {"preset": "flat"}
    source.region, source.currency = "CN", "CNY"
    source._state.adding = True
    source.id = None
    import uuid

    source.id = uuid.uuid4()
    source.save()
    from taxonomy.publish import publish

    publish(notes="files", by=None)
    return source


def rows(number: int, **changed: dict[int, str]) -> list[list[str]]:
    made = [[f"m{at}", "purchase", f"138001380{at % 90 + 10}", "2026-03-01 10:00:00", f"o{at}", "p1", "9.90", "1"] for at in range(number)]
    for column, values in changed.items():
        for at, value in values.items():
            made[at][HEADER.index(column)] = value
    return made


def write(path: Path, lines: list[list[str]], header=HEADER) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows([header, *lines])
    path.write_text(text.getvalue())
    return path


def imported(path: Path, source: Source, **more) -> ImportRun:
    return run_import(take_file(path, source=source, file_name=path.name, **more).pk)


def test_counts_add_up_and_duplicates_are_one(source, tmp_path):
    path = write(tmp_path / "a.csv", [*rows(100, quantity={3: "many"}), *rows(2)])
    found = outcome(imported(path, source))
    assert (found.received, found.counts["accepted"], found.counts["duplicate"], found.counts["quarantined"]) == (102, 99, 2, 1)
    assert found.causes == [("attribute.wrong_type", 1)]
    assert sum(tally.received for tally in Tally.objects.all()) == 102


def test_an_interrupted_import_ends_as_if_never_interrupted(source, tmp_path, monkeypatch):
    monkeypatch.setattr("ingestion.doors.files.BLOCK_BYTES", 2_000)
    monkeypatch.setattr(
        "ingestion.imports.run.blocks",
        lambda path, found: __import__("ingestion.doors.files", fromlist=["blocks"]).blocks(path, found, block_bytes=2_000),
    )
    path = write(tmp_path / "a.csv", rows(300))
    run = take_file(path, source=source, file_name="a.csv")
    stored: list[int] = []
    real = chunk.store_block

    def failing(run_id, block):
        if len(stored) == 3:
            raise KeyboardInterrupt
        stored.append(block.index)
        real(run_id, block)

    monkeypatch.setattr("ingestion.imports.run.store_block", failing)
    with pytest.raises(KeyboardInterrupt):
        run_import(run.pk)
    assert 0 < Event.objects.count() < 300
    monkeypatch.setattr("ingestion.imports.run.store_block", real)
    assert take_file(path, source=source, file_name="a.csv").pk == run.pk
    found = outcome(run_import(run.pk))
    assert found.counts == {"accepted": 300, "changed": found.counts["changed"], "duplicate": 0, "quarantined": 0, "refused": 0}
    assert Event.objects.count() == sum(tally.received for tally in Tally.objects.all()) == 300


def test_failed_rows_come_back_and_mended_ones_close_the_held(source, tmp_path):
    path = write(tmp_path / "a.csv", rows(5, quantity={1: "two", 3: "three"}))
    run = imported(path, source)
    back = list(csv.DictReader(io.StringIO(b"".join(failed_rows(run)).decode("utf-8-sig"))))
    assert [row["order_id"] for row in back] == ["o1", "o3"]
    assert all(row["_tagline_id"] and "attributes.quantity" in row["_reason"] for row in back)
    for row in back:
        row["quantity"], row["id"] = "2", ""
    mended = write(tmp_path / "mended.csv", [list(row.values()) for row in back], list(back[0]))
    assert outcome(imported(mended, source)).counts["accepted"] == 2
    assert not QuarantineReason.objects.filter(open=True).exists()
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 5


def test_failed_rows_in_chinese_open_in_excel_and_come_back_as_they_are(source, tmp_path):
    path = write(tmp_path / "a.csv", [[*row, "有机纯牛奶"] for row in rows(2, quantity={1: "两盒"})], [*HEADER, "商品"])
    back = b"".join(failed_rows(imported(path, source)))
    assert back.startswith("\ufeffid,".encode())
    (tmp_path / "mended.csv").write_bytes(back.replace("两盒".encode(), b"2"))
    run = imported(tmp_path / "mended.csv", source)
    assert run.format["columns"][0] == "id"
    assert outcome(run).counts["accepted"] == 1
    assert not QuarantineReason.objects.filter(open=True).exists()


def test_a_dry_run_reports_and_stores_nothing(source, tmp_path):
    path = write(tmp_path / "a.csv", rows(10, phone={2: "12"}))
    found = outcome(imported(path, source, dry_run=True))
    assert (found.counts["accepted"], found.counts["quarantined"]) == (9, 1)
    assert not Event.objects.exists()
    assert not Tally.objects.exists()


def test_the_command_imports_gzip_and_prints_json(source, tmp_path, capsys):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(write(tmp_path / "a.csv", rows(7)).read_bytes()))
    call_command("import_events", str(path), source="files", json=True)
    assert json.loads(capsys.readouterr().out)["accepted"] == 7


def test_the_command_prints_what_became_of_the_rows(source, tmp_path, capsys):
    call_command(
        "import_events", str(write(tmp_path / "a.csv", [*rows(1200, quantity={3: "many"}), *rows(2)])), source="files", dry_run=True
    )
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"a.csv · {source.label} · finished · dry run"
    told = {label.strip(): count for count, label in (line.strip().split("  ", 1) for line in lines if line.startswith(" "))}
    assert (told["received in all"], told["accepted"], told["duplicate"], told["quarantined"]) == ("1,202", "1,199", "2", "1")
    assert [count for label, count in told.items() if "(attribute.wrong_type)" in label] == ["1"]


@pytest.mark.parametrize(("language", "said", "reason"), [("en", "received in all", "Seen: two."), ("zh-hans", "共收到", "实际值：two")])
def test_the_command_tells_its_reasons_in_the_language_that_is_asked_for(source, tmp_path, capsys, language, said, reason):
    failed = tmp_path / "failed.csv"
    path = write(tmp_path / "a.csv", rows(3, quantity={1: "two"}))
    call_command("import_events", str(path), source="files", failed=failed, language=language)
    assert said in capsys.readouterr().out
    assert reason in failed.read_text("utf-8-sig")
    assert get_language() == "en"


@pytest.mark.parametrize("text", ["", "[]", "phone,event,phone\n1,2,3\n"], ids=["empty", "a list", "a column twice"])
def test_the_command_fails_where_the_file_cannot_be_read(source, tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(CommandError) as told:
        call_command("import_events", str(tmp_path / "a.csv"), source="files")
    assert told.value.returncode == 1
    assert not ImportRun.objects.exists()


def test_rows_of_another_width_are_refused_and_come_back_under_their_columns(source, tmp_path):
    path = write(tmp_path / "a.csv", [*rows(2), [*rows(1)[0], "one too many"], ["m9", "purchase"]])
    run = imported(path, source)
    assert outcome(run).counts["refused"] == 2
    header, long, short = csv.reader(io.StringIO(b"".join(failed_rows(run)).decode("utf-8-sig")))
    assert header == [*HEADER, "_tagline_id", "_reason"]
    assert long[: len(HEADER)] == rows(1)[0]
    assert long[-1] == "one too many"
    assert short[:3] == ["m9", "purchase", ""]
    assert len(short) == len(header)
    assert long[len(HEADER) + 1]
    assert short[-1]
    mended = write(tmp_path / "mended.csv", [["m7", *long[1 : len(header)]]], header)
    assert outcome(imported(mended, source)).counts["accepted"] == 1


def test_a_source_that_is_not_released_fails_in_words_and_goes_on_after_its_release(source, tmp_path, capsys):
    source.pk, source.code = uuid4(), "fresh"
    source.save(force_insert=True)
    path = write(tmp_path / "a.csv", rows(3))
    with pytest.raises(CommandError, match="published standard"):
        call_command("import_events", str(path), source="fresh")
    assert ImportRun.objects.get().status == ImportRun.Status.FAILED
    from taxonomy.publish import publish

    publish(notes="fresh", by=None)
    call_command("import_events", str(path), source="fresh", json=True)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["accepted"] == 3
    assert ImportRun.objects.count() == 1


def test_without_any_release_an_import_fails_in_words(departments, tmp_path):
    from taxonomy.current import forget

    forget()
    source = Source.objects.create(code="files", source_kind="file", owner_id="data", envelope={"preset": "flat"})
    run = imported(write(tmp_path / "a.csv", rows(1)), source)
    assert (run.status, run.error) == (ImportRun.Status.FAILED, "release.none")


def test_a_large_file_is_stored_by_several_processes(source, tmp_path, monkeypatch):
    monkeypatch.setattr("ingestion.imports.run._SMALL_BYTES", 0)
    path = write(tmp_path / "a.csv", rows(200))
    assert outcome(imported(path, source)).counts["accepted"] == 200
    assert Event.objects.count() == 200


def test_the_command_reads_a_file_as_it_is_told(source, tmp_path, capsys):
    lines = ["日报", *("\t".join(line) for line in [HEADER, *rows(3)])]
    path = tmp_path / "a.txt"
    path.write_bytes("\n".join(lines).encode("gb18030"))
    call_command(
        "import_events", str(path), source="files", encoding="gb18030", delimiter="tab", quote="none", above=1, headers=1, json=True
    )
    assert json.loads(capsys.readouterr().out)["accepted"] == 3
    run = ImportRun.objects.get()
    assert [run.format[name] for name in ("encoding", "delimiter", "quote", "above")] == ["gb18030", "\t", "", 1]


@pytest.mark.parametrize(
    "said",
    [{"delimiter": "ab"}, {"delimiter": "+|+|"}, {"delimiter": "|a"}, {"delimiter": ""}, {"quote": "x"}, {"member": "b.csv"}],
    ids=str,
)
def test_the_command_says_which_way_of_reading_is_none(source, tmp_path, said):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.csv", "id,event\n1,login\n")
    with pytest.raises(CommandError):
        call_command("import_events", str(tmp_path / "a.zip"), source="files", **said)


def test_the_command_takes_fixed_widths(source, tmp_path, capsys):
    path = tmp_path / "a.txt"
    path.write_text("id    event   phone\n" + "".join(f"m{n}    login   13800138000\n" for n in range(3)))
    call_command("import_events", str(path), "--source=files", "--widths=6,8,11", "--measure=characters", "--json")
    assert json.loads(capsys.readouterr().out)["accepted"] == 3
    with pytest.raises(CommandError):
        call_command("import_events", str(path), "--source=files", "--widths=6,x")


def test_what_workers_are_forked_from_holds_nothing_that_a_fork_breaks():
    asks = "import ingestion.forked, threading; from django.db import connection; print(threading.active_count(), connection.connection)"
    told = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert told.stdout.split() == ["1", "None"]
