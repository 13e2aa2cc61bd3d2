"""The pages of the standard at 2,000 tags, 8,000 uses of attributes, 2,000 rules and 500 releases; a plan tried on 20,000 events.

Each page is timed against the same page on the starter standard alone: what it costs of itself, and what the size adds.
"""

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.bench_publish import fill
from benchmarks.database import fresh_database

RELEASES, CHANGED, PROPOSED, EVENTS, ROUNDS = 500, 600, 300, 20_000, 7


def main() -> None:
    with fresh_database():
        client = logged_in()
        small = {name: timed(client, url) for name, url in pages().items()}
        grow()
        large = {name: timed(client, url) for name, url in pages().items()}
        for name, (taken, queries) in large.items():
            before = small[name]
            print(f"{name:24} {taken:7.0f} ms, {queries:3} queries   starter standard {before[0]:5.0f} ms, {before[1]:3} queries")
        print(f"similar names {similar_names(client):7.0f} ms, what was typed among all codes, names, synonyms and names sent")
        try_on_events()


def logged_in() -> Any:
    from django.test import Client
    from django.urls import get_resolver

    from cdp.heap import settle
    from staff.models import User

    assert get_resolver().url_patterns
    settle()  # as in a web process
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("bench@tagline.example", "bench"), "django.contrib.auth.backends.ModelBackend")
    return client


def pages() -> dict[str, str]:
    from django.urls import reverse

    from taxonomy.models import Proposal, Release

    lists = ("tag", "attribute", "category", "source", "mappingrule", "proposal", "release")
    found = {f"list of {name}": reverse(f"admin:taxonomy_{name}_changelist") for name in lists}
    found["first page"] = reverse("admin:index")
    found["unreleased changes"] = reverse("admin:taxonomy_proposal_unreleased")
    found["dictionary"] = reverse("dictionary")
    found["dictionary, one tag"] = reverse("dictionary_tag", args=["purchase"])
    found["dictionary, an attribute"] = reverse("dictionary_attribute", args=["product_id"])
    found["dictionary, a source"] = reverse("dictionary_source", args=["website"])
    found["dictionary, what changed"] = reverse("dictionary_changes")
    newest, oldest = Release.objects.first(), Release.objects.last()
    assert newest and oldest
    found["a release"] = reverse("admin:taxonomy_release_change", args=[newest.pk])
    found["two releases compared"] = f"{found['a release']}?with={oldest.version}"
    proposal = Proposal.objects.first() or propose(1)
    found["a proposal"] = proposal.get_absolute_url()
    found["its checks"] = reverse("admin:taxonomy_proposal_checks", args=[proposal.pk])
    return found


def propose(count: int) -> Any:
    """A proposal in review that changes so many tags."""
    from staff.models import User
    from taxonomy.models import Tag
    from taxonomy.proposals.propose import propose as make
    from taxonomy.proposals.propose import submit

    person = User.objects.get()
    tags = list(Tag.objects.order_by("code")[:count])
    for tag in tags:
        tag.label_en += "."
        tag.save()
    proposal = make([str(tag.pk) for tag in tags], title="bench", why="bench", by=person)
    submit(proposal, by=person)
    return proposal


def grow() -> None:
    from taxonomy.models import Proposal, Release, Tag
    from taxonomy.publish import publish

    Proposal.objects.all().delete()
    fill()
    made = publish(notes="bench", by=None)
    Release.objects.bulk_create(
        Release(version=f"9.{number}.0", content_hash=made.content_hash, snapshot=made.snapshot, changed_items=[])
        for number in range(RELEASES)
    )
    for tag in Tag.objects.order_by("-code")[: CHANGED - PROPOSED]:
        tag.label_en += "!"
        tag.save()
    propose(PROPOSED)


def timed(client: Any, url: str) -> tuple[float, int]:
    """(milliseconds, median; queries) of a page."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200, url
        count = len(queries)
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(url)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000, count


def similar_names(client: Any) -> float:
    """Milliseconds, median, of what is shown while a tag's name is typed."""
    from django.urls import reverse

    taken = []
    for typed in ("addToCart", "jiaru gouwuche", "加购", "product view", "bench_tag_77", "SKU", "order number"):
        began = time.perf_counter()
        assert client.post(reverse("admin:taxonomy_tag_similar"), {"code": typed, "label_en": typed}).status_code == 200
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def try_on_events() -> None:
    """A plan with one change over the newest events; the limit: reading the same originals from the database."""
    from django.db import connection

    from cdp.demo.shop import days
    from ingestion.pipeline import Incoming, receive
    from ingestion.trial import try_plan
    from taxonomy.current import current
    from taxonomy.publish import company_day, items_of, newest
    from taxonomy.standardize import compile_plan

    for received_at, source, made in days(datetime(2026, 6, 1, tzinfo=UTC).date()):
        receive([Incoming(record) for record in made], source_code=source, door="api", received_at=received_at, current=current())
    since = datetime(2026, 6, 1, tzinfo=UTC) - timedelta(days=120)
    items = items_of(newest())
    view = next(item for item, one in items.items() if one["kind"] == "tag" and one["code"] == "product_view")
    began = time.perf_counter()
    drafted = items | {view: items[view] | {"status": "draft"}}
    done = try_plan(compile_plan(items), compile_plan(drafted), since=since, today=company_day(), sample=EVENTS)
    taken = time.perf_counter() - began
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT record FROM profiles_original ORDER BY event_id DESC LIMIT %s", [done.accepted + done.held])
        cursor.fetchall()
    read = time.perf_counter() - began
    print(f"a plan tried on {done.accepted:,} accepted and {done.held:,} held events: {taken:.1f} s, {taken / read:.0f} times reading them; {done.count('held'):,} would be held")  # fmt: skip


if __name__ == "__main__":
    main()
