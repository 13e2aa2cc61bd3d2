"""Why a department is asked, in words."""

from django.utils.translation import gettext_lazy as _

REASONS = {
    "owns": _("It owns"),
    "owned": _("It owned until now"),
    "reads": _("It owns the tag that the rule leads to:"),
    "sends": _("Its sources send"),
    "uses": _("Its tags use"),
    "fills": _("Its sources send it, or their rules fill it:"),
    "breaking": _("Data stewards sign what is breaking:"),
    "personal": _("Compliance signs what concerns personal data:"),
    "unowned": _("Nobody owns it, so the data stewards sign:"),
    "only": _("No other department must sign, so the data stewards do:"),
}
