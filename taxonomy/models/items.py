"""The draft of the standard: the rows people edit. Ingestion obeys the latest Release, never these."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from staff.models import Department, in_reader_language

snake_case = RegexValidator(
    r"^[a-z][a-z0-9]*(_[a-z0-9]+)*\Z",
    _("Use small letters, digits and single underscores, beginning with a letter, such as product_view."),
)


class Item(models.Model):
    """What every governed item has: a permanent uuid, and names in both languages."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    label_en = models.CharField(_("name in English"), max_length=120)
    label_zh_hans = models.CharField(_("name in Chinese"), max_length=120)
    description_en = models.TextField(_("description in English"), blank=True)
    description_zh_hans = models.TextField(_("description in Chinese"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    kind: str

    class Meta:
        abstract = True

    @property
    def label(self) -> str:
        return in_reader_language(self.label_en, self.label_zh_hans)

    @property
    def description(self) -> str:
        return in_reader_language(self.description_en, self.description_zh_hans)


class Category(Item):
    """Where a tag stands in the tree: general, product, marketing, service."""

    kind = "category"

    code = models.CharField(_("code"), max_length=80, validators=[snake_case], help_text=_("Such as marketing."))
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("above it"))
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("Order among its neighbours, smallest first."))

    class Meta:
        ordering = ["position", "code"]
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        constraints = [
            models.UniqueConstraint(
                Lower("code"), name="category_code_unique", violation_error_message=_("Another category has this code.")
            )
        ]

    def __str__(self) -> str:
        return self.label


class Attribute(Item):
    """A typed field, defined once here and used by many tags."""

    kind = "attribute"

    class Personal(models.TextChoices):
        NONE = "none", _("not personal")
        CONTACT = "contact", _("contact data")
        IDENTITY = "identity", _("identity data")
        SENSITIVE = "sensitive", _("sensitive data")

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        INTEGER = "integer", _("whole number")
        DECIMAL = "decimal", _("decimal number")
        BOOLEAN = "boolean", _("yes or no")
        DATE = "date", _("date")
        DATETIME = "datetime", _("date and time")
        CHOICE = "choice", _("choice")
        MONEY = "money", _("money")
        PHONE = "phone", _("phone number")
        EMAIL = "email", _("e-mail address")
        URL = "url", _("web address")
        LIST = "list", _("list")
        OBJECT = "object", _("object with fields")

    code = models.CharField(_("code"), max_length=80, validators=[snake_case], help_text=_("Such as order_id."))
    type = models.CharField(_("type"), max_length=12, choices=Type, default=Type.TEXT)
    of = models.CharField(_("list of"), max_length=12, choices=Type, blank=True, help_text=_("For a list: the type of each entry."))
    fields = models.JSONField(
        _("fields"),
        default=dict,
        blank=True,
        help_text=_('For an object: its fields, such as {"city": {"type": "text", "required": true}}.'),
    )
    unit = models.CharField(_("unit"), max_length=40, blank=True, help_text=_("Such as seconds or kg."))
    example = models.CharField(_("example"), max_length=300, blank=True, help_text=_("A value as a source would send it."))
    personal = models.CharField(_("personal data"), max_length=12, choices=Personal, default=Personal.NONE)
    constraints = models.JSONField(
        _("constraints"),
        default=dict,
        blank=True,
        help_text=_("One a line, such as: minimum = 0, or longest = 40, or pattern = [A-Z]{3}, or choices = red, blue."),
    )
    watch_until = models.DateField(
        _("only watch until"), null=True, blank=True,
        help_text=_("Until that day values that break its rules are recorded and the event accepted; from then on it is held."),
    )  # fmt: skip

    class Meta:
        ordering = ["code"]
        verbose_name = _("attribute")
        verbose_name_plural = _("attributes")
        constraints = [
            models.UniqueConstraint(
                Lower("code"), name="attribute_code_unique", violation_error_message=_("Another attribute has this code.")
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.code})"


