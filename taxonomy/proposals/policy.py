"""What departments want to sign: said by their own reviewers, or by others with a right to, and told to the department."""

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_noop

from staff.models import Department, User, in_both_languages
from staff.notices import tell
from taxonomy.draft import writing
from taxonomy.models import ReviewPolicy
from taxonomy.proposals.review import SIGN, NotAllowed

OF_OTHERS = "taxonomy.set_policy_of_others"


def settable_by(person: User) -> QuerySet[Department]:
    """The departments for which this person may say what they sign."""
    departments = Department.objects.all()
    if person.has_perm(OF_OTHERS):
        return departments
    return departments.filter(pk=person.department_id) if person.has_perm(SIGN) else departments.none()


def set_policy(policy: ReviewPolicy, *, by: User) -> None:
    """Keep it, for what is submitted from now on; the department's people are told. Raises NotAllowed or ValidationError."""
    if not settable_by(by).filter(pk=policy.department_id).exists():
        raise NotAllowed("right")
    policy.full_clean()
    # no proposal is submitted meanwhile, so that its moment tells which rules it met
    with writing():
        policy.by, policy.at = by, timezone.now()
        policy.save()
        what = format_lazy("{}: {}", ReviewPolicy.Change(policy.change).label, ReviewPolicy.Say(policy.say).label)
        people = User.objects.filter(department=policy.department).exclude(pk=by.pk)
        link = reverse("admin:taxonomy_reviewpolicy_changelist")
        tell(
            people, gettext_noop("%(who)s set what your department signs: %(what)s."), link=link, who=str(by), what=in_both_languages(what)
        )  # type: ignore[arg-type]


def policies_now() -> dict[str, dict[str, str]]:
    """{department: {kind of change: what it wants}}, for what anybody said."""
    found: dict[str, dict[str, str]] = {}
    for one in ReviewPolicy.objects.order_by("id"):
        found.setdefault(one.department_id, {})[one.change] = one.say
    return found
