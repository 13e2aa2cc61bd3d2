"""What is taken back counts in no sum of a cause: the trigger of 0002 leaves it out, and what is taken back by now is marked."""

from django.db import migrations

_COLUMNS = "source_id, code, path, name, at, arrived, held, events, fixed, fixed_after_seconds, first_at, last_at"


def _sums(counts: str, *tables: tuple[str, int]) -> str:
    """What rows of these tables say of their causes, times 1 or -1; of those that do not count, only what they hold."""
    lines = " UNION ALL ".join(
        f"""
        SELECT source_id, code, path, name, date_bin('15 minutes', received_at, 'epoch') AS at, received_at, {sign} * ({counts})::int AS arrived,
            {sign} * open::int AS held, {sign} * (open AND leads)::int AS events, 0 AS fixed, 0::float8 AS seconds FROM {table}
        UNION ALL
        SELECT source_id, code, path, name, date_bin('15 minutes', fixed_at, 'epoch'), received_at, 0, 0, 0,
            {sign}, {sign} * extract(epoch FROM fixed_at - received_at)::float8 FROM {table} WHERE fixed_at IS NOT NULL AND {counts}
        """
        for table, sign in tables
    )
    return f"""
        INSERT INTO ingestion_causemove ({_COLUMNS})
        SELECT source_id, code, path, name, at, sum(arrived), sum(held), sum(events), sum(fixed), sum(seconds), min(received_at),
            max(received_at)
        FROM ({lines}) AS line GROUP BY source_id, code, path, name, at
        HAVING sum(arrived) <> 0 OR sum(held) <> 0 OR sum(events) <> 0 OR sum(fixed) <> 0;
    """


def _function(counts: str) -> str:
    return f"""
        CREATE OR REPLACE FUNCTION ingestion_cause_moves() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN {_sums(counts, ("come", 1))}
            ELSIF TG_OP = 'DELETE' THEN {_sums(counts, ("gone", -1))}
            ELSE {_sums(counts, ("come", 1), ("gone", -1))}
            END IF;
            RETURN NULL;
        END $$;
    """


_MARK = """
    UPDATE ingestion_quarantinereason SET taken_back = true WHERE event_id IN (SELECT id FROM profiles_event WHERE standing = 3)
"""
_UNMARK = "UPDATE ingestion_quarantinereason SET taken_back = false WHERE taken_back"


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0011_reasons_taken_back")]

    operations = [
        migrations.RunSQL(_function("NOT taken_back"), _function("true")),
        migrations.RunSQL(_MARK, _UNMARK),
    ]
