"""Colleagues: who gets in, in which language, and how they get a password."""

import re
import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection, connections, transaction
from django.db.models.deletion import ProtectedError
from django.urls import reverse
from django.utils import timezone

from staff.access import log_access
from staff.models import AccessLog, Department, ReadToken, User
from staff.roles import ROLES, ensure_roles, permissions_of, role_label

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("departments")]
PASSWORD = "correct horse battery"


@pytest.fixture
def make_user():
    def make(email="li@example.com", role=None, **fields):
        person = User.objects.create_user(email, fields.pop("password", PASSWORD), **fields)
        if role:
            person.groups.add(Group.objects.get(name=role))
        return person

    return make


@pytest.fixture
def administrator(make_user):
    return make_user("boss@example.com", role="administrator", name="Boss", language="en")


def log_in(client, email, password=PASSWORD):
    return client.post(reverse("admin:login"), {"username": email, "password": password}, follow=True)


def link_in(message):
    return re.search(r"https?://[^/]+(/\S+)", message.body)[1]


def choose_password(client, link, password):
    form = client.get(link, follow=True)
    return form, client.post(form.redirect_chain[-1][0], {"new_password1": password, "new_password2": password}, follow=True)


# departments, roles


@pytest.mark.parametrize("code", ["data", "compliance"])
def test_a_duty_is_not_taken_from_the_last_department_that_has_it(admin_client, code):
    department = Department.objects.get(pk=code)
    duty, url = department.duty, reverse("admin:staff_department_change", args=[code])
    form = {"label_en": "Another", "label_zh_hans": "另", "duty": "", "deputy": ""}
    assert "Give the duty to another department first" in admin_client.post(url, form).content.decode()
    assert (
        "Give the duty to another department first" in admin_client.post(url.replace("change", "delete"), {"post": "yes"}).content.decode()
    )
    for refused in (department.delete, Department.objects.filter(pk__in=[code, "product"]).delete):
        with pytest.raises(ProtectedError, match="Give the duty to another department first"):
            refused()
    assert Department.objects.get(pk=code).duty == duty and Department.objects.filter(pk="product").exists()

    Department.objects.filter(pk="product").update(duty=duty)
    with pytest.raises(ProtectedError):
        Department.objects.filter(pk__in=[code, "product"]).delete()
    assert admin_client.post(url, form).status_code == 302
    Department.objects.get(pk=code).delete()
    assert admin_client.post(reverse("admin:staff_department_change", args=["product"]), form | {"duty": duty}).status_code == 302


def test_six_departments_exist_in_both_languages():
    assert set(Department.objects.values_list("code", flat=True)) == {
        "marketing",
        "sales",
        "service",
        "product",
        "data",
        "compliance",
    }
    assert Department.objects.get(code="service").label_zh_hans == "客户服务部"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_the_permissions_it_is_said_to_have(role):
    granted = {
        f"{one.content_type.app_label}.{one.codename}" for one in Group.objects.get(name=role).permissions.select_related("content_type")
    }
    assert granted == permissions_of(role)


def test_roles_can_be_set_again_and_lose_what_was_added_by_hand():
    marketer, steward = Group.objects.get(name="marketer"), Group.objects.get(name="data_steward")
    publish = steward.permissions.get(codename="publish_release")
    marketer.permissions.add(publish)
    ensure_roles()
    assert publish not in marketer.permissions.all()


def test_only_the_steward_publishes_and_only_compliance_sees_personal_data():
    assert [role for role in ROLES if "taxonomy.publish_release" in permissions_of(role)] == ["data_steward"]
    assert [role for role in ROLES if "staff.see_personal_data" in permissions_of(role)] == ["compliance_officer"]


def test_a_group_of_the_companys_own_keeps_its_name():
    assert role_label("Night shift") == "Night shift"


# log in


@pytest.mark.parametrize("written", ["li@example.com", "Li@Example.com", " li@example.com "])
def test_people_log_in_by_email_however_it_is_capitalized(client, make_user, written):
    make_user()
    answer = log_in(client, written)
    assert answer.wsgi_request.user.is_authenticated


def test_two_people_cannot_share_an_address(make_user):
    from django.core.exceptions import ValidationError

    make_user("li@example.com")
    with pytest.raises(ValidationError):
        User(email="LI@example.com", password="x").full_clean()


