"""What the acts of manage.py plan have in common: which plan, whose proposal, how the answer is written, in which language."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from staff.models import User
from taxonomy.definition import Items, draft_items
from taxonomy.models import Proposal, Release
from taxonomy.proposals.refused import said_of
from taxonomy.publish import items_of, newest

# As diff(1): 0 is the same, 1 is different, 2 is trouble.
DIFFERENT, TROUBLE = 1, 2
WAS_OPEN = gettext_lazy("It was open already and keeps its title and why; this is added to it.")
Say = Callable[[str | Promise], Any]


def language_of(environment: Mapping[str, str]) -> str:
    """The language a terminal is set to, as far as there are texts in it."""
    told = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh-hans" if told.lower().startswith("zh") else "en"


def add_plan(parser: ArgumentParser, *, draft: bool = True) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--release", default="", metavar="VERSION", help=_("this release; default: the current one"))
    if draft:
        which.add_argument("--draft", action="store_true", help=_("the draft, with what is not released"))


def plan_of(release: str, *, draft: bool = False) -> tuple[Items, str]:
    """(the items, the version) of the draft, of a release, or of the current one. The draft's version is ""."""
    if draft:
        return draft_items(), ""
    found = Release.objects.filter(version=release).first() if release else newest()
    if found is None:
        known = ", ".join(Release.objects.values_list("version", flat=True)[:10])
        said = _("There is no release %(version)s. The newest: %(known)s.") if known else _("Nothing was released yet.")
        raise CommandError(said % {"version": release, "known": known}, returncode=TROUBLE)
    return items_of(found), found.version


def add_proposal(parser: ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--title", required=required, default="", help=_("what changes, in a few words"))
    parser.add_argument("--why", required=required, default="", help=_("what is better with it"))
    parser.add_argument("--as", required=required, default="", dest="email", metavar="EMAIL", help=_("the colleague whose proposal it is"))


def colleague(email: str) -> User:
    by = User.objects.filter(email__iexact=email, is_active=True).first()
    if by is None:
        raise CommandError(_("There is no colleague %(email)s.") % {"email": email}, returncode=TROUBLE)
    if not by.has_perm("taxonomy.add_proposal"):
        said = _("%(email)s may not propose. An administrator can give the right to a role.")
        raise CommandError(said % {"email": email}, returncode=TROUBLE)
    return by


def refused(error: Exception) -> CommandError:
    """What went wrong, in words; raises it again where there are none."""
    if (said := said_of(error)) is None:
        raise error
    return CommandError(said, returncode=TROUBLE)


def told(proposal: Proposal) -> dict[str, Any]:
    return {"id": proposal.pk, "url": f"{settings.SITE_URL}{proposal.get_absolute_url()}", "title": proposal.title}


def say_proposal(proposal: Mapping[str, Any], say: Say) -> None:
    say(_("Proposal %(id)s: %(title)s, %(url)s") % proposal)


def say_json(answer: Any, say: Say) -> None:
    say(json.dumps(answer, ensure_ascii=False))