class Tag(Item):
    """The standard name of a behaviour, such as product_view."""

    kind = "tag"

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        ACTIVE = "active", _("active")
        DEPRECATED = "deprecated", _("deprecated")

    code = models.CharField(_("code"), max_length=120, validators=[snake_case], help_text=_("The name sources send, such as product_view."))
    category = models.ForeignKey(Category, models.PROTECT, related_name="tags", verbose_name=_("category"))
    owner = models.ForeignKey(
        Department, models.PROTECT, related_name="+", verbose_name=_("owner"), help_text=_("The department that answers for it.")
    )
    status = models.CharField(
        _("status"),
        max_length=12,
        choices=Status,
        default=Status.DRAFT,
        help_text=_("Only active and deprecated tags are accepted; a draft is unknown to sources."),
    )
    successor = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="predecessors", verbose_name=_("successor"),
        help_text=_("For a deprecated tag: the one to use instead."),
    )  # fmt: skip
    synonyms = ArrayField(
        models.CharField(max_length=120), default=list, blank=True, verbose_name=_("synonyms"),
        help_text=_("Other names people use, separated by commas, so that search finds it."),
    )  # fmt: skip
    one_of = models.JSONField(
        _("at least one of"), default=list, blank=True,
        help_text=_("Attributes of which one must be present, a group a line, such as: price, amount."),
    )  # fmt: skip
    watch_until = models.DateField(
        _("only watch until"), null=True, blank=True,
        help_text=_("Until that day what is wrong with attributes is recorded and the event accepted; from then on it is held."),
    )  # fmt: skip
    system = models.BooleanField(_("system tag"), default=False, editable=False)

    class Meta:
        ordering = ["code"]
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        constraints = [
            models.UniqueConstraint(Lower("code"), name="tag_code_unique", violation_error_message=_("Another tag has this code."))
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.code})"


class TagAttribute(models.Model):
    """One use of an attribute by a tag, which may tighten it."""

    tag = models.ForeignKey(Tag, models.CASCADE, related_name="uses", verbose_name=_("tag"))
    attribute = models.ForeignKey(Attribute, models.PROTECT, related_name="uses", verbose_name=_("attribute"))
    required = models.BooleanField(_("required"), default=False)
    constraints = models.JSONField(_("tighter here"), default=dict, blank=True, help_text=_("Such as: minimum = 1."))
    watch_until = models.DateField(_("only watch until"), null=True, blank=True)
    position = models.PositiveIntegerField(_("position"), default=0)

    class Meta:
        ordering = ["position", "id"]
        verbose_name = _("attribute of the tag")
        verbose_name_plural = _("attributes of the tag")
        constraints = [
            models.UniqueConstraint(
                fields=["tag", "attribute"],
                name="tag_uses_attribute_once",
                violation_error_message=_("The tag has this attribute already."),
            )  # fmt: skip
        ]

    def __str__(self) -> str:
        return self.attribute.code


class TagMode(models.Model):
    """What happens to one source's events of a tag whose attributes break the plan, where they are not held."""

    class Mode(models.TextChoices):
        QUARANTINE = "quarantine", _("hold the event")
        NOTE = "note", _("accept and note")
        SET_ASIDE = "set_aside", _("accept, set the attribute aside")

    tag = models.ForeignKey(Tag, models.CASCADE, related_name="modes", verbose_name=_("tag"))
    source = models.ForeignKey(
        "taxonomy.Source", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("source"),
        help_text=_("Empty: every source that is not named here."),
    )  # fmt: skip
    mode = models.CharField(_("when an attribute breaks a rule"), max_length=12, choices=Mode, default=Mode.NOTE)

    class Meta:
        ordering = ["id"]
        verbose_name = _("mode")
        verbose_name_plural = _("how strict, by source")
        constraints = [
            models.UniqueConstraint(
                fields=["tag", "source"],
                name="tag_mode_once",
                nulls_distinct=False,
                violation_error_message=_("This source has a mode here already."),
            )  # fmt: skip
        ]

    def __str__(self) -> str:
        return f"{self.source or ''} {self.get_mode_display()}"


class Refinement(models.Model):
    """A finer tag made from the tag and one attribute, such as {tag}_{product_id}."""

    tag = models.ForeignKey(Tag, models.CASCADE, related_name="refinements", verbose_name=_("tag"))
    pattern = models.CharField(_("pattern"), max_length=200, help_text=_("Such as {tag}_{product_id} or {tag}_category_{category}."))
    position = models.PositiveIntegerField(_("position"), default=0)

    class Meta:
        ordering = ["position", "id"]
        verbose_name = _("refinement")
        verbose_name_plural = _("refinements")
        constraints = [
            models.UniqueConstraint(
                fields=["tag", "pattern"],
                name="refinement_unique",
                violation_error_message=_("The tag has this refinement already."),
            )  # fmt: skip
        ]

    def __str__(self) -> str:
        return self.pattern
