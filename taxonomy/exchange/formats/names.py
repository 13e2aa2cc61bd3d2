"""Names as others write them, to codes of the standard: `Order Completed`, `加购`, `isCI`. Pure."""

import re
from hashlib import sha256

TAG_CHARACTERS = 120
CODE_CHARACTERS = 80

_CODE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_HAN = re.compile(r"[\u3400-\u9fff]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[a-z][0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Enough of a name to tell two long ones apart.
_HASH_CHARACTERS = 8


def is_code(text: str, limit: int = CODE_CHARACTERS) -> bool:
    return len(text) <= limit and _CODE.fullmatch(text) is not None


def code_of(name: str, limit: int = CODE_CHARACTERS) -> str:
    """A valid code that reads like the name; the same name always gives the same one."""
    if is_code(name, limit):
        return name
    # Pinyin of a name of any length would take seconds.
    latin = _HAN.sub(_pinyin, name[: 4 * limit])
    code = "_".join(re.findall(r"[a-z0-9]+", _HUMP.sub("_", latin).lower()))
    if not code:
        return f"x_{_hash(name)}"
    if not code[0].isalpha():
        code = f"x_{code}"
    if len(code) > limit or len(name) > 4 * limit:
        code = f"{code[: limit - _HASH_CHARACTERS - 1].rstrip('_')}_{_hash(name)}"
    return code


def _pinyin(found: re.Match[str]) -> str:
    from pypinyin import lazy_pinyin  # its dictionary takes a tenth of a second to load

    return f" {'_'.join(lazy_pinyin(found[0]))} "


def free_code(wanted: str, taken: set[str], limit: int = CODE_CHARACTERS) -> str:
    """The code, with a number before it if another has it: behind it, it would read as a refinement. It is taken then."""
    code, number = wanted, 2
    while code in taken:
        code = f"v{number}_{wanted}"[:limit].rstrip("_")
        number += 1
    taken.add(code)
    return code


def clean(text: object, limit: int = 10_000) -> str:
    """A text that the database can hold, cut at the limit; empty for what is no text."""
    if not isinstance(text, str):
        return ""
    stored = text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()
    return stored if len(stored) <= limit else stored[: limit - 1].rstrip() + "…"


def _hash(name: str) -> str:
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARACTERS]