def test_after_too_many_wrong_passwords_the_account_is_closed_with_a_page_that_says_so(client, make_user, settings):
    make_user()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        answer = log_in(client, "li@example.com", "wrong")
    assert answer.status_code == 429
    assert reverse("admin_password_reset") in answer.content.decode()
    until = answer.context["until"]
    assert timedelta(minutes=14) < until - timezone.now() <= timedelta(minutes=15)
    assert answer.context["minutes"] == 15
    again = log_in(client, "LI@example.com")
    assert (again.status_code, again.context["until"]) == (429, until)  # trying further does not put it off


def test_a_colleague_at_the_same_address_is_not_locked_out_with_them(client, make_user, settings):
    make_user()
    make_user("wang@example.com")
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in(client, "li@example.com", "wrong")
    assert log_in(client, "wang@example.com").wsgi_request.user.is_authenticated


def test_a_new_password_by_email_opens_the_account_again(client, make_user, settings):
    make_user()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in(client, "li@example.com", "wrong")
    client.post(reverse("admin_password_reset"), {"email": "li@example.com"})
    choose_password(client, link_in(mail.outbox[0]), "another good one")
    client.logout()
    assert log_in(client, "li@example.com", "another good one").wsgi_request.user.is_authenticated


def test_an_administrator_unlocks(client, make_user, administrator, settings):
    locked = make_user()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        log_in(client, "li@example.com", "wrong")
    client.force_login(administrator)
    unlock = reverse("admin:staff_user_unlock", args=[locked.pk])
    assert client.get(unlock).status_code == 200
    client.post(unlock)
    client.logout()
    assert log_in(client, "li@example.com").wsgi_request.user.is_authenticated


# invitation and reset


def invite(client, administrator, **fields):
    client.force_login(administrator)
    answer = client.post(
        reverse("admin:staff_user_add"),
        {"email": "zhang@example.com", "name": "张伟", "language": "zh-hans", "groups": [], **fields},
    )
    client.logout()
    return answer


def test_whoever_is_invited_gets_a_link_in_their_language_and_chooses_a_password(client, administrator):
    marketer = Group.objects.get(name="marketer")
    assert invite(client, administrator, groups=[marketer.pk]).status_code == 302
    invited = User.objects.get(email="zhang@example.com")
    assert not invited.has_usable_password()
    assert set(invited.groups.all()) == {marketer}
    assert [message.to for message in mail.outbox] == [["zhang@example.com"]]

    form, answer = choose_password(client, link_in(mail.outbox[0]), "my first password")
    assert form.wsgi_request.LANGUAGE_CODE == "zh-hans" or form.headers["Content-Language"] == "zh-hans"
    assert answer.wsgi_request.user == invited


def test_an_invitation_works_once(client, administrator):
    invite(client, administrator)
    link = link_in(mail.outbox[0])
    choose_password(client, link, "my first password")
    client.logout()
    again = client.get(link)
    assert not again.context["validlink"]
    assert reverse("admin_password_reset") in again.content.decode()


def test_an_invitation_expires(client, administrator, settings):
    invite(client, administrator)
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert not client.get(link_in(mail.outbox[0])).context["validlink"]


def test_an_invitation_is_sent_again_when_asked(client, administrator):
    invite(client, administrator)
    client.force_login(administrator)
    again = reverse("admin:staff_user_invite_again", args=[User.objects.get(email="zhang@example.com").pk])
    client.get(again)
    assert len(mail.outbox) == 1
    client.post(again)
    assert len(mail.outbox) == 2


def test_an_invitation_link_is_no_reset_link(client, administrator):
    invite(client, administrator)
    link = link_in(mail.outbox[0]).replace("/invitation/", "/password/")
    assert not client.get(link).context["validlink"]


def test_when_the_mail_server_refuses_the_administrator_is_told(client, administrator, settings):
    settings.EMAIL_BACKEND = f"{__name__}.BrokenMail"
    client.force_login(administrator)
    answer = client.post(reverse("admin:staff_user_add"), {"email": "zhang@example.com"}, follow=True)
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    assert User.objects.filter(email="zhang@example.com").exists()


class BrokenMail:
    def __init__(self, *args, **kwargs):
        pass

    def send_messages(self, messages):
        raise ConnectionRefusedError("li@example.com")


