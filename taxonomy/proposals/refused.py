"""What is said where an act on the draft or a proposal is refused: why, and what to do."""

import re
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.check_words import finding_text
from taxonomy.definition import Items, draft_items
from taxonomy.diff import title
from taxonomy.draft import ChangedMeanwhile, ItemInUse, ItemLocked
from taxonomy.history import last_saves
from taxonomy.models import Proposal
from taxonomy.problems import plan_problem
from taxonomy.proposals.propose import ElsewhereProposed, InTheWay, NothingChanged, StillProposed, WrongState
from taxonomy.proposals.review import NotAllowed, NotReady, Overtaken, StillArrives
from taxonomy.publish import NothingToPublish, NotPublishable, items_of, newest
from taxonomy.request_rights import names_shown, said_outside
from taxonomy.rights import OutsideGrant

TAKEN = gettext_lazy("Its code or name is another item's by now, or what it refers to was deleted. Mend that first.")
NOT_ALLOWED = {
    "author": gettext_lazy("Nobody signs what they wrote themselves."),
    "department": gettext_lazy("Your department is not asked here, or the proposal is not under review."),
    "not_asked": gettext_lazy("Only a department that would have had to sign this release reviews it."),
    "seen": gettext_lazy("It changed after you opened it, so your word was not kept. Look at it as it stands now, then say it again."),
    "words": gettext_lazy("Say what shall be changed, so that its authors can."),
    "right": gettext_lazy("You lack the right to do this. An administrator can give it to your role."),
}


def said_of(error: Exception, hidden: Callable[..., set[str]] | None = None) -> str | None:
    """What went wrong and what to do, None for what is no such error. `hidden`: which items of plans the reader may not read, where a page says it."""
    if isinstance(error, IntegrityError):
        return str(TAKEN)
    return _said_changed(error, _names(hidden)) if isinstance(error, ChangedMeanwhile) else _said_of(error, hidden)


def _said_of(error: Exception, hidden: Callable[..., set[str]] | None) -> str | None:
    match error:
        case ElsewhereProposed():
            names = _names(hidden)
            proposal = next(iter(error.found.values()))
            if isinstance(error, InTheWay):
                said = _(
                    "“%(title)s” by %(who)s holds %(item)s, which going back would change. Ask them to leave it out or to withdraw, or go back once it is released."
                )
            elif isinstance(error, StillProposed):
                said = _("“%(title)s” by %(who)s holds %(item)s. Leave it out there first; then it can be discarded.")
            else:
                said = _("“%(title)s” by %(who)s holds %(item)s already. Leave that out, or open the proposal and join as a co-author.")
            told = {"title": proposal.title, "who": proposal.author, "item": _held_by(proposal, error.found, names)}
            return said % told if hidden is None else _linked(said, proposal, told)
        case ItemLocked():
            said = _("“%(title)s” by %(who)s is under review and holds %(item)s. Wait until that ends, or ask them to pull it back.")
            held = _held_by(error.proposal, error.held, _names(hidden))
            return said % {"title": error.proposal.title, "who": error.proposal.author, "item": held}
        case ItemInUse():
            unread = hidden(items_of(newest()), draft_items()) if hidden else set()
            users = ", ".join(_("(not shown to you)") if _ids(one) & unread else _used_in(one) for one in error.users[:3])
            said = _("%(item)s cannot go: %(users)s still uses it. Choose that one too, or have it changed first.")
            return said % {"item": error.item, "users": users}
        case NothingChanged() | NothingToPublish():
            return _("Nothing of it differs from the current release.")
        case WrongState():
            return _("The proposal has moved on meanwhile. Look at it again.")
        case NotAllowed():
            return str(NOT_ALLOWED[error.code])
        case NotReady():
            return _("Signatures are missing, or there is no reason given.")
        case Overtaken():
            return _("Something of it was released otherwise meanwhile. Pull it back, look at what differs, and submit it again.")
        case NotPublishable():
            return _("It cannot be released as it is: %(problems)s") % {"problems": " ".join(_why_not(error, _names(hidden))[:5])}
        case StillArrives():
            names = _names(hidden)
            tags = ", ".join(title(names[item], names) for item in error.tags)
            return _("Sources still send %(tags)s. Say in the proposal why it shall be retired all the same, or deprecate it.") % {
                "tags": tags
            }
        case OutsideGrant():
            return said_outside(error)
        case PermissionError():
            return _("Only its authors may do this. Join it as a co-author first.")
        case _:
            return None


def _said_changed(error: ChangedMeanwhile, names: Items) -> str:
    told = [title(names[item], names) for item in error.items if item in names]
    said = _("%(items)s changed meanwhile, and nothing was written. Bring the file in again, and look at what differs now.")
    return said % {"items": _first(told)}


def _linked(said: str, proposal: Proposal, told: dict[str, Any]) -> str:
    """The sentence for a page: the proposal's title leads to it."""
    link = format_html('<a href="{}" class="tl-underlined">{}</a>', proposal.get_absolute_url(), proposal.title)
    return format_html(re.sub(r"%\((\w+)\)s", r"{\1}", said), **(told | {"title": link}))


def _held_by(proposal: Proposal, found: dict[str, Proposal], names: Items) -> str:
    """The items that a proposal holds, by name: of many the first."""
    held = [title(names[item], names) for item, one in found.items() if one == proposal and item in names]
    return _first(held)


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _used_in(user: Any) -> str:
    """What refers to an item, and who may be asked about it."""
    item = user.pk if hasattr(user, "kind") else getattr(user, "tag_id", None)
    saved = last_saves([item] if item else []).get(str(item))
    return _("%(item)s (last saved by %(who)s)") % {"item": user, "who": saved.by} if saved and saved.by else str(user)


def _ids(user: Any) -> set[str]:
    """Of what refers to an item: its own, and of a part of a tag the tag's."""
    return {str(user.pk), str(getattr(user, "tag_id", ""))}


def _names(hidden: Callable[..., set[str]] | None) -> Items:
    released, draft = items_of(newest()), draft_items()
    return names_shown(released | draft, hidden(released, draft) if hidden else set())


def _why_not(error: NotPublishable, names: Items) -> list[str]:
    """The sentences of why a plan cannot be released."""
    findings = [f"{title(names[one.item], names)}: {finding_text(one, names)}" for one in error.findings]
    return [plan_problem(problem, names) for problem in error.problems] + findings
