from django.db import migrations, models

# Of the rows of a pair the earliest stays; its links are drawn anew.
KEEP_EARLIEST = """
DELETE FROM profiles_tie AS later USING profiles_tie AS earlier
WHERE later.weaker_id = earlier.weaker_id AND later.stronger_id = earlier.stronger_id
  AND (later.first_at, later.id) > (earlier.first_at, earlier.id);
UPDATE profiles_tie SET settled = false;
"""


class Migration(migrations.Migration):
    dependencies = [("profiles", "0002_initial")]

    operations = [
        migrations.RunSQL(KEEP_EARLIEST, migrations.RunSQL.noop),
        migrations.RemoveConstraint("tie", "tie_unique"),
        migrations.RemoveField("tie", "last_at"),
        migrations.AddConstraint("tie", models.UniqueConstraint(fields=["weaker", "stronger"], name="tie_unique")),
    ]
