
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingestion', '0019_upload_error_values'),
    ]

    operations = [
        migrations.CreateModel(
            name='Meant',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('replay', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='ingestion.replay')),
            ],
            options={
                'default_permissions': (),
            },
        ),
    ]
