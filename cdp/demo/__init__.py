"""What `make run` shows: the starter standard, accounts in each department, a write key, and a shop's last ninety days."""

import json
import os
import secrets
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

from cdp.demo.shop import days
from ingestion.models import WriteKey
from ingestion.pipeline import Incoming, receive
from ingestion.watching.rollup import roll_up
from ingestion.watching.streams import judge_streams, unjudged
from profiles.models import Batch
from staff.models import Department, User
from taxonomy.current import current
from taxonomy.models import Release, Source
from taxonomy.starter.load import load_starter


class Colleague(NamedTuple):
    role: str
    email: str
    name: str
    department: str
    language: str


# Nobody signs their own: whoever proposes has a second one in the department who signs.
PEOPLE = (
    Colleague("data_steward", "steward@demo.example", "Lin Yue 林悦", "data", "en"),
    Colleague("engineer", "engineer@demo.example", "Tom Becker", "data", "en"),
    Colleague("marketer", "marketing@demo.example", "周敏", "marketing", "zh-hans"),
    Colleague("marketer", "marketing2@demo.example", "Nina Rossi", "marketing", "en"),
    Colleague("sales_rep", "sales@demo.example", "陈磊", "sales", "zh-hans"),
    Colleague("sales_rep", "sales2@demo.example", "Ben Foster", "sales", "en"),
    Colleague("service_agent", "service@demo.example", "Sam Carter", "service", "en"),
    Colleague("service_agent", "service2@demo.example", "刘洋", "service", "zh-hans"),
    Colleague("product_manager", "product@demo.example", "Maya Brown", "product", "en"),
    Colleague("compliance_officer", "compliance@demo.example", "何静", "compliance", "zh-hans"),
)
ADMINISTRATOR = "admin@demo.example"


def prepare(home: Path) -> dict[str, Any]:
    """Everything but the events, made at the first start: {"accounts": {e-mail: password}, "write_key", "first_day"}."""
    load_starter()
    path = _file(home)
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        if WriteKey.objects.filter(hint=kept["write_key"][:10]).exists():
            return kept
    with transaction.atomic():
        made = {"accounts": _make_people(), "write_key": _make_key(), "today": datetime.now(UTC).date().isoformat()}
        _keep(path, made)
    return made


def greeting(shown: dict[str, Any], port: int) -> str:
    address = f"http://127.0.0.1:{port}"
    roles = {one.email: one.role.replace("_", " ") for one in PEOPLE}
    accounts = "\n".join(f"    {roles.get(email, 'everything'):18} {email:26} {password}" for email, password in shown["accounts"].items())
    return (
        f"\nTagline is running at {address}\n\n"
        f"  Log in as one of:\n{accounts}\n\n"
        f"  From a change to its release: marketing@ changes a tag of theirs and proposes it under Unreleased changes, marketing2@ signs,\n"
        f"  and whoever else the proposal's page names; steward@ releases it. Nobody signs their own.\n\n"
        f"  Send an event:\n"
        f"    curl {address}/api/v1/events -H 'Authorization: Bearer {shown['write_key']}' \\\n"
        f"      -H 'Content-Type: application/json' \\\n"
        f'      -d \'{{"event": "item_detail_view", "phone": "+86 138 0000 1234", '
        f'"attributes": {{"sku": "SKU-1001", "sale_price": "59.90"}}}}\'\n\n'
        f"  Ctrl-C stops everything.\n"
    )


def plain_greeting(port: int) -> str:
    """Where the server is, without the demo, and what a database that holds nothing yet still needs."""
    lacking = []
    if not User.objects.exists():
        lacking.append("    manage.py createsuperuser    makes the first account\n")
    if not Release.objects.exists():
        lacking.append("    manage.py load_starter       brings the starter standard, for sources to be read by\n")
    next_steps = "  Nothing is in it yet:\n" + "".join(lacking) + "\n" if lacking else ""
    return (
        f"\nTagline is running at http://127.0.0.1:{port}\n\n"
        f"  No demo data and accounts are made in this database; DEMO=1 would make them.\n\n"
        f"{next_steps}  Ctrl-C stops everything.\n"
    )


def load(home: Path) -> None:
    """Send the shop's ninety days through the pipeline, a day and source at a time; what is there already is skipped.

    The newest first: what somebody looks at meanwhile shows the last days. Each is one commit: ended at any point, the next
    call goes on where this one was.
    """
    today = date.fromisoformat(json.loads(_file(home).read_text())["today"])
    obeyed = current()
    known = set(Batch.objects.values_list("source__code", "received_at"))
    told = False
    with unjudged():
        for received_at, source_code, records in reversed(list(days(today))):
            if (source_code, received_at) in known:
                continue
            if not told:
                print("The demo's ninety days are being loaded; the pages fill up while you look.", flush=True)
                told = True
            incoming = [Incoming(record) for record in records]
            receive(incoming, source_code=source_code, door="api", received_at=received_at, current=obeyed)
        if told:
            now = datetime.now(UTC)
            roll_up(now)
            judge_streams(now)
            print("The demo is loaded.", flush=True)


def _file(home: Path) -> Path:
    """What was made, per database."""
    url = settings.DATABASE_URL
    return home / (f"demo-{sha256(url.encode()).hexdigest()[:12]}.json" if url else "demo.json")


def _make_people() -> dict[str, str]:
    accounts = {ADMINISTRATOR: _password()}
    administrator = User.objects.filter(email=ADMINISTRATOR).first() or User(email=ADMINISTRATOR, name="Admin")
    administrator.is_superuser = True
    administrator.set_password(accounts[ADMINISTRATOR])
    administrator.save()
    for one in PEOPLE:
        accounts[one.email] = _password()
        person = User.objects.filter(email=one.email).first() or User(email=one.email)
        person.name, person.language, person.department = one.name, one.language, Department.objects.get(pk=one.department)
        person.set_password(accounts[one.email])
        person.save()
        person.groups.add(Group.objects.get_or_create(name=one.role)[0])
    return accounts


def _make_key() -> str:
    key = WriteKey(source=Source.objects.get(code="website"), name="demo")
    secret = key.set_secret()
    key.save()
    return secret


def _password() -> str:
    return "-".join(secrets.token_hex(3) for _ in range(3))


def _keep(path: Path, made: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(made, out, indent=2, ensure_ascii=False)
