"""The trigger that notes how a cause's sums move."""

from django.db import migrations

_COLUMNS = "source_id, code, path, name, at, arrived, held, events, fixed, fixed_after_seconds, first_at, last_at"


def _sums(*tables: tuple[str, int]) -> str:
    """What rows of these tables say of their causes, times 1 or -1; nothing where it comes to nothing."""
    lines = " UNION ALL ".join(
        f"""
        SELECT source_id, code, path, name, date_bin('15 minutes', received_at, 'epoch') AS at, received_at, {sign} AS arrived,
            {sign} * open::int AS held, {sign} * (open AND leads)::int AS events, 0 AS fixed, 0::float8 AS seconds FROM {table}
        UNION ALL
        SELECT source_id, code, path, name, date_bin('15 minutes', fixed_at, 'epoch'), received_at, 0, 0, 0,
            {sign}, {sign} * extract(epoch FROM fixed_at - received_at)::float8 FROM {table} WHERE fixed_at IS NOT NULL
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


_TRIGGERS = f"""
    CREATE FUNCTION ingestion_cause_moves() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN {_sums(("come", 1))}
        ELSIF TG_OP = 'DELETE' THEN {_sums(("gone", -1))}
        ELSE {_sums(("come", 1), ("gone", -1))}
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER cause_moves_in AFTER INSERT ON ingestion_quarantinereason
        REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION ingestion_cause_moves();
    CREATE TRIGGER cause_moves_out AFTER DELETE ON ingestion_quarantinereason
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION ingestion_cause_moves();
    CREATE TRIGGER cause_moves AFTER UPDATE ON ingestion_quarantinereason
        REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION ingestion_cause_moves();
"""
_NO_TRIGGERS = """
    DROP TRIGGER cause_moves ON ingestion_quarantinereason;
    DROP TRIGGER cause_moves_out ON ingestion_quarantinereason;
    DROP TRIGGER cause_moves_in ON ingestion_quarantinereason;
    DROP FUNCTION ingestion_cause_moves();
"""

class Migration(migrations.Migration):
    dependencies = [("ingestion", "0001_initial")]

    operations = [migrations.RunSQL(_TRIGGERS, _NO_TRIGGERS)]
