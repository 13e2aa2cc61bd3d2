"""Subjects: from what an event says it is about to a row's id, set-based; a new phone makes its customer in the same commit."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from uuid import uuid4

from django.db.backends.utils import CursorWrapper

from profiles.copying import hex_array
from taxonomy.standardize import Subject

_KEPT = 200_000


class Known:
    """A bounded memory of subjects' ids, per process. Learns only what was committed."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._ids: OrderedDict[Subject, int] = OrderedDict()
        self._kept = kept
        self._lock = threading.Lock()

    def get(self, subject: Subject) -> int | None:
        return self._ids.get(subject)

    def learn(self, found: dict[Subject, int]) -> None:
        with self._lock:
            self._ids.update(found)
            while len(self._ids) > self._kept:
                self._ids.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._ids.clear()


known = Known()


def subject_key(subject: Subject) -> bytes:
    """16-byte BLAKE2b of kind, namespace and value: the unique index holds no personal data."""
    return blake2b("\0".join(subject).encode("utf-8", "surrogatepass"), digest_size=16, person=b"subject").digest()


def subject_ids(cursor: CursorWrapper, subjects: Iterable[Subject]) -> dict[Subject, int]:
    """The ids of these subjects, new ones made: {subject: id}. What is not yet known takes three queries, more for new phones.

    The caller tells `known` after its commit.
    """
    found: dict[Subject, int] = {}
    unknown: dict[bytes, Subject] = {}
    for subject in subjects:
        subject_id = known.get(subject)
        if subject_id is not None:
            found[subject] = subject_id
        elif subject not in found:
            unknown[subject_key(subject)] = subject
    if unknown:
        found |= _looked_up_or_made(cursor, unknown)
    return found


def _looked_up_or_made(cursor: CursorWrapper, unknown: dict[bytes, Subject]) -> dict[Subject, int]:
    by_key = _looked_up(cursor, list(unknown))
    missing = sorted(key for key in unknown if key not in by_key)
    if missing:
        subjects = [unknown[key] for key in missing]
        cursor.execute(
            """
            INSERT INTO profiles_subject (kind, namespace, value, key)
            SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bytea[])
            ON CONFLICT (key) DO NOTHING RETURNING id, key
            """,
            [[one.kind for one in subjects], [one.namespace for one in subjects], [one.value for one in subjects], missing],
        )
        made = {bytes(key): subject_id for subject_id, key in cursor.fetchall()}
        _make_customers(cursor, [made[key] for key in made if unknown[key].kind == "phone"])
        by_key |= made
        if others := [key for key in missing if key not in made]:
            by_key |= _looked_up(cursor, others)
    return {subject: by_key[key] for key, subject in unknown.items()}


def _looked_up(cursor: CursorWrapper, keys: list[bytes]) -> dict[bytes, int]:
    cursor.execute("SELECT key, id FROM profiles_subject WHERE key = ANY(%s::bytea[])", [hex_array(keys)])
    return {bytes(key): subject_id for key, subject_id in cursor.fetchall()}


def _make_customers(cursor: CursorWrapper, phone_ids: list[int]) -> None:
    """A customer and a link without end for each new phone."""
    if not phone_ids:
        return
    cursor.execute(
        """
        WITH numbered AS (SELECT * FROM unnest(%s::bigint[], %s::uuid[]) AS wanted (subject_id, public_id)),
        made AS (
            INSERT INTO profiles_customer (public_id, created_at)
            SELECT public_id, now() FROM numbered RETURNING id, public_id
        )
        INSERT INTO profiles_link (subject_id, customer_id, evidence, created_at)
        SELECT numbered.subject_id, made.id, 'phone', now() FROM numbered JOIN made USING (public_id)
        """,
        [phone_ids, [uuid4() for _ in phone_ids]],
    )
