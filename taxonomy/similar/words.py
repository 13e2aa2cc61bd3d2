"""The words of why two names are similar, in the reader's language."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.definition import Items
from taxonomy.diff import title
from taxonomy.similar.names import How, Reason

HOW: dict[How, Promise] = {
    "same": gettext_lazy("the same name: “%(text)s”"),
    "words": gettext_lazy("the same words: “%(text)s”"),
    "typo": gettext_lazy("nearly the same letters: “%(text)s”"),
    "sound": gettext_lazy("sounds like “%(text)s”"),
    "initials": gettext_lazy("the initials of “%(text)s” in pinyin"),
    "short": gettext_lazy("short for “%(text)s”, or the other way round"),
    "order": gettext_lazy("nearly the same characters: “%(text)s”"),
    "contains": gettext_lazy("a part in common: “%(text)s”"),
}


def reason_text(reason: Reason, names: Items) -> str:
    """One sentence part: how the names compare, and whose name it is. `names` hold the source of a sent name."""
    said = str(HOW[reason.how]) % {"text": reason.text}
    if reason.field == "name" and reason.source in names:
        return _("%(why)s, a name that %(source)s sends") % {"why": said, "source": title(names[reason.source], names)}
    if reason.field == "synonym":
        return _("%(why)s, a synonym") % {"why": said}
    return said
