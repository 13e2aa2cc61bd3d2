"""The sheets of a workbook of the plan and their columns: one row of this table for each. Headers are read in either language."""

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from staff.models import in_languages
from taxonomy.diff import FIELDS
from taxonomy.models import Attribute, MappingRule, Source, Tag, TagMode

LANGUAGES = ("en", "zh-hans")
Text = str | Promise


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `form`: how a cell is written, a name of taxonomy/exchange/cells.py; `of`: its choices, or the sheet it refers to."""

    name: str
    label: Text
    form: str
    width: int = 18
    of: Any = None
    about: Text = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`name` is the file's in CSV. `within`: the field of another sheet's item that its rows are, such as a tag's attributes."""

    name: str
    title: Text
    kind: str
    columns: tuple[Column, ...]
    within: str = ""

    def column(self, name: str) -> Column:
        return next(one for one in self.columns if one.name == name)


_ID = Column("id", _("id"), "id", 14, about=_("The permanent id: it makes a new code a rename. Leave it empty for something new."))
_REQUIRED = Column("required", _("required"), "yes", 10)


def _code(about: Text) -> Column:
    return Column("code", FIELDS["code"], "code", 26, about=about)


def _field(name: str, form: str = "text", width: int = 18, of: Any = None, about: Text = "") -> Column:
    return Column(name, FIELDS[name], form, width, of, about)


_NAMES = (
    _field("label_en", width=24), _field("label_zh_hans", width=20),
    _field("description_en", "text", 44), _field("description_zh_hans", "text", 36),
)  # fmt: skip
_CONSTRAINTS = _("One a line, such as: minimum = 0, or longest = 40, or pattern = [A-Z]{3}, or choices = red, blue.")

