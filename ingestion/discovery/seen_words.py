"""The words for kinds of values, for why a type is suggested, and for why something is like a name."""

from django.utils.translation import gettext_lazy as _

KINDS = {
    "text": _("text"), "integer": _("whole number"), "decimal": _("decimal number"), "boolean": _("yes or no"), "date": _("date"),
    "datetime": _("date and time"), "list": _("list"), "object": _("object with fields"), "url": _("web address"),
    "phone": _("looks like a phone number"), "email": _("looks like an e-mail address"), "identity_card": _("looks like an identity card"),
    "bank_card": _("looks like a bank card"), "digits": _("digits that name something, such as an order number"), "empty": _("empty"),
}  # fmt: skip
SUGGESTED = {
    "personal.phone": _("Phone numbers were seen: personal data, and never a number to count with."),
    "personal.email": _("E-mail addresses were seen: personal data."),
    "personal.identity_card": _("Identity cards were seen: personal data, and never a number to count with."),
    "personal.bank_card": _("Bank cards were seen: personal data, and never a number to count with."),
    "digits": _("Digits that name something, such as an order or a card, are text: as a number they would lose their zeros."),
    "all_alike": _("Every value looked at was of this kind."),
    "wider": _("Both kinds were seen; this one holds the other too."),
    "mixed": _("The values are of several kinds; only text holds them all."),
    "text": _("Every value looked at was text."),
    "nothing": _("No value was looked at yet."),
}
CANNOT_ADOPT = {
    "cut": _("The name is longer than 200 characters, so no rule can be made from what is kept of it. Correct it at the source."),
    "ended": _("The source is not in the draft of the standard any more. Restore it from its history first."),
    "unreadable": _("The name holds quotation marks or backslashes, which no rule can read. Correct it at the source."),
}
STATES = {
    "open": _("to decide"), "drafted": _("in the draft"), "released": _("released"), "ignored": _("ignored"),
    "taken_back": _("taken back"),
}  # fmt: skip
