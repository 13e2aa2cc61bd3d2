from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingestion', '0005_replayed_held'),
    ]

    operations = [
        operation
        for model in ('keylease', 'hooklease')
        for operation in (
            *(migrations.RemoveField(model, name) for name in ('second', 'taken', 'before')),
            migrations.AddField(model, 'spent_until', models.FloatField(default=0), preserve_default=False),
            migrations.AddField(model, 'granted', models.IntegerField(default=0), preserve_default=False),
        )
    ] + [
        # Of no worth after a crash: what is taken waits for no disk.
        migrations.RunSQL(
            'ALTER TABLE ingestion_keylease SET UNLOGGED; ALTER TABLE ingestion_hooklease SET UNLOGGED',
            'ALTER TABLE ingestion_keylease SET LOGGED; ALTER TABLE ingestion_hooklease SET LOGGED',
        ),
        # The way back: rows of no worth, which its columns could not be added to.
        migrations.RunSQL(migrations.RunSQL.noop, 'DELETE FROM ingestion_keylease; DELETE FROM ingestion_hooklease'),
    ]
