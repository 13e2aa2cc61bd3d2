"""What the columns of a file may be, each with the reason: from earlier files, the envelope, the rules, its name, its values."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ingestion.doors.files import Matching, RowEvent
from ingestion.doors.files.matching import ATTRIBUTE, FIELDS, IDENTIFIER
from ingestion.imports.columns import ASK, Seen, repeats
from ingestion.models import FileMatching
from taxonomy.dictionary.standard import Standard
from taxonomy.similar.names import best_of
from taxonomy.similar.words import reason_text
from taxonomy.standardize import KINDS
from taxonomy.standardize.paths import plain_names
from taxonomy.standardize.read import IDENTIFIERS, custom_paths

# Among the few attributes of the event's tags, so much in common is worth a look.
_AMONG_FEW = 0.45
# What tills call these, and the standard does not.
_ATTRIBUTES = {"order_id": "receipt", "staff_id": "staff", "coupon_code": "coupon", "product_id": "product_no", "amount": "paid_amount"}
# So much alike is the same name; below it the very word for a column says more.
_SAME = 0.9
# What `_called` says of a column's very name.
_BY_NAME = 2
# Values are looked at only where this share of them is alike.
_MOSTLY = 0.7
# A tag is offered first when so many of its attributes are among the columns.
_LEAST_COVERED, _OFFERED = 2, 3

# Where a word begins in orderNo; what stands between words, and between names that lead into an object.
_WORDS, _PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])"), re.compile(r"[_.]")
# What columns are called; longer ones first, so that a card number is no phone number.
_CALLED: dict[str, tuple[str, ...]] = {
    "time_of_day": ("交易时刻", "时刻", "time_of_day", "clock"),
    "occurred_at": (
        "交易时间", "成交时间", "销售时间", "消费时间", "下单时间", "订单时间", "付款时间", "支付时间", "创建时间", "发生时间",
        "交易日期", "成交日期", "销售日期", "消费日期", "下单日期", "订单日期", "付款日期", "支付日期", "创建日期", "发生日期", "日期", "时间",
        "occurred_at", "timestamp", "datetime", "created_at", "order_date", "date", "time",
    ),
    "identifier.crm_id": ("会员编号", "会员卡号", "会员号", "会员id", "客户编号", "客户号", "卡号", "member_no", "member_id", "crm_id", "customer_id"),
    "identifier.user_id": ("用户id", "用户编号", "账号", "user_id", "userid", "account"),
    "identifier.openid": ("openid", "微信openid"),
    "identifier.email": ("邮箱", "电子邮件", "email", "e-mail", "mail"),
    "identifier.device": ("设备号", "设备id", "device_id", "device"),
    "region": ("国家", "国家代码", "country", "country_code"),
    "event": ("事件名称", "事件", "业务类型", "交易类型", "单据类型", "类型", "行为", "event", "event_name", "type", "action"),
    "phone": ("手机", "手机号", "手机号码", "电话", "联系电话", "移动电话", "phone", "mobile", "tel", "telephone", "cell", "msisdn"),
    "id": ("流水号", "交易流水", "交易号", "明细号", "序列号", "message_id", "transaction_id", "event_id", "row_id"),
    "receipt": ("小票号", "单号", "订单号", "订单编号", "receipt", "receipt_no", "order_id", "order_no", "order"),
    "staff": ("收银员", "店员", "导购", "cashier", "clerk"),
    "coupon": ("优惠券号", "优惠券", "券号", "券码", "coupon", "voucher"),
    "product_no": (
        "货号", "商品货号", "商品编号", "商品编码", "商品代码", "产品编号", "产品编码", "款号", "sku编码", "sku编号", "sku_id", "sku_code",
        "item_no", "item_code", "product_code",
    ),
    "paid_amount": (
        "实付", "实付金额", "实付款", "实收", "实收金额", "实收款", "成交金额", "成交额", "支付金额", "付款金额", "交易金额", "销售额", "amount_paid", "total_paid",
    ),
    "line": ("行号", "序号", "明细行", "line", "line_no", "row_no"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """`target`: what the column is, "" for nothing known; `written`: how; ASK where somebody must say."""

    target: str = ""
    written: str = ""
    why: str = ""


@dataclass(slots=True)
class Suggested:
    """`event` is "column:<heading>" or "name:<name>", "" where somebody must choose; `offered` are names to choose from first.

    `ids` are the columns that together are different in every row.
    """

    columns: dict[str, Guess]
    ids: list[str] = field(default_factory=list)
    event: str = ""
    event_why: str = ""
    offered: list[tuple[str, str]] = field(default_factory=list)
    others: tuple[RowEvent, ...] = ()


def suggest(
    seen: Mapping[str, Seen],
    rows: Sequence[Sequence[str]],
    *,
    source: str,
    known: Standard | None,
    earlier: Sequence[FileMatching],
    is_mended: bool = False,
) -> Suggested:
    """`source`: its uuid; `earlier`: its matchings, the newest first; `is_mended`: whether the rows name what they mend."""
    found = Suggested({heading: Guess() for heading in seen})
    may_have_id, settled = not is_mended, set[str]()
    if (nearest := _nearest(earlier, seen)) is not None:
        may_have_id = _as_before(found, nearest) and not is_mended
        # What it left unused stays so: what it reads otherwise, it would count again.
        settled = {*nearest.headings}
    if known is not None and source in known.items:
        _from_envelope(found, known.items[source].get("envelope") or {}, settled, may_have_id=may_have_id)
    _by_values_and_names(found, seen, settled)
    if may_have_id and not found.ids:
        found.ids = _ids(seen, rows)
    if not found.event:
        _offer(found, seen, source, known)
    if known is not None and source in known.items:
        more = attributes_for(found.event, found.columns, seen, source=source, known=known)
        found.columns |= {heading: guess for heading, guess in more.items() if heading not in settled}
    return found


def attributes_for(event: str, guesses: Mapping[str, Guess], seen: Mapping[str, Seen], *, source: str, known: Standard) -> dict[str, Guess]:
    """For the columns that nothing is known of: attributes, as the rules of the source and the tags of the event have them."""
    rules = rules_of(source, known)
    names = names_of(event, seen)
    paths = paths_of(rules, names)
    tags = tags_of(names, rules, known)
    allowed = {use["attribute"] for tag in tags for use in known.items[tag].get("attributes") or []}
    found: dict[str, Guess] = {}
    taken = {guess.target for guess in guesses.values()}
    free = (heading for heading, guess in guesses.items() if not guess.target)
    ranked = [(heading, *_attribute(heading, paths, allowed, known, seen[heading])) for heading in free]
    for heading, _sure, guess in sorted(ranked, key=lambda one: -one[1]):
        if guess is not None and guess.target not in taken:
            found[heading] = guess
            taken.add(guess.target)
    return found


def _attribute(heading: str, paths: Mapping[str, str], allowed: Collection[str], known: Standard, seen: Seen) -> tuple[int, Guess | None]:
    """What a rule reads under this name or fills with what is called so; else the attribute of the tags that is called so; how sure it is."""
    if heading in paths:
        return 3, Guess(ATTRIBUTE + heading, seen.numbers, _("the source's rules read it"))
    unwanted = known.items.keys() - {*allowed} if allowed else set()
    matches = best_of(known.index.matches(heading, kinds=("attribute",), least=_AMONG_FEW, without=unwanted), 1) if allowed else []
    codes = {known.items[item]["code"] for item in allowed}
    how, code = max(((_called(heading, called), code) for code, called in _ATTRIBUTES.items() if code in codes), default=(0, ""))
    why = _("its name")
    if matches and (matches[0].score >= _SAME or how < _BY_NAME):
        code, why = known.items[matches[0].item]["code"], reason_text(matches[0].reason, known.items)
        how = _BY_NAME if matches[0].score >= _SAME else 0
    elif not how:
        return 0, None
    by_rule = next((path for path, target in paths.items() if target == code), "")
    return how, Guess(ATTRIBUTE + (by_rule or code), seen.numbers, why)


def names_of(event: str, seen: Mapping[str, Seen]) -> list[str]:
    """The names that events get: the one chosen, or those that the column says."""
    kind, _sign, said = event.partition(":")
    if kind == "name":
        return [said]
    return list(seen[said].names) if kind == "column" and said in seen else []


def rules_of(source: str, known: Standard) -> list[dict[str, Any]]:
    return [known.items[item] for item in known.rules_of[source]]


def tags_of(names: Iterable[str], rules: Sequence[dict[str, Any]], known: Standard) -> list[str]:
    """The tags that such names can become: by the rules for exactly them, else by their code."""
    found: list[str] = []
    for name in names:
        by_rule = [rule["tag"] for rule in rules if rule.get("match") != "pattern" and rule["name"] == name]
        by_code = known.find("tag", name)
        found += by_rule or ([by_code] if by_code else [])
    return [tag for tag in dict.fromkeys(found) if tag in known.items]


def paths_of(rules: Sequence[dict[str, Any]], names: Collection[str]) -> dict[str, str]:
    """What the rules for these names read: {name in the record: the attribute it fills}."""
    found: dict[str, str] = {}
    for rule in rules:
        if rule.get("match") != "pattern" and rule["name"] in names:
            for row in rule.get("rows") or []:
                path = plain_names((row.get("path") or "").removeprefix("$.")) or []
                if len(path) == 1 and not row["target"].startswith("$"):
                    found.setdefault(path[0], row["target"])
            condition = plain_names(rule["condition"]["path"]) if rule.get("condition") else None
            if condition and len(condition) == 1:
                found.setdefault(condition[0], "")
    return found


def _nearest(earlier: Sequence[FileMatching], seen: Collection[str]) -> FileMatching | None:
    """The newest of those that read most of these columns, if more than half of what it reads is there."""
    shared = {one.pk: len({*one.matching.headings()} & {*seen}) for one in earlier}
    nearest = max(earlier, key=lambda one: shared[one.pk], default=None)
    return nearest if nearest is not None and 2 * shared[nearest.pk] > len(nearest.matching.headings()) else None


def _as_before(found: Suggested, former: FileMatching) -> bool:
    """Whether another id may be suggested: only where a column of the former's is missing, for another would count its rows again.

    Nor where objects of its layout just lack it: others of them have it.
    """
    matching: Matching = former.matching
    why = _("as in matching %(number)s") % {"number": former.number}
    main, *others = matching.events
    is_whole = {*matching.ids()} <= found.columns.keys()
    found.ids = matching.ids() if is_whole else []
    for column in (*matching.columns, *main.columns):
        if column.heading in found.columns and column.target != "id":
            found.columns[column.heading] = Guess(column.target, column.written, why)
    if main.column in found.columns or main.name:
        found.event = f"column:{main.column}" if main.column else f"name:{main.name}"
        found.event_why = why
    found.others = tuple(one for one in others if {*one.headings()} <= found.columns.keys())
    return not (is_whole or (former.is_json and found.columns.keys() <= {*former.headings}))


def _from_envelope(found: Suggested, envelope: dict[str, Any], settled: Collection[str], *, may_have_id: bool) -> None:
    """What the source's own envelope finds under a heading."""
    why = _("the source's envelope reads it so")
    for name, path in custom_paths(envelope).items() if envelope.get("preset") == "custom" else ():
        heading = ".".join(plain_names(path.removeprefix("$.")) or [])
        if heading not in found.columns or heading in settled or found.columns[heading].target:
            continue
        target = name.replace(IDENTIFIERS, IDENTIFIER)
        if name == "message_id":
            found.ids = found.ids or ([heading] if may_have_id else [])
        elif target == "event" and not found.event:
            found.event, found.event_why = f"column:{heading}", why
        elif target in FIELDS or target.startswith(IDENTIFIER):
            found.columns[heading] = Guess(target, "", why)


