"""Which events somebody means to take back, and whom and what that touches: a look that changes nothing."""

from typing import Any

from django.db import connection
from django.db.models import Max, Min

from ingestion.models import TakeBack
from profiles.bought import bought, separate_sources
from profiles.models import Tally
from taxonomy.released import by_code

# All but what is taken back already: what was corrected, discarded or merged would come back by another act, or keep its key.
STANDINGS = "(1, 2, 4, 5, 6)"
_MOST_MENDING = 10
# Whose an event is.
_CUSTOMER = """(SELECT min(link.customer_id) FROM profiles_link AS link WHERE link.subject_id = event.subject_id AND link.withdrawn_at IS NULL
    AND event.occurred_at >= coalesce(link.since, '-infinity') AND event.occurred_at < coalesce(link.until, 'infinity'))"""


def selection(take_back: TakeBack) -> tuple[str, dict[str, Any]]:
    """Which events are meant: conditions on `event`, and their values.

    The time received is always among the conditions: it has an index, which the batch has not.
    """
    where = ["event.source_id = %(source)s", "event.received_at < %(received_until)s"]
    values: dict[str, Any] = {"source": take_back.source_id, "received_until": take_back.received_until}
    if take_back.batch_id:
        sent = Tally.objects.filter(batch_id=take_back.batch_id).aggregate(first=Min("received_at"), last=Max("received_at"))
        where += ["event.batch_id = %(batch)s", "event.received_at BETWEEN %(first)s AND %(last)s"]
        values |= {"batch": take_back.batch_id, **sent}
    if take_back.key_id:
        where.append("EXISTS (SELECT FROM profiles_batch AS batch WHERE batch.id = event.batch_id AND batch.key_id = %(key)s)")
        values["key"] = take_back.key_id
    if take_back.tag_id:
        where.append("event.tag_id = %(tag)s")
        values["tag"] = take_back.tag_id
    for name, condition in (
        ("received_since", "event.received_at >= %(received_since)s"),
        ("occurred_since", "event.occurred_at >= %(occurred_since)s"),
        ("occurred_until", "event.occurred_at < %(occurred_until)s"),
    ):
        if getattr(take_back, name) is not None:
            where.append(condition)
            values[name] = getattr(take_back, name)
    return " AND ".join(where), values


def touched(take_back: TakeBack) -> dict[str, Any]:
    """What it would take back: three questions over the events meant.

    {"counted", "held" (or discarded), "corrected" (held, and mended since), "merged" (counted, and merged since), "customers": numbers;
    "tags": [[tag's uuid or null, counted or merged, held or corrected]], most first;
    "mended_by": of a delivery [[another's uuid, events of it that count in the place of held ones of this]];
    "money": [[currency, purchases less refunds, as text]]; "first_at", "last_at": when the counted ones occurred; "first_id", "last_id"}
    """
    meant, values = selection(take_back)
    events = f"profiles_event AS event WHERE {meant}"
    found: dict[str, Any] = {"counted": 0, "held": 0, "corrected": 0, "merged": 0, "tags": []}
    money = {code: tag.pk if (tag := by_code("tag", code)) else None for code in ("purchase", "refund")}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT tag_id::text, count(*) FILTER (WHERE standing = 1), count(*) FILTER (WHERE standing IN (2, 5)),
                count(*) FILTER (WHERE standing = 4), count(*) FILTER (WHERE standing = 6),
                min(occurred_at) FILTER (WHERE standing = 1), max(occurred_at) FILTER (WHERE standing = 1), min(id), max(id)
            FROM {events} AND standing IN {STANDINGS} GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1
            """,
            values,
        )
        rows = cursor.fetchall()
        for tag, counted, held, corrected, merged, *_ends in rows:
            found["counted"] += counted
            found["held"] += held
            found["corrected"] += corrected
            found["merged"] += merged
            found["tags"].append([tag, counted + merged, held + corrected])
        found |= {
            "first_at": min((row[5].isoformat() for row in rows if row[5]), default=None),
            "last_at": max((row[6].isoformat() for row in rows if row[6]), default=None),
            "first_id": min((row[7] for row in rows), default=0),
            "last_id": max((row[8] for row in rows), default=0),
        }
        cursor.execute(
            f"""
            SELECT count(DISTINCT link.customer_id) FROM (SELECT DISTINCT subject_id, occurred_at FROM {events} AND standing = 1) AS said
            JOIN profiles_link AS link ON link.subject_id = said.subject_id AND link.withdrawn_at IS NULL
                AND said.occurred_at >= coalesce(link.since, '-infinity') AND said.occurred_at < coalesce(link.until, 'infinity')
            """,
            values,
        )
        found["customers"] = cursor.fetchone()[0]
        cursor.execute(
            f"""
            SELECT currency, sum(CASE WHEN tag_id = %(refund)s THEN -amount ELSE amount END)::text
            FROM ({bought(f"FROM {events}", customer=_CUSTOMER)}) AS one WHERE counts GROUP BY 1 ORDER BY 1
            """,
            values | money | {"separate": separate_sources([take_back.source_id])},
        )
        found["money"] = [list(row) for row in cursor.fetchall()]
        if take_back.batch_id:
            cursor.execute(
                f"""
                SELECT mend.batch_id::text, count(*) FROM (SELECT corrected_by_id FROM {events} AND standing = 4) AS held
                JOIN profiles_event AS mend ON mend.id = held.corrected_by_id
                WHERE mend.standing = 1 AND mend.batch_id <> %(batch)s GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(most)s
                """,
                values | {"most": _MOST_MENDING},
            )
            found["mended_by"] = [list(row) for row in cursor.fetchall()]
    return found
