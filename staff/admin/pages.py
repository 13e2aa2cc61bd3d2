"""Pages that several admin classes share: asking before acting, and showing a secret once."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin


def id_or_404(model: type[Model], text: str) -> Any:
    """The id of a row as an address has it."""
    try:
        return model._meta.pk.to_python(text)
    except ValidationError as error:
        raise Http404 from error


def number_or_none(text: str) -> int | None:
    """A whole number as an address has it, of so many digits as the database counts."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


class Unalterable:
    """For an admin class whose rows are made once and stay as they are."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(Unalterable):
    """For an admin class of rows that nobody makes by hand either."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class OneButton(ModelAdmin):
    """An add form with one way to save it, because what comes next is said by the class."""

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        one = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**(extra_context or {}), **one})


def confirm_page(
    request: HttpRequest,
    *,
    title: Any,
    sentences: Sequence[Any],
    button: Any,
    back_url: str,
    form: Form | None = None,
    danger: bool = False,
) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": title,
        "sentences": sentences,
        "button": button,
        "back_url": back_url,
        "form": form,
        "danger": danger,
    }
    return TemplateResponse(request, "staff/confirm.html", context)


def is_sent_again(request: HttpRequest) -> bool:
    """Whether this very form was sent before and its answer showed a secret: the browser loads that page once more."""
    return request.method == "POST" and _as_filled_in(request) in request.session.get("secrets_shown", [])


def _as_filled_in(request: HttpRequest) -> str:
    """Each time a form is drawn it has a token of its own, which a page that the browser kept has again."""
    return sha256(repr(sorted(request.POST.lists())).encode()).hexdigest()


def note_secret_shown(request: HttpRequest) -> None:
    if "csrfmiddlewaretoken" in request.POST:
        request.session["secrets_shown"] = [*request.session.get("secrets_shown", [])[-9:], _as_filled_in(request)]


def already_made(request: HttpRequest, back_url: str) -> HttpResponse:
    """What is said then, in the place of making another."""
    messages.info(request, _("It was made already, and its secret stood in that answer alone. Make another if you did not keep it."))
    return redirect(back_url)


class MadeOnce:
    """For an admin class whose rows are made with a secret that is shown once: the same form makes no second one."""

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if is_sent_again(request):
            opts = self.opts  # type: ignore[attr-defined]
            return already_made(request, reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
        return super().add_view(request, form_url, extra_context)  # type: ignore[misc, no-any-return]


def secret_page(
    request: HttpRequest,
    secret: str,
    *,
    title: Any,
    use: str,
    back_url: str,
    address: str = "",
    sentence: Any = "",
    more: tuple[Any, str] | None = None,
) -> HttpResponse:
    """The only time a secret is shown: it is in this answer and nowhere else.

    `address`: where what goes with it is sent. `sentence`: what to do with it, if not the usual. `more`: text and address of a page
    that tells more of its use.
    """
    note_secret_shown(request)
    context = {
        **admin.site.each_context(request),
        "title": title,
        "secret": secret,
        "secret_use": use,
        "secret_address": address,
        "secret_sentence": sentence,
        "secret_more": more,
        "back_url": back_url,
    }
    return TemplateResponse(request, "staff/secret.html", context, headers={"Cache-Control": "no-store"})