_LOOKS: dict[str, Promise] = {
    "phone": gettext_lazy("its values are phone numbers"),
    "occurred_at": gettext_lazy("its values are times"),
    "time_of_day": gettext_lazy("its values are times of day"),
    "identifier.email": gettext_lazy("its values are e-mail addresses"),
}


def _by_values_and_names(found: Suggested, seen: Mapping[str, Seen], settled: Collection[str]) -> None:
    """Each field to the one column that fits it best; of two that fit as well none, for somebody must choose."""
    taken = {guess.target for guess in found.columns.values()}
    for target in ("phone", "occurred_at", "time_of_day", "region", "source_version", *(f"{IDENTIFIER}{kind}" for kind in KINDS)):
        if target not in taken and target != "identifier.phone" and (target != "time_of_day" or _lacks_clock(found, seen)):
            _give(target, found, {heading: one for heading, one in seen.items() if heading not in settled})
    if not found.event:
        named = [heading for heading, one in seen.items() if _called(heading, "event") and one.names and not found.columns[heading].target]
        if len(named) == 1:
            found.event, found.event_why = f"column:{named[0]}", _("its name")


def _give(target: str, found: Suggested, seen: Mapping[str, Seen]) -> None:
    """To the column that fits best; to none where two fit as well."""
    scored = {heading: _score(target, one) for heading, one in seen.items() if not found.columns[heading].target}
    best = sorted(((score, heading) for heading, score in scored.items() if score > 0), reverse=True)
    if best and (len(best) == 1 or best[0][0] > best[1][0]):
        heading = best[0][1]
        found.columns[heading] = Guess(target, written_for(target, seen[heading]), _why(target, seen[heading]))


