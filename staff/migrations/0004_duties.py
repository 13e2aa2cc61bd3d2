from django.db import migrations


def give_duties(apps, schema_editor):
    department = apps.get_model("staff", "Department")
    for code, duty in (("data", "steward"), ("compliance", "compliance")):
        department.objects.filter(code=code).update(duty=duty)


class Migration(migrations.Migration):
    dependencies = [("staff", "0003_sign_off")]

    operations = [migrations.RunPython(give_duties, migrations.RunPython.noop)]
