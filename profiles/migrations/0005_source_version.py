from django.db import migrations, models

# What is there already is counted too, in runs of the size a follow-up takes at once.
ARRIVALS = """
INSERT INTO profiles_arrival (first_id, last_id)
SELECT first_id, first_id + 9999 FROM (SELECT min(id) AS least, max(id) AS most FROM profiles_event) AS there,
    generate_series(least, most, 10000) AS first_id
"""


class Migration(migrations.Migration):
    dependencies = [("profiles", "0004_shared_original")]

    operations = [
        migrations.AddField(
            "event",
            "source_version",
            models.TextField(help_text="As sent, such as an app's 4.2.0", null=True, verbose_name="source version"),
        ),
        migrations.CreateModel(
            "Arrival",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("first_id", models.BigIntegerField()),
                ("last_id", models.BigIntegerField()),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunSQL(ARRIVALS, migrations.RunSQL.noop),
    ]
