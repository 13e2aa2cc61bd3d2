"""The roles people start with, as groups. Each migrate sets them as they stand here; for other rights make a group."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy as _


def _each(app: str, actions: str, models: str) -> set[str]:
    return {f"{app}.{action}_{model}" for action in actions.split() for model in models.split()}


_ITEMS = "category attribute tag tagattribute tagmode refinement source mappingrule mappingrow"

READ_STANDARD = _each("taxonomy", "view", f"{_ITEMS} release revision proposal checksetting reviewpolicy")
# and say what the own department signs
SIGN = {"taxonomy.review_proposal", "taxonomy.add_reviewpolicy"}
# whoever may propose may edit any draft: the owner's say is at sign-off
EDIT_STANDARD = READ_STANDARD | SIGN | {"taxonomy.add_proposal"} | _each("taxonomy", "add change delete", _ITEMS)
OWN_TOKENS = _each("staff", "view add change", "readtoken")
READ_CUSTOMERS = _each("profiles", "view", "customer subject event")
READ_INCOMING = _each(
    "ingestion", "view", "quarantinereason replay importrun failedrequest takeback writekey hook mqtttopic filematching nearduplicate"
) | _each("profiles", "view", "batch")
LEAKS = _each("ingestion", "view change", "leak")
TAKE_BACK = {"ingestion.take_back"} | _each("ingestion", "change", "nearduplicate")
IMPORT = _each("ingestion", "view add change", "importrun") | _each("ingestion", "view add", "filematching")
# what partners are shown of a source's files
PARTNERS = _each("ingestion", "add change", "speclink")
# held events: read again, put right, let go of
MEND = _each("ingestion", "view add", "replay")
OUTGOING = _each("ingestion", "view add change delete", "subscriber") | _each("ingestion", "view", "dispatch")
SEE_DEPARTMENTS = {"staff.view_department"}

ROLES: dict[str, set[str]] = {
    "marketer": EDIT_STANDARD | READ_CUSTOMERS | READ_INCOMING | IMPORT | MEND,
    "sales_rep": EDIT_STANDARD | READ_CUSTOMERS | _each("ingestion", "view", "quarantinereason") | MEND,
    "service_agent": EDIT_STANDARD | READ_CUSTOMERS | _each("ingestion", "view", "quarantinereason") | MEND,
    "data_steward": EDIT_STANDARD
    | {"taxonomy.publish_release", "taxonomy.emergency_release"}
    | _each("taxonomy", "change", "checksetting")
    | {"taxonomy.set_policy_of_others", "taxonomy.view_grant"}
    | READ_CUSTOMERS
    | READ_INCOMING
    | TAKE_BACK
    | LEAKS
    | IMPORT
    | PARTNERS
    | MEND
    | OUTGOING,
    "product_manager": READ_STANDARD | SIGN | READ_INCOMING,
    "engineer": EDIT_STANDARD | READ_INCOMING | _each("ingestion", "view", "leak") | IMPORT | PARTNERS | MEND | OUTGOING | _each("ingestion", "add change", "writekey hook mqtttopic"),
    "compliance_officer": READ_STANDARD
    | SIGN
    | READ_CUSTOMERS
    | _each("profiles", "view", "batch")
    | _each("ingestion", "view", "quarantinereason")
    | LEAKS
    | {"staff.see_personal_data", "staff.view_accesslog", "staff.view_user", "taxonomy.view_grant"},
    "administrator": READ_STANDARD
    | {"taxonomy.add_reviewpolicy", "taxonomy.set_policy_of_others"}
    | _each("taxonomy", "view add change delete", "grant")
    | READ_INCOMING
    | TAKE_BACK
    | PARTNERS
    | _each("ingestion", "add change", "writekey hook mqtttopic")
    | _each("staff", "view add change", "user department"),
}  # fmt: skip

LABELS = {
    "marketer": _("marketer"),
    "sales_rep": _("sales rep"),
    "service_agent": _("service agent"),
    "data_steward": _("data steward"),
    "product_manager": _("product manager"),
    "engineer": _("engineer"),
    "compliance_officer": _("compliance officer"),
    "administrator": _("administrator"),
}


def role_label(name: str) -> str:
    """The role's name in the reader's language; a group of the company's own keeps its name."""
    return str(LABELS.get(name, name))


def permissions_of(role: str) -> set[str]:
    return ROLES[role] | OWN_TOKENS | SEE_DEPARTMENTS


def ensure_roles(app_labels: Iterable[str] | None = None, *, using: str = "default") -> None:
    """Make the groups, and set their permissions on the models of these apps (None: all) to what stands above."""
    from django.contrib.auth.models import Group, Permission

    known = Permission.objects.using(using).select_related("content_type")
    if app_labels is not None:
        known = known.filter(content_type__app_label__in=list(app_labels))
    by_name = {f"{one.content_type.app_label}.{one.codename}": one for one in known}
    for role in ROLES:
        group, _made = Group.objects.using(using).get_or_create(name=role)
        granted = set(group.permissions.filter(pk__in=[one.pk for one in by_name.values()]))
        wanted = {by_name[name] for name in permissions_of(role) & by_name.keys()}
        group.permissions.add(*(wanted - granted))
        group.permissions.remove(*(granted - wanted))


def ensure_roles_after_migrate(app_config: Any, using: str, **_kwargs: Any) -> None:
    """Runs once for each app, after Django has made that app's permissions."""
    if app_config.label in ("staff", "taxonomy", "profiles", "ingestion"):
        ensure_roles([app_config.label], using=using)