def with_clock(found: Suggested, seen: Mapping[str, Seen]) -> None:
    """After another column was chosen for the time: where it holds days alone, the column of their times of day."""
    if all(guess.target != "time_of_day" for guess in found.columns.values()) and _lacks_clock(found, seen):
        _give("time_of_day", found, seen)


def time_column(found: Suggested) -> str:
    return next((heading for heading, guess in found.columns.items() if guess.target == "occurred_at"), "")


def _ids(seen: Mapping[str, Seen], rows: Sequence[Sequence[str]]) -> list[str]:
    """The column whose name says that it is one and that is different in every row; else a receipt's with its lines' numbers."""
    unique = [heading for heading, one in seen.items() if one.is_unique and _called(heading, "identifier.crm_id") < _BY_NAME]
    if named := [heading for heading in unique if _called(heading, "id") or _called(heading, "receipt")]:
        return named[:1]
    whole = [heading for heading, one in seen.items() if _called(heading, "receipt") and one.is_filled]
    lines = [heading for heading, one in seen.items() if _called(heading, "line") and one.is_filled]
    both = [*whole[:1], *lines[:1]]
    return both if len(both) == 2 and not repeats(rows, list(seen), both) else []


def _lacks_clock(found: Suggested, seen: Mapping[str, Seen]) -> bool:
    """Whether the time's column holds days alone."""
    return any(
        guess.target == "occurred_at" and not any(":" in example or "时" in example for example in seen[heading].examples)
        for heading, guess in found.columns.items()
    )