SHEETS: dict[str, Sheet] = {
    sheet.name: sheet
    for sheet in (
        Sheet("tags", _("Tags"), "tag", (
            _code(_("The name sources send, such as product_view.")), *_NAMES,
            _field("category", "code", 18, "categories"), _field("owner", "owner", 16), _field("status", "choice", 12, Tag.Status),
            _field("successor", "code", 20, "tags", _("For a deprecated tag: the one to use instead.")),
            _field("synonyms", "words", 28, about=_("Other names people use, separated by commas, so that search finds it.")),
            _field("one_of", "groups", 22, about=_("Attributes of which one must be present, a group a line, such as: price, amount.")),
            _field("watch_until", "text", 14, about=_("A day such as 2026-12-31. Empty: enforced.")), _ID,
        )),
        Sheet("tag_attributes", _("Attributes of tags"), "tag", (
            Column("tag", FIELDS["tag"], "code", 26, "tags"), Column("attribute", FIELDS["attribute"], "code", 26, "attributes"), _REQUIRED,
            Column("constraints", _("tighter here"), "constraints", 34, about=_CONSTRAINTS),
            _field("watch_until", "text", 14, about=_("A day such as 2026-12-31. Empty: enforced.")),
        ), "attributes"),
        Sheet("refinements", _("Refinements"), "tag", (
            Column("tag", FIELDS["tag"], "code", 26, "tags"),
            Column("pattern", _("pattern"), "text", 40, about=_("Such as {tag}_{product_id} or {tag}_category_{category}.")),
        ), "refinements"),
        Sheet("modes", _("How strict, by source"), "tag", (
            Column("tag", FIELDS["tag"], "code", 26, "tags"),
            Column("source", FIELDS["source"], "code", 22, "sources", _("Empty: every source that is not named here.")),
            _field("mode", "choice", 34, TagMode.Mode),
        ), "modes"),
        Sheet("attributes", _("Attributes"), "attribute", (
            _code(_("Such as order_id.")), *_NAMES, _field("type", "choice", 16, Attribute.Type),
            _field("of", "choice", 16, Attribute.Type, _("For a list: the type of each entry.")), _field("unit", width=12, about=_("Such as seconds or kg.")),
            _field("example", "text", 22, about=_("A value as a source would send it.")), _field("personal", "choice", 16, Attribute.Personal),
            _field("constraints", "constraints", 34, about=_CONSTRAINTS),
            _field("fields", "json", 34, about=_('For an object: its fields, such as {"city": {"type": "text", "required": true}}.')),
            _field("watch_until", "text", 14, about=_("A day such as 2026-12-31. Empty: enforced.")), _ID,
        )),
        Sheet("categories", _("Categories"), "category", (
            _code(_("Such as marketing.")), *_NAMES, _field("parent", "code", 20, "categories"),
            _field("position", "number", 10, about=_("Order among its neighbours, smallest first.")), _ID,
        )),
        Sheet("sources", _("Sources"), "source", (
            _code(_("Such as web_shop.")), *_NAMES, _field("source_kind", "choice", 16, Source.Kind), _field("owner", "owner", 16),
            _field("region", width=10, about=_("Two letters, such as CN: where a number without + is dialled. Empty: such numbers are held.")),
            _field("timezone", width=18, about=_("Of times sent without a zone, such as Asia/Shanghai.")),
            _field("currency", width=10, about=_("Of amounts sent without one, such as CNY.")), _field("namespace", width=16),
            _field("hold_unreadable_phone", "yes", 14), _field("separate_rows", "yes", 14),
            _field("replay_held", "yes", 14),
            _field("envelope", "envelope", 40, about=_("Where things are found, one a line, such as: phone = customer.mobile.")), _ID,
        )),
        Sheet("rules", _("Mapping rules"), "rule", (
            Column("rule", _("rule"), "code", 30, about=_("Any text that no other rule has: rows of rules name the rule by it.")),
            Column("source", FIELDS["source"], "code", 18, "sources"),
            _field("position", "number", 10, about=_("The first rule that matches wins, smallest first.")),
            _field("match", "choice", 18, MappingRule.Match), _field("name", width=28),
            Column("path", _("only if"), "text", 18, about=_("An attribute as sent, such as status. Empty: always.")),
            Column("operator", FIELDS["condition"], "choice", 18, MappingRule.Operator), Column("value", _("value"), "text", 18),
            Column("tag", _("becomes"), "code", 24, "tags"), _field("keep_unmapped", "yes", 14),
            _field("note", "text", 34, about=_("Why this rule is as it is.")),
            _field("below_version", width=14), _field("until", "text", 14), _ID,
        )),
        Sheet("rule_rows", _("Rows of rules"), "rule", (
            Column("rule", _("rule"), "code", 30, "rules"),
            Column("target", _("standard attribute"), "text", 24, about=_("An attribute of the tag, such as price; or $phone, $region, $occurred_at, $identifiers.email.")),
            Column("path", _("from"), "text", 30, about=_("Where it is in what the source sends, such as item.unit_price.")),
            Column("transforms", _("transforms"), "text", 34, about=_("Such as: trim | divide(100). Empty: as it is.")),
        ), "rows"),
    )
}  # fmt: skip
ABOUT = Sheet("about", _("Read me"), "", ())
# What the answer to an upload adds; left aside when it is uploaded again.
STATUS = Column("status_told", _("outcome"), "text", 12)
REASON = Column("reason_told", _("reason"), "text", 60)


def sheet_of(title: str) -> Sheet | None:
    """The sheet of this title in either language, or of this file name."""
    return _titles().get(_plain(title))


def columns_of(sheet: Sheet) -> dict[str, Column]:
    """{a header as people write it: the column}: its name, and its label in each language."""
    found: dict[str, Column] = {}
    for column in (STATUS, REASON, *sheet.columns):
        found |= {_plain(name): column for name in (column.name, *in_languages(column.label))}
    return found


def header(written: str, known: dict[str, Column]) -> Column | None:
    return known.get(_plain(written))


def _titles() -> dict[str, Sheet]:
    return {_plain(name): sheet for sheet in (ABOUT, *SHEETS.values()) for name in (sheet.name, *in_languages(sheet.title))}


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").rstrip("*")
