from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingestion', '0016_less_seen'),
    ]

    operations = [
        migrations.AddField(
            model_name='importchunk',
            name='traps',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list, help_text='what may be read otherwise: [[kind, column, row number, cell, [meanings]]]'),
        ),
    ]