def test_no_address_is_logged_when_a_letter_cannot_be_sent(client, make_user, settings, caplog):
    settings.EMAIL_BACKEND = f"{__name__}.BrokenMail"
    make_user()
    client.post(reverse("admin_password_reset"), {"email": "li@example.com"})
    assert "ConnectionRefusedError" in caplog.text
    assert "li@example.com" not in caplog.text


def test_a_reset_says_the_same_whether_or_not_the_address_is_known(client, make_user):
    make_user()
    known = client.post(reverse("admin_password_reset"), {"email": "li@example.com"}, follow=True)
    unknown = client.post(reverse("admin_password_reset"), {"email": "nobody@example.com"}, follow=True)
    assert known.content.decode().count("<p") == unknown.content.decode().count("<p")
    assert len(mail.outbox) == 1


def test_a_reset_sets_the_password_and_logs_in(client, make_user):
    make_user(language="zh-hans")
    client.post(reverse("admin_password_reset"), {"email": "LI@example.com"})
    _form, answer = choose_password(client, link_in(mail.outbox[0]), "another good one")
    assert answer.wsgi_request.user.email == "li@example.com"


def test_who_is_switched_off_gets_no_reset(client, make_user):
    make_user(is_active=False)
    client.post(reverse("admin_password_reset"), {"email": "li@example.com"})
    assert mail.outbox == []


def test_a_weak_password_is_refused(client, make_user):
    make_user()
    client.post(reverse("admin_password_reset"), {"email": "li@example.com"})
    _form, answer = choose_password(client, link_in(mail.outbox[0]), "12345")
    assert not answer.wsgi_request.user.is_authenticated


# who may change whom


def test_an_administrator_makes_no_superuser_and_changes_none(client, make_user, administrator):
    superuser = User.objects.create_superuser("root@example.com", PASSWORD)
    client.force_login(administrator)
    client.post(reverse("admin:staff_user_add"), {"email": "zhang@example.com", "is_superuser": "on"})
    assert not User.objects.get(email="zhang@example.com").is_superuser
    change = reverse("admin:staff_user_change", args=[superuser.pk])
    client.post(change, {"email": "taken@example.com"})
    superuser.refresh_from_db()
    assert superuser.email == "root@example.com"
    assert client.post(reverse("admin:staff_user_invite_again", args=[superuser.pk])).status_code == 403


def test_a_marketer_sees_no_colleagues_and_no_access_log(client, make_user):
    client.force_login(make_user(role="marketer"))
    assert client.get(reverse("admin:staff_user_changelist")).status_code == 403
    assert client.get(reverse("admin:staff_accesslog_changelist")).status_code == 403


