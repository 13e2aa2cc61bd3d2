from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("profiles", "0005_source_version")]

    operations = [
        migrations.AlterField(
            model_name="batch",
            name="door",
            field=models.CharField(choices=[("api", "API"), ("file", "file"), ("segment", "Segment")], max_length=8, verbose_name="door"),
        ),
    ]
