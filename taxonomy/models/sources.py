import uuid

from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from staff.models import Department
from taxonomy.models.items import Item, Tag, snake_case


class _Drafted(models.Manager["Source"]):
    def get_queryset(self) -> models.QuerySet["Source"]:
        return super().get_queryset().filter(in_draft=True)


class Source(Item):
    """A system that sends events, and where in its records things are found (its envelope).

    `objects` are those of the draft. A row that left it stays among `every`, for what was sent, and for what sends until a release ends it.
    """

    kind = "source"

    class Kind(models.TextChoices):
        WEBSITE = "website", _("website")
        APP = "app", _("app")
        MINI_PROGRAM = "mini_program", _("mini program")
        TILL = "till", _("till")
        CALL_CENTRE = "call_centre", _("call centre")
        CRM = "crm", _("CRM")
        DEVICE = "device", _("device")
        PARTNER = "partner", _("partner")
        FILE = "file", _("file")

    code = models.CharField(_("code"), max_length=80, validators=[snake_case], help_text=_("Such as web_shop."))
    source_kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    owner = models.ForeignKey(Department, models.PROTECT, related_name="+", verbose_name=_("owner"))
    region = models.CharField(
        _("default region"), max_length=2, blank=True,
        help_text=_("Two letters, such as CN: where a number without + is dialled. Empty: such numbers are held."),
    )  # fmt: skip
    timezone = models.CharField(
        _("time zone"), max_length=60, default="UTC", help_text=_("Of times sent without a zone, such as Asia/Shanghai.")
    )
    currency = models.CharField(_("currency"), max_length=3, blank=True, help_text=_("Of amounts sent without one, such as CNY."))
    namespace = models.CharField(
        _("identifier namespace"), max_length=40, blank=True,
        help_text=_("If this source numbers its customers by itself, a name for its numbering, such as till. Empty: user and CRM ids are the company's."),
    )  # fmt: skip
    hold_unreadable_phone = models.BooleanField(
        _("hold unreadable phones"), default=True,
        help_text=_("Hold an event whose phone cannot be read, even if another identifier came with it."),
    )  # fmt: skip
    separate_rows = models.BooleanField(
        _("identical rows are separate"), default=False,
        help_text=_("In files: count two identical rows without an id as two events."),
    )  # fmt: skip
    replay_held = models.BooleanField(
        _("replay by itself"), default=False,
        help_text=_("After each release, read the held events of this source again without being asked."),
    )  # fmt: skip
    envelope = models.JSONField(
        _("envelope"), default=dict, blank=True,
        help_text=_("Where in a record the event name, phone, time and the rest are found."),
    )  # fmt: skip
    in_draft = models.BooleanField(default=True, db_default=True, editable=False)

    objects = _Drafted()
    every = models.Manager()

    class Meta:
        ordering = ["code", "id"]
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        constraints = [
            models.UniqueConstraint(
                Lower("code"),
                name="source_code_unique",
                condition=models.Q(in_draft=True),
                violation_error_message=_("Another source has this code."),
            )  # fmt: skip
        ]

    def __str__(self) -> str:
        return self.label

    def leave_draft(self) -> None:
        """Go from the draft with its rules. The row stays, and comes back when its definition is written again."""
        self.rules.all().delete()
        self.in_draft = False
        self.save(update_fields=["in_draft", "code"])  # its code may be another's by now


class MappingRule(models.Model):
    """How one source's way of saying it becomes the standard. Rules of a source are tried in order."""

    kind = "rule"

    class Match(models.TextChoices):
        EXACT = "exact", _("is exactly")
        PATTERN = "pattern", _("matches the pattern")

    class Operator(models.TextChoices):
        EQ = "eq", _("is")
        NE = "ne", _("is not")
        IN = "in", _("is one of")
        GT = "gt", _("is greater than")
        GTE = "gte", _("is at least")
        LT = "lt", _("is less than")
        LTE = "lte", _("is at most")
        CONTAINS = "contains", _("contains")
        STARTS_WITH = "starts_with", _("starts with")
        MATCHES = "matches", _("matches the pattern")
        EXISTS = "exists", _("is present")
        MISSING = "missing", _("is absent")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, models.CASCADE, related_name="rules", verbose_name=_("source"))
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("The first rule that matches wins, smallest first."))
    match = models.CharField(_("event name"), max_length=8, choices=Match, default=Match.EXACT)
    name = models.CharField(
        _("name"), max_length=300, help_text=_("As the source sends it, such as item_detail_view; or a pattern such as view_.*")
    )
    condition_path = models.CharField(
        _("only if"), max_length=200, blank=True, help_text=_("An attribute as sent, such as status. Empty: always.")
    )
    condition_operator = models.CharField(_("condition"), max_length=12, choices=Operator, blank=True)
    condition_value = models.CharField(_("value"), max_length=300, blank=True)
    below_version = models.CharField(
        _("only below version"), max_length=40, blank=True,
        help_text=_("Only what an older version of the source sends, such as below 4.2. Its version is found by the envelope."),
    )  # fmt: skip
    until = models.DateField(
        _("only until"), null=True, blank=True,
        help_text=_("The last day of this rule, such as 31 December. Its owners are warned before it comes."),
    )  # fmt: skip
    tag = models.ForeignKey(Tag, models.PROTECT, related_name="rules", verbose_name=_("becomes"))
    keep_unmapped = models.BooleanField(
        _("take the rest as it is"), default=True,
        help_text=_("Attributes that no row below takes, and that the tag has under the same name, are kept."),
    )  # fmt: skip
    note = models.TextField(_("note"), blank=True, help_text=_("Why this rule is as it is."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        ordering = ["source", "position", "id"]
        verbose_name = _("mapping rule")
        verbose_name_plural = _("mapping rules")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "name"],
                condition=models.Q(match="exact", condition_path="", below_version="", until=None),
                name="rule_unconditional_once",
                violation_error_message=_("This source has an unconditional rule for exactly this name already. Add a condition, or change that rule."),
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        from taxonomy.rule_words import rule_name

        return rule_name(self.source.label, self.name, self.tag.label, self.limits)

    @property
    def limits(self) -> str:
        """Its condition, version and last day in words; "" when it always applies."""
        from taxonomy.rule_words import limits_words

        condition = {"path": self.condition_path, "operator": self.condition_operator, "value": self.condition_value}
        told = {"condition": condition if self.condition_path else None, "below_version": self.below_version, "until": self.until}
        return limits_words(told)


class MappingRow(models.Model):
    """One line of a rule: target attribute ← source path [transforms]."""

    rule = models.ForeignKey(MappingRule, models.CASCADE, related_name="rows", verbose_name=_("rule"))
    position = models.PositiveIntegerField(_("position"), default=0)
    target = models.CharField(
        _("standard attribute"), max_length=120,
        help_text=_("An attribute of the tag, such as price; or $phone, $region, $occurred_at, $identifiers.email."),
    )  # fmt: skip
    path = models.CharField(
        _("from"), max_length=300, blank=True, help_text=_("Where it is in what the source sends, such as item.unit_price.")
    )
    transforms = models.CharField(_("transforms"), max_length=500, blank=True, help_text=_("Such as: trim | divide(100). Empty: as it is."))

    class Meta:
        ordering = ["position", "id"]
        verbose_name = _("row")
        verbose_name_plural = _("rows")
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "target"],
                name="rule_target_once",
                violation_error_message=_("The rule fills this attribute already."),
            )  # fmt: skip
        ]

    def __str__(self) -> str:
        return f"{self.target} ← {self.path}"
