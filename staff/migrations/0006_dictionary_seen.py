from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("staff", "0005_handovers")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="seen_release",
            field=models.PositiveBigIntegerField(
                editable=False, help_text="The release up to which this person knows what changed in the dictionary", null=True
            ),
        ),
    ]
