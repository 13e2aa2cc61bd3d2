"""The sentence and the hint of each check, for whoever edits or publishes the plan."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from taxonomy.checks import Finding, Items
from taxonomy.diff import shown

Text = Promise | str
# id: (what is checked, what is wrong with an item, what to do)
WORDS: dict[str, tuple[Text, Text, Text]] = {
    "naming.snake_case": (_("Codes are snake_case"), _("The code %(code)s is not."), _("Use small letters, digits and single underscores, such as product_view.")),
    "naming.blocked_word": (_("No blocked words in codes"), _("The code holds %(words)s."), _("Say what it is instead.")),
    "naming.allowed_word": (_("Only allowed words in tags' codes"), _("The code holds %(words)s."), _("Use the words agreed on, or add one to this check.")),
    "naming.verb_first": (_("Tags' codes begin with a verb"), _("The code begins with %(word)s."), _("Write verb and object, such as view_page.")),
    "naming.length": (_("Codes are not too long"), _("The code has %(length)s characters, at most %(limit)s are wanted."), _("Find a shorter name.")),
    "description.missing": (_("Tags and attributes are described in both languages"), _("%(fields)s is missing."), _("Say in a sentence what it means and when it is sent.")),
    "owner.missing": (_("Tags and sources have an owner"), _("No department answers for it."), _("Choose its owner.")),
    "example.missing": (_("Attributes have an example"), _("There is no example."), _("Give a value as a source would send it.")),
    "attribute.same_meaning": (_("The same attribute has one type"), _("%(other)s says the same and is of another type."), _("Use one of them everywhere.")),
    "attribute.unfilled": (_("Rules fill what their tag requires"), _("No row fills %(attribute)s, which the tag requires."), _("Add a row, or let the rule take the rest as it is.")),
    "attribute.not_sent": (_("What a tag requires is sent, or filled by a row"), _("No row fills %(attribute)s, which the tag requires, and none of the newest events that this rule reads carries it under that name (looked at: %(events)s)."), _("Add a row that says where it is, or have the source send it.")),
    "attribute.looks_personal": (_("Personal data is declared"), _("Its values look like personal data: %(looks_like)s."), _("Choose its class of personal data, or another example.")),
    "rule.matched_nothing": (_("Rules match something"), _("Nothing that came in the last %(days)s days matched it, though its source sends."), _("Correct its name or condition, or remove it.")),
    "rule.shadowed": (_("Rules get their turn"), _("%(other)s comes before it and takes all its events."), _("Move it up, or remove it.")),
    "tag.unsent": (_("Tags are sent"), _("Nobody has sent it in the last %(days)s days."), _("Map a source's name to it, or deprecate it.")),
    "item.ending": (_("What holds for a while does not end unnoticed"), _("It ends on %(day)s."), _("Ask whether it is still needed: move the day, or let it end.")),
}  # fmt: skip
_LOOKS: dict[str, Text] = {
    "email": _("e-mail address"),
    "identity_card": _("identity card number"),
    "bank_card": _("bank card number"),
    "phone": _("phone number"),
}


def finding_text(finding: Finding, names: Items) -> str:
    """What is wrong, and what to do."""
    _title, wrong, hint = WORDS[finding.check]
    values = {name: str(_LOOKS[value]) if name == "looks_like" else shown(value, names) for name, value in finding.values.items()}
    return f"{str(wrong) % values} {hint}"
