import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What is taken back now goes from the rows without a tag to rows with one: each sum by source and day stays.
_PART = """
    INSERT INTO ingestion_withdrawal (take_back_id, source_id, tag_id, day, counted, held, at)
    SELECT taken.take_back_id, taken.source_id, side.tag_id, taken.day, side.sign * taken.counted, side.sign * taken.held, now()
    FROM (
        SELECT event.take_back_id, event.source_id, CASE WHEN first.counted IS NULL THEN event.tag_id ELSE first.tag_id END AS tag_id,
            (event.received_at AT TIME ZONE %s)::date AS day,
            count(*) FILTER (WHERE coalesce(first.counted, event.attributes IS NOT NULL)) AS counted,
            count(*) FILTER (WHERE NOT coalesce(first.counted, event.attributes IS NOT NULL)) AS held
        FROM profiles_event AS event LEFT JOIN LATERAL (
            SELECT (array_agg(tag_id ORDER BY id))[1] AS tag_id, (array_agg(attributes IS NOT NULL ORDER BY id))[1] AS counted
            FROM profiles_formerreading AS former WHERE former.event_id = event.id
        ) AS first ON true WHERE event.take_back_id IS NOT NULL AND event.standing = 3 GROUP BY 1, 2, 3, 4
    ) AS taken CROSS JOIN LATERAL (VALUES (taken.tag_id, 1), (NULL, -1)) AS side (tag_id, sign)
    WHERE taken.tag_id IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0013_replay_undone"), ("taxonomy", "0001_initial")]

    operations = [
        migrations.AddField(
            "withdrawal",
            "tag",
            models.ForeignKey(
                db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="taxonomy.tag"
            ),
        ),
        migrations.RunSQL([(_PART, [settings.TIME_ZONE])], migrations.RunSQL.noop),
    ]
