from django.db import migrations

DEPARTMENTS = [
    ("marketing", "Marketing", "市场部", ""),
    ("sales", "Sales", "销售部", ""),
    ("service", "Customer service", "客户服务部", ""),
    ("product", "Product", "产品部", ""),
    ("data", "Data", "数据部", "steward"),
    ("compliance", "Compliance", "合规部", "compliance"),
]


def add_departments(apps, schema_editor):
    department = apps.get_model("staff", "Department")
    for code, english, chinese, duty in DEPARTMENTS:
        department.objects.get_or_create(code=code, defaults={"label_en": english, "label_zh_hans": chinese, "duty": duty})


def remove_unused_departments(apps, schema_editor):
    department = apps.get_model("staff", "Department")
    codes = [code for code, *_ in DEPARTMENTS]
    department.objects.filter(code__in=codes, members__isnull=True).delete()


class Migration(migrations.Migration):
    dependencies = [("staff", "0001_initial")]

    operations = [migrations.RunPython(add_departments, remove_unused_departments)]