def test_the_access_log_is_read_by_compliance_and_changed_by_nobody(client, make_user):
    person = make_user(role="compliance_officer")
    entry = log_access(person, AccessLog.Action.LOOKUP, reason="  asked by the customer  ")
    assert entry.reason == "asked by the customer"
    client.force_login(person)
    assert client.get(reverse("admin:staff_accesslog_changelist")).status_code == 200
    for superuser in (False, True):
        person.is_superuser = superuser
        person.save()
        assert client.post(reverse("admin:staff_accesslog_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
        client.post(reverse("admin:staff_accesslog_change", args=[entry.pk]), {"reason": "changed"})
    assert AccessLog.objects.get().reason == "asked by the customer"


# language and time zone


def test_everyone_has_their_own_language_whatever_the_browser_says(client, make_user):
    client.force_login(make_user(language="zh-hans"))
    answer = client.get(reverse("account"), headers={"accept-language": "en"})
    assert answer.headers["Content-Language"] == "zh-hans"
    assert '<html lang="zh-hans"' in answer.content.decode()


def test_without_one_the_browser_decides(client):
    answer = client.get(reverse("admin:login"), headers={"accept-language": "zh-CN,zh;q=0.9"})
    assert answer.headers["Content-Language"] == "zh-hans"


def test_the_language_switch_is_kept_for_a_person(client, make_user):
    person = make_user(language="en")
    client.force_login(person)
    client.post(reverse("set_language"), {"language": "zh-hans", "next": reverse("account")})
    person.refresh_from_db()
    assert person.language == "zh-hans"
    client.post(reverse("set_language"), {"language": "xx"})
    person.refresh_from_db()
    assert person.language == "zh-hans"


def test_the_language_switch_works_before_log_in(client):
    client.post(reverse("set_language"), {"language": "zh-hans"})
    assert client.get(reverse("admin:login")).headers["Content-Language"] == "zh-hans"


@pytest.mark.parametrize(
    ("zone", "shown"), [("Asia/Shanghai", "08:30"), ("Europe/London", "00:30"), ("", "08:30"), ("Nowhere/Else", "08:30")]
)
def test_times_are_shown_in_each_persons_zone(client, make_user, settings, zone, shown):
    from datetime import UTC, datetime

    settings.TIME_ZONE = "Asia/Shanghai"
    person = make_user(role="compliance_officer", time_zone=zone, language="en")
    AccessLog.objects.create(user=person, action="view", at=datetime(2026, 1, 15, 0, 30, tzinfo=UTC))
    client.force_login(person)
    assert shown in client.get(reverse("admin:staff_accesslog_changelist")).content.decode()


def test_people_set_their_own_language_and_zone_and_nothing_else(client, make_user):
    person = make_user()
    client.force_login(person)
    given = {"name": "Li", "language": "zh-hans", "time_zone": "Europe/Berlin", "reminder_days": ["2", "4"], "reminder_hour": "8"}
    client.post(reverse("account"), given | {"is_superuser": "on"})
    person.refresh_from_db()
    assert (person.name, person.language, person.time_zone, person.is_superuser) == ("Li", "zh-hans", "Europe/Berlin", False)
    assert (person.reminder_days, person.reminder_hour) == ([2, 4], 8)


def test_a_zone_that_does_not_exist_is_refused(client, make_user):
    client.force_login(make_user())
    answer = client.post(reverse("account"), {"time_zone": "Moon/Base"})
    assert answer.context["form"].errors["time_zone"]


# read tokens


def test_a_read_token_is_shown_once_and_only_its_hash_is_kept(client, make_user):
    person = make_user(role="marketer")
    client.force_login(person)
    answer = client.post(reverse("admin:staff_readtoken_add"), {"name": "report", "scopes": ["customers"], "days": "30"})
    secret = answer.context["secret"]
    assert secret.startswith(ReadToken.PREFIX)
    assert "no-store" in answer.headers["Cache-Control"]
    token = ReadToken.objects.get()
    assert token.user == person
    assert timezone.now() + timedelta(days=29) < token.expires_at < timezone.now() + timedelta(days=31)
    for page in (reverse("admin:staff_readtoken_changelist"), reverse("admin:staff_readtoken_change", args=[token.pk])):
        assert secret not in client.get(page).content.decode()


def test_a_read_token_needs_an_end(client, make_user):
    client.force_login(make_user(role="marketer"))
    client.post(reverse("admin:staff_readtoken_add"), {"name": "report", "scopes": ["customers"], "days": "99999"})
    client.post(reverse("admin:staff_readtoken_add"), {"name": "report", "scopes": ["customers"]})
    assert not ReadToken.objects.exists()


def test_people_see_and_revoke_only_their_own_tokens(client, make_user):
    def token_of(person):
        token = ReadToken(user=person, name="x", expires_at=timezone.now() + timedelta(days=1))
        token.set_secret()
        token.save()
        return token

    mine, theirs = token_of(make_user(role="marketer")), token_of(make_user("wang@example.com"))
    client.force_login(mine.user)
    for token, revoked in ((theirs, False), (mine, True)):
        client.post(reverse("admin:staff_readtoken_revoke", args=[token.pk]))
        token.refresh_from_db()
        assert bool(token.revoked_at) is revoked


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["clean", "delete", "delete of many"])
def test_two_administrators_do_not_take_a_duty_from_its_last_two_departments_at_once(act):
    Department.objects.filter(pk="product").update(duty="steward")
    outcomes = []

    def give_up():
        department = Department.objects.get(pk="product")
        department.duty = ""
        try:
            with transaction.atomic():
                if act == "clean":
                    department.full_clean()
                    department.save()
                else:
                    (department if act == "delete" else Department.objects.filter(pk="product")).delete()
            outcomes.append("gone")
        except (ProtectedError, ValidationError):
            outcomes.append("stays")
        finally:
            connections.close_all()

    other = threading.Thread(target=give_up)
    with transaction.atomic():
        first = Department.objects.get(pk="data")
        first.duty = ""
        first.full_clean()
        first.save()
        other.start()
        while other.is_alive() and not is_anyone_waiting():
            other.join(0.01)
    other.join()
    assert outcomes == ["stays"] and Department.objects.filter(duty="steward").exists()


def is_anyone_waiting():
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return cursor.fetchone()[0]
