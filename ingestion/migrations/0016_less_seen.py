from django.conf import settings
from django.db import migrations, models

# What is taken back now, as it was read first.
_TAKEN = """
    SELECT event.id, event.take_back_id, event.source_id, event.name, event.received_at,
        CASE WHEN (first.one).id IS NULL THEN event.tag_id ELSE (first.one).tag_id END AS tag_id,
        CASE WHEN (first.one).id IS NULL THEN event.rule_id ELSE (first.one).rule_id END AS rule,
        CASE WHEN (first.one).id IS NULL THEN event.attributes ELSE (first.one).attributes END AS attributes,
        CASE WHEN (first.one).id IS NULL THEN event.report ELSE (first.one).report END AS report
    FROM profiles_event AS event LEFT JOIN LATERAL (
        SELECT (array_agg(former ORDER BY former.id))[1] AS one FROM profiles_formerreading AS former WHERE former.event_id = event.id
    ) AS first ON true WHERE event.take_back_id IS NOT NULL AND event.standing = 3
"""
# It goes from the ledger's rows without a rule to rows with one: each sum by source, tag and day stays.
_PART = f"""
    INSERT INTO ingestion_withdrawal (take_back_id, source_id, tag_id, rule, day, counted, held, at)
    SELECT taken.take_back_id, taken.source_id, taken.tag_id, side.rule, taken.day, side.sign * taken.counted, side.sign * taken.held, now()
    FROM (
        SELECT take_back_id, source_id, tag_id, rule, (received_at AT TIME ZONE %s)::date AS day,
            count(*) FILTER (WHERE attributes IS NOT NULL) AS counted, count(*) FILTER (WHERE attributes IS NULL) AS held
        FROM ({_TAKEN}) AS event WHERE rule IS NOT NULL GROUP BY 1, 2, 3, 4, 5
    ) AS taken CROSS JOIN LATERAL (VALUES (taken.rule, 1), (NULL, -1)) AS side (rule, sign)
"""
# From now on less is seen of a name where its events are taken back, and more where they are put back.
_LESS = f"""
    INSERT INTO ingestion_sighting (kind, source_id, tag_id, name, count, first_at, last_at, kinds, examples)
    SELECT CASE WHEN known.id IS NULL THEN 'rest' ELSE gone.kind END, gone.source_id, CASE WHEN known.id IS NOT NULL THEN gone.tag_id END,
        CASE WHEN known.id IS NULL THEN '' ELSE gone.name END, -sum(gone.count), min(gone.first_at), max(gone.last_at), '{{}}', '[]'
    FROM (
        SELECT kind, source_id, tag_id, name, count(*) AS count, min(received_at) AS first_at, max(received_at) AS last_at FROM (
            SELECT 'name' AS kind, source_id, NULL::uuid AS tag_id, left(name, 200) AS name, received_at FROM ({_TAKEN}) AS event
            WHERE attributes IS NULL AND name IS NOT NULL AND report->'violations' @> '[{{"code": "event.unknown"}}]'
            UNION ALL
            SELECT 'attribute', source_id, tag_id, left(substring(violation->>'path' FROM 12), 200), received_at
            FROM ({_TAKEN}) AS event CROSS JOIN LATERAL jsonb_array_elements(report->'violations') WITH ORDINALITY AS each (violation, place)
            WHERE report IS NOT NULL AND place <= 200 AND violation->>'code' = 'attribute.unplanned' AND tag_id IS NOT NULL
        ) AS said GROUP BY 1, 2, 3, 4
    ) AS gone LEFT JOIN ingestion_discovered AS known ON known.source_id = gone.source_id AND known.kind = gone.kind
        AND known.tag_id IS NOT DISTINCT FROM gone.tag_id AND known.name = gone.name
    GROUP BY 1, 2, 3, 4
"""
# As many more, lest it be less twice once this is applied again.
_MORE = _LESS.replace("-sum(gone.count)", "sum(gone.count)")


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0015_replay_to_undo")]

    operations = [
        migrations.AddField("withdrawal", "rule", models.UUIDField(null=True)),
        migrations.AddField(
            "leak", "taken_back", models.BooleanField(db_default=False, help_text="Whether all events that hold it are taken back")
        ),
        migrations.RunSQL([(_PART, [settings.TIME_ZONE])], migrations.RunSQL.noop),
        migrations.RunSQL(_LESS, _MORE),
    ]
