"""What a try shows of each outcome: its own events, each once, and of what failed by different reasons."""

import pytest
from django.urls import reverse
from test_file_matching import BOUGHT, PURCHASE, kept, load, replace_events, rows, till  # noqa: F401

from ingestion.doors.files import RowEvent, blocks
from ingestion.models import ImportRun
from profiles.models import Event
from staff.models import User

pytestmark = pytest.mark.django_db(transaction=True)

LOGIN = RowEvent(name="login")


@pytest.fixture
def shown(admin_client):
    """The examples on a try's page: {what became of them: [(row, event as sent, verdict)]}."""

    def shown(run: ImportRun) -> dict[str, list[tuple[int, str, str]]]:
        page = admin_client.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
        return {outcome: [(one.row, one.name, one.verdict) for one in events] for outcome, events in page.context["examples"]}

    return shown


def test_each_shows_the_events_that_became_so_and_each_once(till, load, shown):  # noqa: F811
    again = RowEvent(name="purchase", only_if="券", columns=BOUGHT)
    kept(till, replace_events(PURCHASE, *PURCHASE.events, LOGIN, again))
    found = shown(load(rows(2, 券={0: "C1"}), dry_run=True))
    assert found["New customers"] == [(2, "purchase", "accepted"), (3, "purchase", "accepted")]
    assert [one for one in found["Brought to the standard"] if one[0] == 2] == [(2, "purchase", "accepted")] * 2


def test_a_duplicate_says_that_it_is_one(till, load, shown):  # noqa: F811
    kept(till)
    found = shown(load([*rows(2), *rows(1)], dry_run=True))
    assert found["Duplicates"] == [(4, "purchase", "duplicate")]


@pytest.mark.parametrize(("block_bytes", "seen"), [(100_000, [2, 11]), (500, [2, 11, 20])])
def test_what_failed_shows_each_reason_before_one_twice(till, load, admin_client, monkeypatch, block_bytes, seen):  # noqa: F811
    monkeypatch.setattr("ingestion.imports.run.blocks", lambda path, found: blocks(path, found, block_bytes=block_bytes))
    kept(till)
    lines = rows(20, 数量=dict.fromkeys(range(9), "many"), 日期=dict.fromkeys(range(9, 16), "soon"), 会员手机={18: "12"})
    run = load(lines, dry_run=True)
    assert all(len(some) <= 2 for chunk in run.chunks.all() for some in chunk.examples.values())
    page = admin_client.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    held = dict(page.context["examples"])["quarantined"]
    assert [one.row for one in held] == seen


def test_what_an_earlier_version_tried_is_still_shown(till, load, shown):  # noqa: F811
    kept(till, replace_events(PURCHASE, *PURCHASE.events, LOGIN))
    run = load(rows(1), dry_run=True)
    for chunk in run.chunks.all():
        chunk.examples = {outcome: [one[:2] for one in some] for outcome, some in chunk.examples.items()}
        chunk.save()
    assert shown(run)["New customers"] == [(2, "purchase", "accepted"), (2, "login", "accepted")]


def test_its_signs_are_those_of_the_language(till, load, client):  # noqa: F811
    kept(till)
    client.force_login(User.objects.create_superuser("zh@example.com", "x", language="zh-hans"))
    run = load(rows(2, 数量={1: "many"}))
    Event.objects.filter(standing=Event.Standing.HELD).update(standing=Event.Standing.DISCARDED)
    page = client.get(reverse("admin:ingestion_importrun_change", args=[run.pk])).content.decode()
    assert "1 行失败。" in page
    tried = load(rows(3, 数量={2: "some"}), dry_run=True)
    page = client.get(reverse("admin:ingestion_importrun_change", args=[tried.pk])).content.decode()
    assert "：示例" in page and ": 示例" not in page and "：数量" in page
