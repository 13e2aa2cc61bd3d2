"""Lock-out after failed log-ins: what django-axes asks of us. Its limits stand in settings (AXES_…)."""

from datetime import datetime, timedelta

from axes.helpers import get_cool_off
from axes.models import AccessAttempt
from django.contrib import admin
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _


def normalized_email(request: HttpRequest, credentials: dict | None) -> str:
    """Count attempts on one account together, however its address is capitalized."""
    written = (credentials or {}).get("username") or request.POST.get("username") or ""
    return written.strip().lower()


def locked_out(request: HttpRequest, _response: HttpResponse | None = None, credentials: dict | None = None) -> HttpResponse:
    until = locked_until(request, credentials)
    minutes = max(1, -((timezone.now() - until) // timedelta(minutes=1)))
    context = {**admin.site.each_context(request), "title": _("Too many failed log-ins"), "until": until, "minutes": minutes}
    return render(request, "staff/locked_out.html", context, status=429)


def locked_until(request: HttpRequest, credentials: dict | None) -> datetime:
    attempts = AccessAttempt.objects.filter(username=normalized_email(request, credentials), ip_address=request.axes_ip_address)  # type: ignore[attr-defined]
    last = attempts.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    return last + (get_cool_off(request) or timedelta())
