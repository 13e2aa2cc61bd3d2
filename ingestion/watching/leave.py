"""What somebody who leaves has of what arrives: see staff/leaving.py."""

from collections.abc import Collection
from typing import cast

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ingestion.models import Cause, ImportRun, WriteKey
from ingestion.quarantine.causes import assign
from staff.leaving import Belonging, colleagues, taken_over
from staff.models import Department, User
from staff.notices import tell
from taxonomy.released import named
from taxonomy.violations import title_for


def belongings(person: User, *, hold: bool = False) -> list[Belonging]:
    """Causes that wait for them; keys that work, whose secret they knew or which others left to them; imports that have not ended well."""
    works = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    keys = list(WriteKey.objects.filter(works, Q(created_by=person) | Q(pk__in=taken_over(person, "write_keys"))).select_related("source"))
    runs = list(
        ImportRun.objects.filter(Q(started_by=person) | Q(pk__in=taken_over(person, "imports"))).exclude(status=ImportRun.Status.FINISHED)
    )
    causes = list(Cause.objects.filter(person=person, held__gt=0).select_related("department").order_by("id"))
    sources = named("source", (cause.source_id for cause in causes))
    return [
        Belonging("causes", _("causes in quarantine that wait for them"),
                  [(str(cause.pk), f"{sources[cause.source_id]}: {title_for(cause.code)}") for cause in causes],
                  [one for one in colleagues(person, "ingestion.add_replay") if one.department], lambda to: _give_causes(causes, person, to)),
        Belonging("write_keys", _("write keys they made"), [(str(key.pk), str(key)) for key in keys],
                  colleagues(person, "ingestion.change_writekey"), lambda to: _tell_of_keys(keys, person, to)),
        Belonging("imports", _("imports that are not finished"), [(str(run.pk), str(run)) for run in runs],
                  colleagues(person, "ingestion.add_importrun"), lambda to: _tell_of_imports(runs, person, to)),
    ]  # fmt: skip


def _give_causes(causes: Collection[Cause], person: User, to: User) -> None:
    for cause in causes:
        assign(cause, department=cast(Department, to.department), person=to, note="", by=person)


def _tell_of_keys(keys: Collection[WriteKey], person: User, to: User) -> None:
    """Sources go on sending; whoever answers for the key is told to exchange it."""
    for key in keys:
        link = reverse("admin:ingestion_writekey_change", args=[key.pk])
        tell([to], gettext_noop("The write key %(key)s is yours to look after. %(who)s, who leaves, may know its secret: rotate it."), link=link, key=str(key), who=str(person))  # fmt: skip


def _tell_of_imports(runs: Collection[ImportRun], person: User, to: User) -> None:
    for run in runs:
        link = reverse("admin:ingestion_importrun_change", args=[run.pk])
        tell([to], gettext_noop("The import %(file)s by %(who)s is yours now; it is not finished."), link=link, file=run.file_name, who=str(person))  # fmt: skip
