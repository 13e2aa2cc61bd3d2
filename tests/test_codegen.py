"""Typed code from a release: right calls check, compile and arrive accepted; wrong ones do neither."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import publish_starter
from django.core.management import CommandError, call_command
from installed import node_with, python_with, run
from plans import small_plan_items, uuid_of

from ingestion.models import WriteKey
from profiles.models import Event
from taxonomy.exchange.codegen import LANGUAGES, generate
from taxonomy.models import Source
from taxonomy.standardize import check_plan
from taxonomy.starter import starter_items

SEGMENT_PYTHON = "segment-analytics-python==2.4.0"
SEGMENT_NODE = ("@segment/analytics-node@3.1.0", "typescript@5.9.3")
PYTHON, TYPESCRIPT = "tagline_plan.py", "tagline-plan.ts"


def hostile_items() -> dict:
    """The small plan with names that are words of the languages, and texts that would end a comment or a string."""
    items = small_plan_items()
    login = uuid_of(items, "tag", "login")
    for number, code in enumerate(["delete", "class", "list", "send", "options", "while", "track"]):
        items[f"99000000-0000-4000-8000-00000000000{number}"] = {**items[login], "code": code}
    words = ["import", "client", "who", "none", "from", "options", "self"]
    for number, code in enumerate(words):
        items[f"98000000-0000-4000-8000-00000000000{number}"] = {
            "kind": "attribute", "code": code, "type": "text", "label_en": '"""*/ \\', "description_en": "ends \\", "example": '*/ """ \u2028 x',
        }  # fmt: skip
    items["98000000-0000-4000-8000-000000000010"] = {
        "kind": "attribute", "code": "odd", "type": "object",
        "fields": {"a-b": {"type": "integer", "required": True}, "class": {"type": "choice", "constraints": {"choices": ['"', "\\", "三"]}}},
    }  # fmt: skip
    uses = [f"98000000-0000-4000-8000-00000000000{number}" for number in range(len(words))]
    items["97000000-0000-4000-8000-000000000000"] = {
        **items[login], "code": "odd_one", "description_en": 'x */ """ \\', "one_of": [["import", "from"], ["who", "client"]],
        "attributes": [{"attribute": one, "required": False} for one in [*uses, "98000000-0000-4000-8000-000000000010"]],
    }  # fmt: skip
    assert check_plan(items) == []
    return items


PLANS = {"small": small_plan_items, "starter": starter_items, "hostile": hostile_items}


def written(language: str, items: dict, folder: Path) -> None:
    for path, text in generate(language, items, "1.2.3").items():
        (folder / path).write_text(text, encoding="utf-8")


def mypy(folder: Path, *files: str) -> str:
    done = run(sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "--cache-dir", folder / "cache", *files, cwd=folder)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def tsc(folder: Path, *files: str) -> str:
    modules = node_with(*SEGMENT_NODE) / "node_modules"
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(modules)
    options = ("--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--skipLibCheck", "--target", "es2022")
    done = run("node", modules / "typescript/bin/tsc", *options, "--module", "commonjs", "--moduleResolution", "node10", *files, cwd=folder)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("plan", PLANS)
def test_the_python_checks_whatever_the_plan_says(tmp_path, plan):
    written("python", PLANS[plan](), tmp_path)
    assert mypy(tmp_path, PYTHON) == ""
    compile((tmp_path / PYTHON).read_text(encoding="utf-8"), PYTHON, "exec")


@pytest.mark.needs("npm")
@pytest.mark.parametrize("plan", PLANS)
def test_the_typescript_compiles_whatever_the_plan_says(tmp_path, plan):
    written("typescript", PLANS[plan](), tmp_path)
    assert tsc(tmp_path, TYPESCRIPT) == ""


