"""Changes of the standard on their way to a release: what departments review and sign off."""

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from staff.models import Department, User
from taxonomy.models.releases import Release


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def open(self) -> "ProposalQuerySet":
        return self.filter(state__in=Proposal.OPEN)

    def in_review(self) -> "ProposalQuerySet":
        return self.filter(state=Proposal.State.IN_REVIEW)


class Proposal(models.Model):
    """A set of changes. While it is in review or approved, what is under review is the definitions as submitted."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        IN_REVIEW = "in_review", _("in review")
        CHANGES_REQUESTED = "changes_requested", _("changes requested")
        APPROVED = "approved", _("approved")
        RELEASED = "released", _("released")
        WITHDRAWN = "withdrawn", _("withdrawn")

    # its items are in no other proposal
    OPEN = (State.DRAFT, State.IN_REVIEW, State.CHANGES_REQUESTED, State.APPROVED)
    # its items cannot be edited
    LOCKED = (State.IN_REVIEW, State.APPROVED)

    title = models.CharField(_("title"), max_length=160, help_text=_("What changes, in a few words, such as: one tag for all coupons."))
    why = models.TextField(_("why"), help_text=_("What is better with it, for whoever signs and whoever reads the release."))
    links = models.TextField(_("links"), blank=True, help_text=_("Web addresses with more to read, one a line."))
    retire_reason = models.TextField(
        _("why retire what still arrives"), blank=True,
        help_text=_("Only for a tag that sources still send: why its events shall be held from then on."),
    )  # fmt: skip
    author = models.ForeignKey(User, models.PROTECT, related_name="proposals", verbose_name=_("author"))
    co_authors = models.ManyToManyField(User, blank=True, related_name="+", verbose_name=_("co-authors"))
    state = models.CharField(_("state"), max_length=20, choices=State, default=State.DRAFT)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    submitted_at = models.DateTimeField(_("submitted"), null=True)
    release = models.ForeignKey(Release, models.PROTECT, null=True, related_name="proposals", verbose_name=_("release"))

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("proposal")
        verbose_name_plural = _("proposals")
        default_permissions = ("view", "add")
        permissions = [
            ("review_proposal", _("Can sign for the own department")),
            ("emergency_release", _("Can release without sign-off, with a reason")),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("admin:taxonomy_proposal_change", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def signatures(self) -> "models.QuerySet[Vote]":
        """The approvals that stand, the first first. One query."""
        return self.votes.filter(stands=True, choice=Vote.Choice.APPROVE).select_related("by", "department")

    @property
    def is_locked(self) -> bool:
        return self.state in self.LOCKED


class ProposalItem(models.Model):
    """One item of a proposal. Its definition is kept when the proposal is submitted: null for an item that goes."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="items")
    item = models.UUIDField(_("item"))
    kind = models.CharField(_("kind"), max_length=12)
    before = models.JSONField(_("before"), null=True)
    after = models.JSONField(_("after"), null=True)
    is_open = models.BooleanField(default=True, help_text="Whether its proposal is open: an item is in one open proposal")

    class Meta:
        ordering = ["id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["item"], condition=models.Q(is_open=True), name="item_in_one_open_proposal"),
            models.UniqueConstraint(fields=["proposal", "item"], name="item_once_in_proposal"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.item}"


class Vote(models.Model):
    """What a department says to a proposal. Rows are only ever added; `stands` is its present word."""

    class Choice(models.TextChoices):
        APPROVE = "approve", _("approves")
        CHANGES = "changes", _("asks for changes")

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="votes")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+", verbose_name=_("department"))
    by = models.ForeignKey(User, models.PROTECT, related_name="+", verbose_name=_("by"))
    choice = models.CharField(_("vote"), max_length=10, choices=Choice)
    comment = models.TextField(_("comment"), blank=True)
    at = models.DateTimeField(_("when"), default=timezone.now)
    stands = models.BooleanField(default=True)
    asked = models.JSONField(null=True, help_text="{kind of change: the items} that it was given for; null: not known, it counts for all")

    class Meta:
        ordering = ["at", "id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["proposal", "department"], condition=models.Q(stands=True), name="one_vote_per_department")
        ]

    def __str__(self) -> str:
        return f"{self.department} {self.get_choice_display()}"


class Comment(models.Model):
    """A remark on a proposal, or on one item of it."""

    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="comments")
    item = models.UUIDField(_("item"), null=True, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    text = models.TextField(_("comment"), max_length=5000)
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        ordering = ["at", "id"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.text[:80]


class ReviewPolicy(models.Model):
    """What a department wants of changes that concern it, since when and by whose word. Without a row it must approve.

    Rows are only ever added: of a department and a kind of change the newest holds, for what is submitted from then on.
    """

    class Change(models.TextChoices):
        ANY = "any", _("any change")
        BREAKING = "breaking", _("breaking changes")
        PERSONAL = "personal", _("changes of personal data")

    class Say(models.TextChoices):
        MUST = "must", _("must approve")
        TOLD = "told", _("is told")
        NOTHING = "nothing", _("nothing")

    # what departments sign by their duty, which nobody can waive
    OF_DUTY: ClassVar[dict[str, str]] = {Department.Duty.STEWARD: Change.BREAKING, Department.Duty.COMPLIANCE: Change.PERSONAL}

    department = models.ForeignKey(Department, models.CASCADE, related_name="review_policies", verbose_name=_("department"))
    change = models.CharField(_("kind of change"), max_length=10, choices=Change)
    say = models.CharField(_("the department"), max_length=10, choices=Say, default=Say.MUST)
    by = models.ForeignKey(User, models.PROTECT, null=True, editable=False, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("when"), default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("sign-off rule")
        verbose_name_plural = _("sign-off rules")
        default_permissions = ("view", "add")
        permissions = [("set_policy_of_others", _("Can say what other departments sign; they are told"))]

    def __str__(self) -> str:
        return f"{self.department}: {self.get_change_display()}, {self.get_say_display()}"

    def clean(self) -> None:
        department = Department.objects.filter(pk=self.department_id).first()
        if department and self.say != self.Say.MUST and self.OF_DUTY.get(department.duty) == self.change:
            said = _("%(department)s signs this by its duty, which cannot be waived. Give the duty to another department first.")
            raise ValidationError({"say": ValidationError(said, params={"department": department})})