def _score(target: str, one: Seen) -> int:
    named = _called(one.heading, target)
    match target:
        case "phone":
            fits = one.phones >= _MOSTLY
            # A shop's own number is the same in many rows.
            return (3 if named and fits else 2 if fits else 0) * 10 + min(9, 9 * len(one.examples) // 3) if fits else 1 if named else 0
        case "occurred_at":
            # Its very name goes before the day of a refund.
            return 2 * named + (1 if one.times and one.is_dates else 0) if one.is_dates or (named and one.times) else 0
        case "time_of_day":
            return (2 if named or _called(one.heading, "occurred_at") else 1) if one.clock else 0
        case "identifier.email":
            return 2 if one.emails >= _MOSTLY else 0
    return 1 if named else 0


def _called(heading: str, target: str) -> int:
    """How well a heading says what it is: 2 for its very name, 1 for a part, 0."""
    plain = heading.strip().lower().replace(" ", "_")
    text = _WORDS.sub("_", heading.strip()).lower().replace(" ", "_")
    words = (target, *_CALLED.get(target, ()))
    if plain in words or text.replace(".", "_") in words:
        return 2
    if text.rpartition(".")[2] in words:
        return 1
    return int(any(word in text and not word.isascii() for word in words) or any(part in words for part in _PARTS.split(text)))


def _why(target: str, one: Seen) -> str:
    if one.heading == target:
        return _("it has our own name")
    looks = _LOOKS.get(target)
    if looks is not None and _called(one.heading, target):
        return _("its name, and %(looks)s") % {"looks": looks}
    return str(looks) if looks is not None else _("its name")


def written_for(target: str, one: Seen) -> str:
    """How a column is written: ASK where its days, or its numbers, can be read in several ways."""
    if target == "occurred_at":
        return ASK if one.is_asked else one.times[0] if one.times else ""
    if target == "time_of_day":
        return one.clock
    return one.numbers if target.startswith(ATTRIBUTE) else ""


def _offer(found: Suggested, seen: Mapping[str, Seen], source: str, known: Standard | None) -> None:
    """Names to choose the event from first: what the source's rules know, and the tags whose attributes are among the columns."""
    if known is None:
        return
    free = [heading for heading, guess in found.columns.items() if not guess.target]
    covered: dict[str, list[str]] = {}
    alike = {
        match.item for heading in free for match in best_of(known.index.matches(heading, kinds=("attribute",), least=0.7, without=()), 2)
    }
    for tag in (item for item, one in known.items.items() if one["kind"] == "tag" and one.get("status") == "active"):
        uses = [use["attribute"] for use in known.items[tag].get("attributes") or [] if use["attribute"] in alike]
        if len(uses) >= _LEAST_COVERED:
            covered[tag] = uses
    best = sorted(covered, key=lambda tag: (-len(covered[tag]), known.items[tag]["code"]))[:_OFFERED]
    for tag in best:
        codes = ", ".join(known.items[one]["code"] for one in covered[tag][:4])
        found.offered.append((f"name:{known.items[tag]['code']}", _("its attributes %(codes)s are among the columns") % {"codes": codes}))