PYTHON_CALLS = """
from datetime import date, datetime, timezone
from decimal import Decimal
import tagline_plan as plan

class Recorder:
    def track(self, **message: object) -> None: ...

to = Recorder()
me = plan.Known("u1", phone="+8613800138000")
plan.login(to, me)
plan.login(to, plan.Anonymous("a1"), options=plan.Options(timestamp=datetime.now(timezone.utc), message_id="m"))
plan.purchase(to, me, order_id="o", product_id="p", price=Decimal("9.90"), quantity=1)
plan.purchase(to, me, order_id="o", product_id="p", amount={"amount": 1, "currency": "CNY"}, quantity=1)
plan.customer_service_call(to, me, channel="phone")
plan.purchase(to, me, product_id="p", price=1)  # type: ignore[call-overload]
plan.purchase(to, me, order_id="o", product_id="p", quantity=1)  # type: ignore[call-overload]
plan.purchase(to, me, order_id=7, product_id="p", price=1)  # type: ignore[call-overload]
plan.purchase(to, me, order_id="o", product_id="p", price="9,90")  # type: ignore[call-overload]
plan.purchase(to, me, order_id="o", product_id="p", price=1, colour="red")  # type: ignore[call-overload]
plan.customer_service_call(to, me, channel="pigeon")  # type: ignore[arg-type]
plan.log_in(to, me)  # type: ignore[attr-defined]
plan.gift_send(to, me)  # type: ignore[attr-defined]
plan.login(to, "u1")  # type: ignore[arg-type]
plan.login(to, plan.Known())  # type: ignore[call-arg]
plan.login(None, me)  # type: ignore[arg-type]
"""

TYPESCRIPT_CALLS = """
import { Analytics } from '@segment/analytics-node'
import * as plan from './tagline-plan'

const to = new Analytics({ writeKey: 'k' })
const me = { userId: 'u1', phone: '+8613800138000' }
plan.login(to, me)
plan.login(to, { anonymousId: 'a1' }, {}, { timestamp: new Date(), messageId: 'm' })
plan.purchase(to, me, { order_id: 'o', product_id: 'p', price: '9.90', quantity: 1 })
plan.purchase(to, me, { order_id: 'o', product_id: 'p', amount: { amount: 1, currency: 'CNY' }, quantity: 1 })
plan.customerServiceCall(to, me, { channel: 'phone' })
// @ts-expect-error no order
plan.purchase(to, me, { product_id: 'p', price: 1, quantity: 1 })
// @ts-expect-error neither price nor amount
plan.purchase(to, me, { order_id: 'o', product_id: 'p', quantity: 1 })
// @ts-expect-error a number for a text
plan.purchase(to, me, { order_id: 7, product_id: 'p', price: 1, quantity: 1 })
// @ts-expect-error no number
plan.purchase(to, me, { order_id: 'o', product_id: 'p', price: '9,90', quantity: 1 })
// @ts-expect-error not of the plan
plan.purchase(to, me, { order_id: 'o', product_id: 'p', price: 1, quantity: 1, colour: 'red' })
// @ts-expect-error no such choice
plan.customerServiceCall(to, me, { channel: 'pigeon' })
// @ts-expect-error no such tag
plan.logIn(to, me)
// @ts-expect-error a draft
plan.giftSend(to, me)
// @ts-expect-error nobody
plan.login(to, {})
// @ts-expect-error nobody to send it
plan.login({}, me)
"""


def test_a_wrong_call_fails_type_checking_and_a_right_one_does_not(tmp_path):
    written("python", small_plan_items(), tmp_path)
    (tmp_path / "calls.py").write_text(PYTHON_CALLS)
    assert mypy(tmp_path, "calls.py") == ""


@pytest.mark.needs("npm")
def test_a_wrong_call_does_not_compile_and_a_right_one_does(tmp_path):
    written("typescript", small_plan_items(), tmp_path)
    (tmp_path / "calls.ts").write_text(TYPESCRIPT_CALLS)
    assert tsc(tmp_path, "calls.ts") == ""


