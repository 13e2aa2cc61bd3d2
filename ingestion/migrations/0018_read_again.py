import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from taxonomy.standardize.codes import HELD

# What is taken back now, as it was read first, of what was only watched.
_WATCHED_LESS = """
    INSERT INTO ingestion_watchedless (take_back_id, day, source_id, tag_id, code, path, count)
    SELECT take_back_id, day, source_id, tag_id, code, path, events FROM (
        SELECT event.take_back_id, (event.received_at AT TIME ZONE %s)::date AS day, event.source_id, event.tag_id,
            left(violation->>'code', 60) AS code,
            CASE WHEN violation->>'code' = ANY(%s) THEN ''
                 ELSE left(regexp_replace(coalesce(violation->>'path', ''), '\\[\\d+\\]|\\.\\d+(?=\\.|$)', '[]', 'g'), 200) END AS path,
            CASE WHEN coalesce(violation->>'mode', '') <> '' THEN 'watched' WHEN violation->>'code' <> ALL(%s) THEN 'noted'
                 WHEN event.attributes IS NULL THEN 'held' ELSE 'watched' END AS effect,
            count(DISTINCT event.id) AS events
        FROM (
            SELECT event.id, event.take_back_id, event.source_id, event.received_at,
                CASE WHEN (first.one).id IS NULL THEN event.tag_id ELSE (first.one).tag_id END AS tag_id,
                CASE WHEN (first.one).id IS NULL THEN event.attributes ELSE (first.one).attributes END AS attributes,
                CASE WHEN (first.one).id IS NULL THEN event.report ELSE (first.one).report END AS report
            FROM profiles_event AS event LEFT JOIN LATERAL (
                SELECT (array_agg(former ORDER BY former.id + 0))[1] AS one FROM profiles_formerreading AS former
                WHERE former.event_id = event.id
            ) AS first ON true WHERE event.take_back_id IS NOT NULL AND event.standing = 3
        ) AS event CROSS JOIN LATERAL jsonb_array_elements(event.report->'violations') WITH ORDINALITY AS each (violation, place)
        WHERE event.report IS NOT NULL AND place <= 200 GROUP BY 1, 2, 3, 4, 5, 6, 7
    ) AS violated WHERE effect = 'watched'
"""
_FREE_PATHS = ["record.repeated_key", "envelope.unknown_field", "identifier.unknown_kind", "attribute.unplanned"]
# Of sources of which something was ever taken back.
_NAMES = """
    INSERT INTO ingestion_sighting (kind, source_id, tag_id, name, count, first_at, last_at, kinds, examples, again)
    SELECT kind, source_id, tag_id, name, 0, first_at, last_at, '{}', '[]', true FROM ingestion_discovered
    WHERE kind <> 'rest' AND source_id IN (SELECT source_id FROM ingestion_withdrawal)
"""
_LEAKS = """
    UPDATE ingestion_leak SET again = 1, taken_back = false
    WHERE attribute <> '…' AND length(attribute) < 200 AND source_id IN (SELECT source_id FROM ingestion_withdrawal)
"""
_COUNTS_AGAIN = "UPDATE ingestion_leak SET count = count + count_away, lookalikes = lookalikes + lookalikes_away"


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0017_traps_of_chunks"), ("taxonomy", "0003_ended_sources_by_id")]

    operations = [
        migrations.AddField(
            "leak", "again", models.IntegerField(db_default=0, default=0, help_text="How often events were taken back or put back since it was read again")
        ),
        migrations.AddField("leak", "count_away", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("leak", "lookalikes_away", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("sighting", "again", models.BooleanField(db_default=False, default=False)),
        migrations.CreateModel(
            "WatchedLess",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("day", models.DateField(help_text="The company's day of received_at")),
                ("code", models.CharField(max_length=60)),
                ("path", models.CharField(max_length=200)),
                ("count", models.BigIntegerField()),
                (
                    "source",
                    models.ForeignKey(
                        "taxonomy.source", django.db.models.deletion.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
                    ),
                ),
                (
                    "tag",
                    models.ForeignKey(
                        "taxonomy.tag", django.db.models.deletion.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
                    ),
                ),
                (
                    "take_back",
                    models.ForeignKey("ingestion.takeback", django.db.models.deletion.PROTECT, db_index=False, related_name="+"),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["tag", "day"], name="ingestion_w_tag_id_6795c1_idx")],
            },
        ),
        migrations.RunSQL([(_WATCHED_LESS, [settings.TIME_ZONE, _FREE_PATHS, list(HELD)])], migrations.RunSQL.noop),
        migrations.RunSQL(_NAMES, migrations.RunSQL.noop),
        migrations.RunSQL(_LEAKS, _COUNTS_AGAIN),
    ]
