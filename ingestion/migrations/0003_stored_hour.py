"""What was stored by hour. The last two days are counted anew, by first verdict, lest they seem lost."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_COUNT = """
    INSERT INTO ingestion_storedhour (source_id, hour, accepted, held)
    SELECT source_id, hour, count(*) FILTER (WHERE accepted), count(*) FILTER (WHERE NOT accepted) FROM (
        SELECT event.source_id, date_trunc('hour', event.received_at, %s) AS hour, coalesce((
            SELECT former.attributes IS NOT NULL FROM profiles_formerreading AS former WHERE former.event_id = event.id ORDER BY former.id LIMIT 1
        ), event.attributes IS NOT NULL) AS accepted
        FROM profiles_event AS event WHERE event.received_at >= now() - interval '2 days'
            AND NOT event.id <@ (SELECT coalesce(range_agg(int8range(first_id, last_id, '[]')), '{}') FROM profiles_arrival)
    ) AS counted GROUP BY 1, 2
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ingestion", "0002_count_causes"),
        ("profiles", "0001_initial"),
        ("taxonomy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("accepted", models.BigIntegerField(default=0)),
                ("held", models.BigIntegerField(default=0)),
                ("source", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="taxonomy.source")),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("source", "hour"), name="stored_hour_once")],
            },
        ),
        migrations.RunSQL([(_COUNT, [settings.TIME_ZONE])], migrations.RunSQL.noop),
    ]
