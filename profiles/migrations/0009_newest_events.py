from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("profiles", "0008_anew")]

    operations = [
        migrations.AddField(
            "tally",
            "newest",
            ArrayField(
                models.BigIntegerField(),
                help_text="The last of its events, held ones before others; at most twenty",
                null=True,
            ),
        ),
    ]
