"""Who is named after an @ in what somebody writes: the longest known name there, in any script, spaces and all."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from staff.models import User

# Not in the middle of an e-mail address; a Chinese keyboard's full-width sign counts.
_AT = re.compile(r"(?<![A-Za-z0-9._%+-])[@＠]")
_WORD = re.compile(r"[^\s@＠,，.。:：;；!！?？、()（）“”\"]{1,40}")
# What follows where the word written is longer than the known name: @dan is not meant by @daniel, @dan.li or @dan@example.com.
_GOES_ON = re.compile(r"[@_]|[.+-]?[^\W_]")
_FIRST_IDEOGRAPH = "\u2e80"


@dataclass(slots=True)
class Mentions:
    """`people` are meant; `unknown` is what names nobody, `several` what names more than one."""

    people: list[User] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    several: list[str] = field(default_factory=list)


def mentioned_in(text: str) -> Mentions:
    """Colleagues by their e-mail address, the part of it before its @, or their name: with its spaces or without, the Chinese
    part of it or the other. One query.
    """
    found = Mentions()
    starts = [match.end() for match in _AT.finditer(text)]
    named = _named() if starts else {}
    for start in starts:
        name = next((one for one in named if _stands_at(text, start, one)), None)
        if name is None:
            word = _WORD.match(text, start)
            found.unknown += [word[0]] if word else []
        elif len(named[name]) > 1:
            found.several.append(text[start : start + len(name)])
        else:
            found.people.append(named[name][0])
    found.people = list({person.pk: person for person in found.people}.values())
    found.unknown, found.several = list(dict.fromkeys(found.unknown)), list(dict.fromkeys(found.several))
    return found


def _named() -> dict[str, list[User]]:
    """{what somebody may be called: those called so}, the longest first."""
    found: dict[str, list[User]] = defaultdict(list)
    for person in User.objects.filter(is_active=True):
        email = person.email.lower()
        name = " ".join(person.name.lower().split())
        chinese = "".join(char for char in name if char >= _FIRST_IDEOGRAPH)
        latin = "".join(char for char in name if char < _FIRST_IDEOGRAPH).strip()
        for one in {email, email.partition("@")[0], name, name.replace(" ", ""), chinese, latin} - {""}:
            found[one].append(person)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def _stands_at(text: str, start: int, name: str) -> bool:
    """Chinese goes on without a space; a word of letters is whole or it is another."""
    end = start + len(name)
    if text[start:end].lower() != name:
        return False
    following = text[end : end + 2].replace("＠", "@")
    return name[-1] >= _FIRST_IDEOGRAPH or following[:1] >= _FIRST_IDEOGRAPH or _GOES_ON.match(following) is None
