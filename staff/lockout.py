"""Lock-out after failed log-ins: what django-axes asks of us. Its limits stand in settings (AXES_…)."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def normalized_email(request: HttpRequest, credentials: dict | None) -> str:
    """Count attempts on one account together, however its address is capitalized."""
    written = (credentials or {}).get("username") or request.POST.get("username") or ""
    return written.strip().lower()


def locked_out(request: HttpRequest, _response: HttpResponse | None = None, _credentials: dict | None = None) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": _("Too many failed log-ins")}
    return render(request, "staff/locked_out.html", context, status=429)
