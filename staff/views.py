from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django.views.generic.base import ContextMixin
from django.views.i18n import set_language as keep_language_in_cookie

from staff.forms import AccountForm, ChoosePasswordForm, ResetForm
from staff.invite import invitation_tokens
from staff.models import Notice, User


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Switch the language: for this browser, and for the person on every browser when logged in."""
    language = request.POST.get("language")
    if request.user.is_authenticated and language in User.Language.values:
        User.objects.filter(pk=request.user.pk).update(language=language)
    return keep_language_in_cookie(request)


@login_required
def account(request: HttpRequest) -> HttpResponse:
    """What people set for themselves: name, language, time zone."""
    form = AccountForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        person = form.save()
        with translation.override(person.language or translation.get_language()):
            messages.success(request, _("Your settings were saved."))
        return redirect("account")
    context = {**admin.site.each_context(request), "title": _("My account"), "form": form}
    return render(request, "staff/account.html", context)


@login_required
def notices(request: HttpRequest) -> HttpResponse:
    """What this person was told, newest first. Seeing it is reading it."""
    mine = list(Notice.objects.filter(user=request.user.pk)[:200])
    context = {**admin.site.each_context(request), "title": _("Notices"), "notices": mine}
    answer = render(request, "staff/notices.html", context)
    Notice.objects.filter(pk__in=[one.pk for one in mine], read_at=None).update(read_at=timezone.now())
    return answer


class InShell(ContextMixin):
    """Gives Django's own views what our page frame needs."""

    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**admin.site.each_context(self.request), **super().get_context_data(**kwargs)}


class ResetView(InShell, auth_views.PasswordResetView):
    form_class = ResetForm
    template_name = "staff/password_reset.html"
    success_url = reverse_lazy("password_reset_done")
    title = gettext_lazy("Set a new password")


class ResetSentView(InShell, auth_views.PasswordResetDoneView):
    template_name = "staff/password_reset_done.html"
    title = gettext_lazy("Look into your mailbox")


@method_decorator(never_cache, name="dispatch")
class ChoosePasswordView(InShell, auth_views.PasswordResetConfirmView):
    form_class = ChoosePasswordForm
    template_name = "staff/choose_password.html"
    success_url = reverse_lazy("admin:index")
    post_reset_login = True
    post_reset_login_backend = "django.contrib.auth.backends.ModelBackend"
    title = gettext_lazy("Choose a new password")


class AcceptInvitationView(ChoosePasswordView):
    token_generator = invitation_tokens
    reset_url_token = "welcome"
    title = gettext_lazy("Welcome to Tagline")
    extra_context = {"invitation": True}

    def dispatch(self, *args, **kwargs):
        invited = self.get_user(kwargs["uidb64"])
        if invited is not None and invited.language:
            translation.activate(invited.language)
        return super().dispatch(*args, **kwargs)
