"""Similar names: across codes in any case style, both languages, synonyms, pinyin, and the names sources send. Pure.

`加购`, `加入购物车`, `addToCart`, `add_to_cart`, `jiaru gouwuche` and `jrgwc` find each other. A name is looked at as a set of
words, as one run of letters, as Chinese characters, and as their pinyin; an index holds each of these looks of every name.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from heapq import nlargest
from itertools import islice
from typing import Any, Literal, NamedTuple

Definition = dict[str, Any]
Items = dict[str, Definition]
How = Literal["same", "words", "typo", "sound", "initials", "short", "order", "contains"]

KINDS = ("tag", "attribute")
# Below this two names have parts in common and no more; a search shows those too.
ALIKE = 0.5
RELATED = 0.3
_TEXT_CHARACTERS = 200
# Of each way of looking, this many candidates are compared closely: comparing takes 10 µs, and each query must answer in 50 ms.
_COMPARED = 60
_FIELD_WEIGHT = {"code": 1.0, "label_en": 1.0, "label_zh_hans": 1.0, "synonym": 0.97, "name": 0.93}
_STOP_WORDS = frozenset(["a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"])

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RUN = re.compile(r"[㐀-鿿]+|[0-9]+|[^\W_0-9㐀-鿿]+")
# Of a path such as `order.goodsId`; one that ends with a function or a filter has none.
_LAST_NAME = re.compile(r"""([^.\[\](){}*&|@`'"?!<>=,:$\\]+)"?$""")
_DIGITS = re.compile(r"[0-9]+")


class Reason(NamedTuple):
    """Why something is similar: `how` the names compare, in which `field`, its `text`, and for a sent name its source's uuid."""

    how: How
    field: str
    text: str
    source: str = ""


class Match(NamedTuple):
    item: str
    score: float
    reason: Reason


class _Look(NamedTuple):
    """A name as it is compared: without spaces, as words and their stems, as Chinese characters, in pinyin, by its initials."""

    whole: str
    words: tuple[str, ...]
    stems: frozenset[str]
    han: str
    sound: str
    initials: str


class _Entry(NamedTuple):
    item: str
    kind: str
    field: str
    text: str
    source: str
    look: _Look
    rules: frozenset[str] = frozenset()


class Index:
    """The names of items, made ready to be asked. 2,000 tags and 8,000 sent names: 0.8 s, once more after a change 0.3 s.

    Of several plans, such as the draft and the release, an item's names in each of them count.
    """

    def __init__(self, *plans: Items) -> None:
        self._entries = list(dict.fromkeys(entry for items in plans for entry in _entries(items)))
        self._exact: dict[str, list[int]] = defaultdict(list)
        self._stems: dict[str, list[int]] = defaultdict(list)
        self._grams: dict[str, list[int]] = defaultdict(list)
        self._han: dict[str, list[int]] = defaultdict(list)
        words: dict[str, list[int]] = defaultdict(list)
        for at, entry in enumerate(self._entries):
            look = entry.look
            for key in {look.whole, look.sound, look.initials} - {""}:
                self._exact[key].append(at)
            for stem in look.stems:
                self._stems[stem].append(at)
            for gram in _grams_of(look):
                self._grams[gram].append(at)
            for character in set(look.han):
                self._han[character].append(at)
            for word in set(look.words):
                words[word].append(at)
        self._words = sorted(words)
        self._by_word = dict(words)

    def matches(self, text: str, *, kinds: Collection[str], least: float, without: Collection[str]) -> Iterator[Match]:
        """The best match of each item, in no order. `without`: items not wanted, nor the names that sources and rules among them tell of."""
        asked = _look(text[:_TEXT_CHARACTERS])
        best: dict[str, Match] = {}
        for at in self._candidates(asked) if asked.whole else ():
            entry = self._entries[at]
            if entry.kind not in kinds or entry.item in without or (entry.source and entry.source in without):
                continue
            if entry.rules and all(rule in without for rule in entry.rules):
                continue
            score, how = _compare(asked, entry.look)
            score *= _FIELD_WEIGHT[entry.field]
            if score >= least and (entry.item not in best or score > best[entry.item].score):
                best[entry.item] = Match(entry.item, round(score, 3), Reason(how, entry.field, entry.text, entry.source))
        yield from best.values()

    def _candidates(self, asked: _Look) -> set[int]:
        found: set[int] = set()
        for key in {asked.whole, asked.sound, asked.initials} - {""}:
            found.update(self._exact.get(key, ()))
        counted = _count(self._stems, asked.stems)
        found.update(nlargest(_COMPARED, counted, key=lambda at: counted[at] / len(self._entries[at].look.stems)))
        found.update(_most(_count(self._grams, _grams_of(asked))))
        counted = _count(self._han, set(asked.han))
        found.update(nlargest(_COMPARED, counted, key=lambda at: counted[at] / len(self._entries[at].look.han)))
        if asked.words:
            found.update(islice(self._beginning_with(asked.words[-1]), _COMPARED))
        return found

    def _beginning_with(self, start: str) -> Iterator[int]:
        """Names with a word that begins so, shorter words first: somebody is still typing."""
        at = bisect_left(self._words, start)
        words: list[str] = []
        while at < len(self._words) and self._words[at].startswith(start) and len(words) < _COMPARED:
            words.append(self._words[at])
            at += 1
        for word in sorted(words, key=len):
            yield from self._by_word[word]


def similar(
    text: str,
    among: Index | Items,
    limit: int = 8,
    *,
    kinds: Collection[str] = KINDS,
    least: float = ALIKE,
    without: Collection[str] = (),
) -> list[Match]:
    """What is named like the text, the most similar first: [(item uuid, score 0 to 1, reason)].

    `among`: an index; or definitions, which are indexed for this one question. `without`: items not wanted, and sources whose
    names are not.
    """
    index = among if isinstance(among, Index) else Index(among)
    return best_of(index.matches(text, kinds=kinds, least=least, without=without), limit)


def best_of(matches: Iterable[Match], limit: int) -> list[Match]:
    """The best match of each item, the most similar first."""
    best: dict[str, Match] = {}
    for match in sorted(matches, key=lambda one: (-one.score, one.reason.text, one.item)):
        best.setdefault(match.item, match)
    return list(islice(best.values(), limit))


def _entries(items: Items) -> Iterator[_Entry]:
    attributes = {one["code"]: item for item, one in items.items() if one["kind"] == "attribute"}
    sent: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for item, one in items.items():
        kind = one["kind"]
        if kind == "rule":
            for name in _sent(one, items, attributes):
                sent[name].add(item)
            continue
        named = [(field, one.get(field) or "") for field in ("code", "label_en", "label_zh_hans")]
        named += [("synonym", synonym) for synonym in one.get("synonyms") or []]
        for field, text in named:
            if (look := _look(text)).whole:
                yield _Entry(item, kind, field, text, "", look)
    for (item, kind, text, source), rules in sent.items():
        if (look := _look(text)).whole:
            yield _Entry(item, kind, "name", text, source, look, frozenset(rules))


def _sent(rule: dict[str, Any], items: Items, attributes: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """(item, its kind, what a source calls it, the source): a rule's tag by its name, attributes by where their rows find them."""
    # a pattern is no name; a rule whose tag is gone leads nowhere
    if rule.get("match", "exact") == "exact" and rule["tag"] in items:
        yield rule["tag"], "tag", rule["name"], rule["source"]
    for row in rule.get("rows") or []:
        path = row.get("path") or ""
        if row["target"] in attributes and row["target"] != path and (last := _LAST_NAME.search(path)):
            yield attributes[row["target"]], "attribute", last[1], rule["source"]


@lru_cache(maxsize=65_536)
def _look(text: str) -> _Look:
    folded = _HUMP.sub(" ", unicodedata.normalize("NFKC", text)).casefold()
    runs = _RUN.findall(folded)
    words = tuple(run for run in runs if not _is_han(run))
    stems = frozenset(_stem(word) for word in words if word not in _STOP_WORDS) or frozenset(words)
    han = "".join(run for run in runs if _is_han(run))
    if not han:
        return _Look("".join(runs), words, stems, "", "", "")
    # reading pypinyin's tables takes 0.4 s, which commands and workers need not wait for
    from pypinyin import lazy_pinyin

    syllables = [syllable for run in runs for syllable in (lazy_pinyin(run) if _is_han(run) else [run])]
    initials = "".join(syllable[0] if _is_han(run) else run for run in runs for syllable in (lazy_pinyin(run) if _is_han(run) else [run]))
    return _Look("".join(runs), words, stems, han, "".join(syllables), initials if len(han) > 2 else "")


def _is_han(run: str) -> bool:
    return "㐀" <= run[0] <= "鿿"


def _stem(word: str) -> str:
    """A word without its ending, so that "viewed", "views" and "view" are one."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    word = word.removesuffix("e") if len(word) > 3 else word
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") else word


def _grams_of(look: _Look) -> set[str]:
    """Three letters each, of the name and of its pinyin, with marks at both ends."""
    found: set[str] = set()
    for key in (look.sound,) if look.han else (look.whole,):
        if len(key) >= 4:
            marked = f"^{key}$"
            found |= {marked[at : at + 3] for at in range(len(marked) - 2)}
    return found


def _count(postings: dict[str, list[int]], keys: Iterable[str]) -> Counter[int]:
    counted: Counter[int] = Counter()
    for key in keys:
        counted.update(postings.get(key, ()))
    return counted


def _most(counted: Counter[int]) -> list[int]:
    return nlargest(_COMPARED, counted, key=counted.__getitem__)


def _compare(asked: _Look, other: _Look) -> tuple[float, How]:
    """How similar two names are, 0 to 1, and in what way."""
    if asked.whole == other.whole:
        return 1.0, "same"
    ways: list[tuple[float, How]] = [(0.0, "contains")]
    if asked.han and other.han:
        ways += _compare_han(asked, other)
    elif asked.han or other.han:
        ways += _compare_sound(*((other, asked) if asked.han else (asked, other)))
    if asked.stems and other.stems:
        ways += _compare_words(asked, other)
    if not asked.han and not other.han:
        ways += _compare_letters(asked.whole, other.whole)
    return max(ways)


def _compare_han(asked: _Look, other: _Look) -> Iterator[tuple[float, How]]:
    if asked.sound == other.sound:
        yield 0.9, "sound"
    shorter, longer = sorted((asked.han, other.han), key=len)
    if shorter in longer:
        yield _share(len(shorter), len(longer)), "contains"
    elif len(shorter) > 1 and shorter[0] == longer[0] and len(longer) <= 3 * len(shorter) and _is_within(shorter, longer):
        yield 0.7, "short"
    pairs, others = _pairs(asked.han), _pairs(other.han)
    if pairs and others and (alike := 2 * len(pairs & others) / (len(pairs) + len(others))) >= 0.6:
        yield 0.85 * alike, "order"


def _compare_sound(letters: _Look, han: _Look) -> Iterator[tuple[float, How]]:
    """Letters that may be the pinyin of what is written in Chinese, or its initials."""
    typed = letters.whole
    if typed == han.sound:
        yield 0.95, "sound"
    elif typed == han.initials:
        yield 0.85, "initials"
    elif (distance := _typos(typed, han.sound)) is not None:
        yield 0.85 - 0.05 * distance, "sound"
    elif len(typed) > 3 and typed in han.sound:
        yield _share(len(typed), len(han.sound)), "sound"


def _compare_words(asked: _Look, other: _Look) -> Iterator[tuple[float, How]]:
    shared = asked.stems & other.stems
    if shared:
        alike = len(shared) / len(asked.stems | other.stems)
        if alike > 0.6 and not (asked.han or other.han):
            yield 0.95 * alike, "words"
        elif shared == asked.stems or shared == other.stems:
            yield _share(len(shared), max(len(asked.stems), len(other.stems))), "contains"
    if asked.words and not asked.han:
        *typed, last = asked.words
        begun = {_stem(word) for word in other.words if word.startswith(last)} if len(last) > 1 else set()
        if begun and {_stem(word) for word in typed if word not in _STOP_WORDS} <= other.stems:
            yield 0.95 * _share(len(typed) + 1, max(len(other.words), len(typed) + 1)), "contains"


def _compare_letters(asked: str, other: str) -> Iterator[tuple[float, How]]:
    distance = _typos(asked, other)
    if distance is not None:
        yield 0.9 - 0.05 * distance, "typo"
    shorter, longer = sorted((asked, other), key=len)
    if len(shorter) > 3 and shorter in longer:
        yield 0.9 * _share(len(shorter), len(longer)), "contains"


def _share(part: int, whole: int) -> float:
    return 0.3 + 0.35 * part / whole


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1)}


def _is_within(shorter: str, longer: str) -> bool:
    """Whether all characters stand in the longer text in this order, as 加购 does in 加入购物车."""
    rest = iter(longer)
    return all(character in rest for character in shorter)


def _typos(one: str, other: str) -> int | None:
    """How many letters are wrong, missing, too many or swapped; None when more than a slip. A number is never a slip."""
    allowed = 0 if min(len(one), len(other)) < 5 else 1 if min(len(one), len(other)) < 9 else 2
    if abs(len(one) - len(other)) > allowed or not allowed or _DIGITS.findall(one) != _DIGITS.findall(other):
        return None
    distance = _edits(one, other, allowed)
    return distance if distance <= allowed else None


def _edits(one: str, other: str, allowed: int) -> int:
    """Edit distance with swaps of neighbours (Damerau), given up when it exceeds what is allowed."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, last, row = row, before, [at]
        for to, another in enumerate(other, 1):
            cost = min(before[to] + 1, row[-1] + 1, before[to - 1] + (letter != another))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == another:
                cost = min(cost, last[to - 2] + 1)
            row.append(cost)
        if min(row) > allowed:
            return allowed + 1
    return row[-1]
