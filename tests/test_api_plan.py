"""Reading the standard through the API: a tag, the releases, and what differs between two."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from staff.models import ReadToken, User
from taxonomy.models import Release, Tag
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def get(client, write_key):
    def ask(path, *, key=write_key[0], **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {key}", **named})

    return ask


@pytest.fixture
def second(standard):
    """A second release, in which a tag has gone out of use and another attribute is required."""
    tag = Tag.objects.get(code="login")
    tag.label_en = "Sign in"
    tag.save()
    use = Tag.objects.get(code="purchase").uses.filter(required=False).first()
    use.required = True
    use.save()
    return publish(notes="stricter", by=None)


def test_a_tag_has_its_attributes_in_full(get, standard):
    tag = get("plan/tags/Purchase").json()
    assert (tag["release"], tag["code"], tag["category"]) == (standard.version, "purchase", Tag.objects.get(code="purchase").category.code)
    price = next(one for one in tag["attributes"] if one["code"] == "price")
    assert price["type"] == "money" and price["constraints"] == [{"minimum": "0"}]
    assert "kind" not in tag and tag["one_of"] == [["price", "amount"]]
    assert get("plan/tags/item_view").json()["successor"] == "product_view"
    assert get("plan/tags/nonsense").status_code == 404


def test_releases_are_listed_newest_first_and_read_one_by_one(get, standard, second):
    listed = get("releases").json()
    assert [one["version"] for one in listed["releases"]] == [second.version, standard.version]
    assert listed["next"] is None
    assert listed["releases"][0]["changed_items"] == 2
    assert listed["releases"][0]["notes"] == "", "a write key may stand in a web page for everybody"
    assert [one["version"] for one in get(f"releases?before={second.version}").json()["releases"]] == [standard.version]
    one = get(f"releases/{standard.version}").json()
    assert one["content_hash"] == standard.content_hash and len(one["items"]) > 40
    assert get("releases/9.9.9").status_code == get("releases?before=9.9.9").status_code == 404


def test_many_releases_come_a_hundred_at_a_time(get, standard):
    Release.objects.bulk_create(Release(version=f"7.{number}.0", content_hash="x", snapshot=standard.snapshot) for number in range(150))
    first = get("releases").json()
    rest = get(f"releases?before={first['next']}").json()
    versions = [one["version"] for one in [*first["releases"], *rest["releases"]]]
    assert len(first["releases"]) == 100 and len(versions) == len(set(versions)) == 151 and rest["next"] is None


def test_a_diff_says_what_each_source_must_do(get, standard, second):
    found = get(f"releases/{standard.version}/diff/{second.version}").json()
    assert (found["before"], found["after"], found["verdict"]) == (standard.version, second.version, "breaking")
    effect = next(one for one in found["effects"] if one["code"] == "tag.attribute_required")
    assert effect["level"] == "breaking" and effect["message"]
    assert {(one["change"], one["kind"]) for one in found["changes"]} == {("changed", "tag")}
    assert found["effects"].index(effect) in found["sources"]["website"]
    assert any(line["after"] == "Sign in" for one in found["changes"] for line in one["lines"])
    back = get(f"releases/{second.version}/diff/{standard.version}").json()
    assert back["verdict"] == "additive"
    same = get(f"releases/{second.version}/diff/{second.version}").json()
    assert (same["verdict"], same["changes"], same["effects"]) == ("none", [], [])
    assert get(f"releases/{second.version}/diff/0.0.1").status_code == 404


def test_a_diff_is_in_the_readers_language(get, standard, second):
    path = f"releases/{standard.version}/diff/{second.version}"
    english, chinese = (get(path, Accept_Language=language) for language in ("en", "zh-hans"))
    assert english.json()["effects"] != chinese.json()["effects"]
    assert english.headers["ETag"] != chinese.headers["ETag"]


def test_what_stands_is_answered_with_304(get, standard, second):
    for path in (
        "plan",
        "plan/tags/login",
        "releases",
        f"releases/{standard.version}",
        f"releases/{standard.version}/diff/{second.version}",
    ):
        first = get(path)
        assert first.status_code == 200
        assert get(path, If_None_Match=first.headers["ETag"]).status_code == 304
        assert get(path, If_None_Match='"other"').status_code == 200


def test_going_back_is_another_version_of_the_same_content(get, standard, second):
    Release.objects.filter(pk=second.pk).update(content_hash=standard.content_hash, snapshot=standard.snapshot)
    known = f'"{standard.version}-{standard.content_hash}"'
    assert get("plan", If_None_Match=known).json()["version"] == second.version


def test_what_is_no_version_is_not_found(get):
    for version in ("%00", "x" * 500, "1.0.0%00", "%ED%A0%80"):
        assert get(f"releases/{version}").status_code == 404
        assert get(f"releases?before={version}").status_code == 404


def test_a_new_release_changes_the_tag(get, standard):
    before = get("plan/tags/login").headers["ETag"]
    tag = Tag.objects.get(code="login")
    tag.label_en = "Sign in"
    tag.save()
    publish(notes="words", by=None)
    after = get("plan/tags/login", If_None_Match=before)
    assert after.status_code == 200 and after.json()["label_en"] == "Sign in"


@pytest.mark.parametrize("path", ["plan/tags/login", "releases", "releases/1.0.0", "releases/1.0.0/diff/1.0.0"])
def test_only_a_key_or_a_token_for_the_plan_reads(client, get, path):
    assert client.get(f"/api/v1/{path}").status_code == 401
    assert get(path, key="tlw_wrong").status_code == 401
    nobody = User.objects.create_user(email="no@example.com", password="x")
    token = ReadToken(user=nobody, scopes=["plan"], expires_at=timezone.now() + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    assert get(path, key=secret).status_code == 403
    assert json.loads(get(path, key=secret).content)["error"]["code"] == "permission_denied"
