"""Regular expressions between RE2, where the whole text must match, and ECMA-262, where a part will do. Pure."""

import re

from taxonomy.standardize.conditions import compile_pattern

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\\t\\n\\f\\r "}
# What ECMA-262 may escape when it reads Unicode, as most engines of JSON Schema ask it to; another sign escaped is an error there.
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_COUNT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_LAST_OF_ONE_UNIT = "\uffff"
_MAX_CHARACTERS = 1_000
_OURS = re.compile(r"\^\(\?:(.*)\)\$", re.DOTALL)
_UNICODE = re.compile(r"(?<!\\)((?:\\\\)*)\\u(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{4}))")


def to_ecma(pattern: str) -> str | None:
    r"""The same question for every engine of JSON Schema, None for what only RE2 knows.

    \d, \w and \s are written out: RE2 means ASCII by them, Python and others do not. What is two signs to an engine that does not
    read Unicode, such as an emoji, can be neither counted there nor in a class.
    """
    written, at, in_class = [], 0, False
    while at < len(pattern):
        sign, rest = pattern[at], pattern[at + 1 :]
        step = 1
        if sign > _LAST_OF_ONE_UNIT and (in_class or rest.startswith(("*", "+", "?", "{"))):
            return None
        if sign == "\\":
            escaped = _escape(rest[:1], in_class, rest[1:2])
            if escaped is None:
                return None
            written.append(escaped)
            step = 2
            if in_class and rest[:1] in _CLASSES and rest[1:2] == "-" and rest[2:3] != "]":
                written.append("\\-")
                step = 3
        elif in_class:
            if sign == "[" and rest[:1] == ":":
                return None
            in_class = sign != "]"
            written.append(sign)
        elif sign == "[":
            if rest.removeprefix("^").startswith("]"):
                return None
            in_class = True
            written.append(sign)
        elif sign == "(" and rest.startswith("?") and not rest.startswith("?:"):
            return None
        elif count := _COUNT.match(pattern, at):
            written.append(count[0])
            step = len(count[0])
        elif sign in ("{", "}", "]"):
            written.append(f"\\{sign}")
        else:
            written.append("[^\\n]" if sign == "." else sign)
        at += step
    return f"^(?:{''.join(written)})$"


def _escape(letter: str, in_class: bool, after: str) -> str | None:
    if letter.lower() in _CLASSES:
        if letter.islower():
            return _CLASSES[letter] if in_class else f"[{_CLASSES[letter]}]"
        return None if in_class else f"[^{_CLASSES[letter.lower()]}]"
    if letter in ("b", "B"):
        return None if in_class else f"\\{letter}"
    if letter in ("t", "n", "r", "f", "v") or letter in _SYNTAX or (in_class and letter == "-"):
        return f"\\{letter}"
    if letter and not letter.isalnum():
        return letter
    return "\\x" if letter == "x" and after != "{" else None


def from_ecma(pattern: object) -> str | None:
    """The same question for RE2 and a whole text, None for what RE2 does not know, such as looking ahead."""
    if not isinstance(pattern, str) or len(pattern) > _MAX_CHARACTERS:
        return None
    text = _UNICODE.sub(lambda found: f"{found[1]}\\x{{{found[2] or found[3]}}}", pattern).replace("(?<", "(?P<")
    text = text.replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    ours = _OURS.fullmatch(text)
    if ours and _is_one(ours[1]):
        text = ours[1]
    elif text.startswith("^") and text.endswith("$") and not text.endswith("\\$") and "|" not in text:
        text = text[1:-1]
    else:
        text = f"(?s:.*)(?:{text})(?s:.*)"
    try:
        compile_pattern(text)
    except ValueError:
        return None
    return text


def _is_one(text: str) -> bool:
    """Whether parentheses opened within are closed within."""
    depth, at = 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "[":
            end = text.find("]", at + 2)
            at = len(text) if end < 0 else end
        else:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if depth < 0:
                return False
        at += 1
    return depth == 0
