"""Which releases were signed, and sign-off rules that were there before it was kept who set them and when."""

from datetime import UTC, datetime

from django.db import migrations
from django.db.models import Exists, OuterRef

# Before anything was submitted, so that the rules hold for what is in review.
_BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)


def forwards(apps, schema_editor):
    policy, release, proposal = (apps.get_model("taxonomy", name) for name in ("ReviewPolicy", "Release", "Proposal"))
    policy.objects.filter(by=None).update(at=_BEFORE_ALL)
    release.objects.filter(Exists(proposal.objects.filter(release=OuterRef("pk"))), emergency_reason="").update(signed=True)


def backwards(apps, schema_editor):
    """One row a department and kind of change: the one that holds."""
    policy = apps.get_model("taxonomy", "ReviewPolicy")
    newest = policy.objects.filter(department=OuterRef("department"), change=OuterRef("change"), pk__gt=OuterRef("pk"))
    policy.objects.filter(Exists(newest)).delete()


class Migration(migrations.Migration):
    dependencies = [("taxonomy", "0008_sign_off")]
    operations = [migrations.RunPython(forwards, backwards)]
