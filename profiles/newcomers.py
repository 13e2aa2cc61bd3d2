"""Whether customers are known already, before anything of them is stored."""

from collections.abc import Collection, Sequence

from django.db import connection

from profiles.subjects import subject_key
from taxonomy.standardize import Subject


def known_among(asked: Sequence[tuple[Subject, Collection[Subject]]]) -> list[bool]:
    """For each subject, with the others that its event came with: whether the event would join a customer. One query.

    Others lead to a customer as ties do: never from a phone to somebody who is known by another.
    """
    keys = {subject_key(one) for subject, others in asked for one in (subject, *others)}
    if not keys:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT subject.key, bool_or(EXISTS (
                SELECT FROM profiles_link AS other JOIN profiles_subject AS phone ON phone.id = other.subject_id AND phone.kind = 'phone'
                WHERE other.customer_id = link.customer_id
            ))
            FROM profiles_subject AS subject JOIN profiles_link AS link ON link.subject_id = subject.id
            WHERE subject.key = ANY(%s) GROUP BY subject.key
            """,
            [sorted(keys)],
        )
        has_phone = {bytes(key): with_phone for key, with_phone in cursor.fetchall()}
    return [
        subject_key(subject) in has_phone
        or any((found := has_phone.get(subject_key(other))) is not None and not (found and subject.kind == "phone") for other in others)
        for subject, others in asked
    ]