def test_a_deprecated_tag_says_so_where_it_is_called(tmp_path):
    items = small_plan_items()
    written("python", items, tmp_path)
    (tmp_path / "calls.py").write_text(
        'import tagline_plan as plan\nplan.item_view(__import__("x"), plan.Known("u"), product_id="p")  # type: ignore[deprecated]\n'
    )
    done = run(
        sys.executable, "-m", "mypy", "--enable-error-code", "deprecated", "--warn-unused-ignores", "--python-version", "3.13", "calls.py",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "@deprecated Send product_view instead." in generate("typescript", items, "1")[TYPESCRIPT]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_release_is_the_same_bytes(language):
    items = starter_items()
    assert generate(language, items, "1") == generate(language, dict(reversed(items.items())), "1")


@pytest.mark.django_db
def test_the_command_writes_a_release_and_knows_which_there_are(standard, tmp_path, capsys):
    for language, path in (("python", PYTHON), ("typescript", TYPESCRIPT)):
        call_command("plan", "codegen", language, "--out", str(tmp_path / "new" / language))
        assert f"Release {standard.version} " in (tmp_path / "new" / language / path).read_text(encoding="utf-8")
    with pytest.raises(CommandError, match="no release 9"):
        call_command("plan", "codegen", "python", "--out", str(tmp_path), "--release", "9")


@pytest.fixture
def secret(departments):
    publish_starter()
    key = WriteKey(source=Source.objects.get(code="website"))
    made = key.set_secret()
    key.save()
    return made


def check_what_arrived() -> None:
    events = {event.tag.code: event for event in Event.objects.all() if event.standing == Event.Standing.COUNTED}
    assert len(events) == Event.objects.count() == 4
    assert events["purchase"].subject.value == "+8613800138000"
    assert events["purchase"].attributes["price"] == {"amount": Decimal("9.9"), "currency": "CNY"}
    assert events["profile_update"].attributes["birthday"] == "1990-01-31"
    assert events["profile_update"].attributes["address"] == {"city": "杭州"}
    assert events["checkout_start"].attributes["product_ids"] == ["p1", "p2"]
    assert events["login"].subject.kind == "anonymous_id" and events["login"].message_id == "m1"
    assert all(one["code"] == "attribute.cast" for event in events.values() for one in (event.report or {}).get("changes", []))


PYTHON_SENDS = """
import sys
from decimal import Decimal
from datetime import date, datetime, timezone
from decimal import Decimal
import segment.analytics as analytics
import tagline_plan as plan

analytics.host, analytics.write_key = sys.argv[1:]
li = plan.Known("u1", phone="+86 138 0013 8000")
plan.purchase(analytics, li, order_id="o1", price=Decimal("9.90"), payment_method="alipay")
plan.profile_update(analytics, li, birthday=date(1990, 1, 31), address={"city": "杭州"})
plan.checkout_start(analytics, li, product_ids=["p1", "p2"])
plan.login(analytics, plan.Anonymous("a1"), options=plan.Options(message_id="m1", timestamp=datetime.now(timezone.utc)))
analytics.shutdown()
"""

TYPESCRIPT_SENDS = """
import { Analytics } from '@segment/analytics-node'
import * as plan from './tagline-plan'

declare const process: { argv: string[] }
const [host, writeKey] = process.argv.slice(2) as [string, string]
const analytics = new Analytics({ writeKey, host })
const li: plan.Who = { userId: 'u1', phone: '+86 138 0013 8000' }
plan.purchase(analytics, li, { order_id: 'o1', price: '9.90', payment_method: 'alipay' })
plan.profileUpdate(analytics, li, { birthday: plan.dayOf(new Date(1990, 0, 31)), address: { city: '杭州' } })
plan.checkoutStart(analytics, li, { product_ids: ['p1', 'p2'] })
plan.login(analytics, { anonymousId: 'a1' }, {}, { messageId: 'm1', timestamp: new Date() })
analytics.closeAndFlush()
"""


@pytest.mark.django_db(transaction=True)
def test_what_the_python_sends_arrives_accepted(live_server, secret, tmp_path):
    written("python", starter_items(), tmp_path)
    (tmp_path / "sends.py").write_text(PYTHON_SENDS)
    done = run(python_with(SEGMENT_PYTHON), "sends.py", live_server.url, secret, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    check_what_arrived()


@pytest.mark.needs("npm")
@pytest.mark.django_db(transaction=True)
def test_what_the_typescript_sends_arrives_accepted(live_server, secret, tmp_path):
    written("typescript", starter_items(), tmp_path)
    (tmp_path / "sends.ts").write_text(TYPESCRIPT_SENDS)
    assert tsc(tmp_path, "sends.ts") == ""
    done = run("node", "sends.js", live_server.url, secret, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    check_what_arrived()
