"""Publishing one change to a plan of 2,000 tags and 2,000 rules: how long it takes, and from its call until every process obeys."""

import multiprocessing
import statistics
import time
from typing import Any
from uuid import UUID, uuid5

from benchmarks.database import fresh_database

TAGS = RULES = 2_000
PROCESSES, ROUNDS = 3, 5
_SPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def main() -> None:
    with fresh_database():
        from taxonomy.models import Source, Tag
        from taxonomy.publish import publish

        fill()
        publish(notes="bench", by=None)
        context = multiprocessing.get_context("spawn")
        told: Any = context.Queue()
        watchers = [context.Process(target=watch, args=(told,), daemon=True) for _ in range(PROCESSES)]
        for watcher in watchers:
            watcher.start()
        for _ in watchers:
            told.get(timeout=60)
        obeyed, published = [], []
        tag = Tag.objects.get(code="bench_tag_0")
        for number in range(ROUNDS):
            tag.label_en = f"Round {number}"
            tag.save()
            began = time.time()
            publish([str(tag.pk)], notes="one", by=None)
            done = time.time()
            obeyed.append(max(told.get(timeout=10) for _ in watchers) - began)
            published.append(done - began)
        for watcher in watchers:
            watcher.kill()
        print(f"{TAGS + RULES:,} items, {Source.objects.count()} sources: a publication takes {statistics.median(published):.2f} s")
        print(
            f"from the call until each of {PROCESSES} processes obeys: {statistics.median(obeyed):.2f} s (median of {ROUNDS}), {max(obeyed):.2f} s at most"
        )


def fill() -> None:
    """2,000 tags of four attributes each, and a rule for each."""
    from staff.models import Department
    from taxonomy.models import Attribute, Category, MappingRow, MappingRule, Source, Tag, TagAttribute

    owner, category, source = Department.objects.all()[0], Category.objects.all()[0], Source.objects.get(code="website")
    attributes = list(Attribute.objects.filter(type="text")[:4])
    tags = Tag.objects.bulk_create(
        Tag(
            id=uuid5(_SPACE, f"tag {number}"), code=f"bench_tag_{number}", label_en=f"Tag {number}", label_zh_hans=f"标签 {number}",
            category=category, owner=owner, status="active",
        )
        for number in range(TAGS)
    )  # fmt: skip
    TagAttribute.objects.bulk_create(TagAttribute(tag=tag, attribute=one, position=at) for tag in tags for at, one in enumerate(attributes))
    rules = MappingRule.objects.bulk_create(
        MappingRule(id=uuid5(_SPACE, f"rule {number}"), source=source, position=1_000 + number, name=f"sent.{number}", tag=tag)
        for number, tag in enumerate(tags)
    )
    MappingRow.objects.bulk_create(MappingRow(rule=rule, target=attributes[0].code, path="given.value", position=0) for rule in rules)


def watch(told: Any) -> None:
    """What a web process does: ask for the current plan at every request. Tells when it obeys another one."""
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
    django.setup()
    from taxonomy.current import current

    seen = current().version
    told.put(time.time())
    while True:
        if current().version != seen:
            seen = current().version
            told.put(time.time())
        time.sleep(0.002)


if __name__ == "__main__":
    main()
