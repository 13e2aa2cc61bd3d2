"""The small cast every test knows, and what to do where a part of the system is absent."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import hypothesis
import pytest
import tables

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
sys.path.insert(0, str(ROOT / "tests"))


def python_for_all() -> Path | None:
    """A Python that other accounts can reach."""
    known = [Path(sys.executable).resolve(), Path("/usr/bin/python3")]
    return next((one for one in known if one.exists() and all(above.stat().st_mode & 0o001 for above in one.parents)), None)


def mosquitto() -> str | None:
    """The broker; Debian keeps it where only root's PATH looks."""
    return shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


# Where a run decides whether a change may land, the properties try the same each time; elsewhere, and in make proof, something else.
hypothesis.settings.register_profile("same", derandomize=True)
if os.environ.get("REQUIRE_ALL") == "1":
    hypothesis.settings.load_profile("same")


def browser_program() -> str | None:
    """The browser: its shell without windows, which takes half the work, or the whole one."""
    return next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None)


PARTS = {
    "atheris": lambda: find_spec("atheris"),
    "chromium": browser_program,
    # without them Chromium lays Chinese out as boxes
    "fonts": lambda: (
        shutil.which("fc-list") and subprocess.run(["fc-list", ":lang=zh-cn", "file"], capture_output=True, check=False).stdout
    ),
    "full-device": lambda: Path("/dev/full").exists(),
    "curl": lambda: shutil.which("curl"),
    "gettext": lambda: shutil.which("xgettext") and shutil.which("msgmerge"),
    "java": lambda: shutil.which("javac"),
    "mosquitto": lambda: mosquitto() and shutil.which("mosquitto_pub"),
    "node": lambda: shutil.which("node"),
    "npm": lambda: shutil.which("node") and shutil.which("npm"),
    "make": lambda: shutil.which("make"),
    "php": lambda: shutil.which("php") and "curl" in subprocess.run(["php", "-m"], capture_output=True, text=True, check=False).stdout,
    "postgresql-15": lambda: Path("/usr/lib/postgresql/15/bin/postgres").exists(),
    "python-for-all": lambda: python_for_all(),
    "root": lambda: os.geteuid() == 0,
    "shared-data": SHARED.exists,
}


# What runs beside the tests and keeps its own time: only a test that needs one of them may be late once.
OTHERS = frozenset({"chromium", "java", "mosquitto", "node", "npm", "php", "python-for-all"})

# The files that take longest, longest first: begun last, one would leave a worker alone with it at the end.
LONGEST = (
    "faults", "faults_doors", "permissions", "mqtt", "run", "postgres", "snippet", "browser", "browser_governance", "send", "segment_clients", "announce",
    "webhooks_out", "formats_hostile", "formats_tools", "file_imports", "governance_properties", "lists", "imports", "house",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a part that is absent; fail where all are required, but for the data, which lies beside few checkouts."""
    needed = [marker.args[0] for marker in item.iter_markers("needs")]
    if os.environ.get("AGAIN") == "1" and not OTHERS.intersection(needed):
        pytest.fail("it failed beside the others, see above, and nothing that it needs could be late", pytrace=False)
    for part in needed:
        if PARTS[part]():
            continue
        if os.environ.get("REQUIRE_ALL") == "1" and part != "shared-data":
            pytest.fail(f"REQUIRE_ALL=1, and {part} is not here", pytrace=False)
        pytest.skip(f"needs {part}, which is not here")


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = {report.longrepr[2] for report in terminalreporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)}
    if skipped:
        terminalreporter.section("skipped")
        for reason in sorted(skipped):
            terminalreporter.write_line(reason.removeprefix("Skipped: "))


def pytest_configure(config: pytest.Config) -> None:
    """Start the embedded PostgreSQL for the tests, unless DATABASE_URL names another."""
    from django.conf import settings
    from django.test import TransactionTestCase

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if not settings.DATABASE_URL:
        _use_a_server_of_its_own(settings)
    TransactionTestCase._fixture_teardown = lambda _self: tables.bring_back()
    _find_static_files_once()
    import cdp.urls  # noqa: F401 - the admin's pages, which tests list while they are collected

    gc.set_threshold(100_000, 20, 100)  # walking a suite's heap again and again was an eighth of its time


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def _find_static_files_once() -> None:
    """Each client makes the middleware anew, and WhiteNoise looked at every file again: longer than most tests take."""
    from whitenoise.middleware import WhiteNoiseMiddleware

    look, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = look_once


def _use_a_server_of_its_own(settings) -> None:
    """A PostgreSQL beside the one of `make run`, which may lose everything when the machine stops: it waits for no disk."""
    import psycopg

    from cdp.postgres import connection_settings, ensure_running

    home = settings.HOME / "tests"
    ensure_running(home)
    settings.DATABASES["default"].update(connection_settings(home))
    place = settings.DATABASES["default"]
    with psycopg.connect(host=place["HOST"], port=place["PORT"], user=place["USER"], dbname="postgres", autocommit=True) as server:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            server.execute(f"ALTER SYSTEM SET {name} = off")
        server.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """One process migrates, into a database from which each process gets a copy: migrating takes as long as a hundred tests."""
    from django.conf import settings

    if not settings.DATABASE_URL:
        _copy_the_migrated(settings.DATABASES["default"])


def _copy_the_migrated(place: dict) -> None:
    import psycopg

    template, name = "tagline_migrated", place.get("TEST", {}).get("NAME") or f"test_{place['NAME']}"
    with psycopg.connect(host=place["HOST"], port=place["PORT"], user=place["USER"], dbname="postgres", autocommit=True) as server:
        known = {one for (one,) in server.execute("SELECT datname FROM pg_database")}
        if name in known:
            return
        server.execute("SELECT pg_advisory_lock(7201009)")
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template]).fetchone():
            server.execute(f"CREATE DATABASE {template}")
        environment = {
            **os.environ, "DATABASE_URL": f"postgresql://{quote(place['USER'])}@/{template}", "PGHOST": place["HOST"], "PGPORT": str(place["PORT"]),
        }  # fmt: skip
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity=0", "--skip-checks"], cwd=ROOT, env=environment, check=True)
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """A run that was stopped may have left something in the database that is used again."""
    from django.core.management import call_command

    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)
        make_departments()
        empty_the_queue()
        tables.remember_as_migrated()


@pytest.fixture(autouse=True)
def _links_before_the_answer(monkeypatch):
    """A thread draws links after the answer; here before it, so that none is at it while a test's tables are emptied."""
    from profiles.link import settle_soon

    monkeypatch.setattr("ingestion.commit._settle_later", settle_soon)


@pytest.fixture(autouse=True)
def _no_shared_commit_out_of_a_transaction(monkeypatch):
    """What another thread commits, no test's end takes back, and what the test wrote before it does not see."""
    from ingestion import commit

    ensure_thread = commit._ensure_thread

    def refuse_or_ensure(name: str, runs: Callable[[], None]) -> None:
        from django.db import connection

        assert not connection.in_atomic_block, "this sends through a door that commits: mark it django_db(transaction=True)"
        ensure_thread(name, runs)

    monkeypatch.setattr(commit, "_ensure_thread", refuse_or_ensure)


@pytest.fixture(scope="session", autouse=True)
def _no_watch_for_releases():
    """Its thread would still be compiling a release of the test before, and look into tables that are being emptied."""
    from django.conf import settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taxonomy.current._follow", lambda: None)
        patch.setattr(settings, "TAGLINE_AFTER_RELEASE", [*settings.TAGLINE_AFTER_RELEASE, "conftest.obey_once_committed"])
        yield


def obey_once_committed(_made, _before) -> None:
    """In place of the watch."""
    from django.db import transaction

    from taxonomy.current import refresh

    transaction.on_commit(refresh)


@pytest.fixture(autouse=True)
def _forget_between_tests():
    """What a process remembers of the database is forgotten with each test's database.

    And again before the next: its threads go on looking until the tables are emptied.
    """
    from django.conf import settings
    from django.utils.translation import activate

    from ingestion import keys

    _forget()
    activate(settings.LANGUAGE_CODE)  # a page of the test before may have been in another
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys._again, "ask", lambda _hashed: None)  # its thread might look into the next test's database
        # What is kept for seconds is kept for the test, so that queries are counted alike.
        began = time.monotonic()
        patch.setattr("taxonomy.diff.monotonic", lambda: began)
        yield
    _forget()


def _forget() -> None:
    from ingestion import keys
    from profiles import subjects
    from taxonomy import current
    from taxonomy.similar import lookalikes

    subjects.known.forget()
    keys.forget()
    current.forget()
    lookalikes.forget()


@pytest.fixture(scope="module")
def loaded(django_db_setup, django_db_blocker):
    """The starter standard, loaded once for a file; what a test does to it is undone with the test."""
    from django.db import transaction

    from taxonomy.starter.load import load_starter

    with django_db_blocker.unblock(), transaction.atomic():
        make_departments()
        load_starter()
        yield
        transaction.set_rollback(True)


def make_departments() -> None:
    """The six departments, as the migrations make them."""
    from staff.models import Department

    for code, english, chinese in [
        ("marketing", "Marketing", "市场部"), ("sales", "Sales", "销售部"), ("service", "Customer service", "客户服务部"),
        ("product", "Product", "产品部"), ("data", "Data", "数据部"), ("compliance", "Compliance", "合规部"),
    ]:  # fmt: skip
        duty = {"data": "steward", "compliance": "compliance"}.get(code, "")
        Department.objects.get_or_create(code=code, defaults={"label_en": english, "label_zh_hans": chinese, "duty": duty})


def publish_small_plan():
    """The release of the small plan of tests/plans.py."""
    from taxonomy.publish import newest

    tables.made_once("small plan", _publish_small_plan)
    return newest()


def _publish_small_plan() -> None:
    from plans import small_plan_items

    from taxonomy.definition import KINDS, apply_definition
    from taxonomy.publish import publish

    items = small_plan_items()
    for uuid, item in sorted(items.items(), key=lambda pair: KINDS.index(pair[1]["kind"])):
        apply_definition(uuid, item)
    publish(notes="for tests", by=None)


def publish_starter():
    """The release of the starter standard."""
    from taxonomy.publish import newest
    from taxonomy.starter.load import load_starter

    tables.made_once("starter", load_starter)
    return newest()


def make_write_key():
    """(a secret of the website's write key, the key)."""
    from ingestion.models import WriteKey
    from taxonomy.models import Source

    key = WriteKey(source=Source.objects.get(code="website"))
    secret = key.set_secret()
    key.save()
    return secret, key


@pytest.fixture
def departments(db):
    """They are there, as in every database."""


@pytest.fixture
def standard(db):
    return publish_small_plan()


@pytest.fixture
def write_key(standard):
    return make_write_key()


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, tmp_path_factory):
    """tests/world.py's one of everything, made once for a file; what a test does to it is undone with the test."""
    from django.db import transaction
    from world import make_world

    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch, transaction.atomic():
        patch.setattr("django.conf.settings.UPLOAD_DIR", tmp_path_factory.mktemp("uploads"))
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture
def process_environment(transactional_db):
    """The environment of a process of its own, as in production, on the tests' database."""
    from django.db import connection

    database = connection.settings_dict
    return {
        **os.environ, "DATABASE_URL": f"postgresql://{quote(database['USER'])}@/{quote(database['NAME'])}", "PGHOST": database["HOST"],
        "PGPORT": str(database["PORT"]), "PGPASSWORD": database["PASSWORD"],
    }  # fmt: skip


@pytest.fixture
def worker(process_environment):
    """Start a worker; it ends with the test."""
    started: list[subprocess.Popen] = []

    def start() -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=ROOT, env=process_environment))
        return started[-1]

    empty_the_queue()
    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        assert process.wait(60) in (0, -signal.SIGKILL)
    empty_the_queue()


def empty_the_queue() -> None:
    """It is no table of Django's: what a test leaves there stays."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """For what another process does."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(scope="module")
def chromium():
    """Debian's Chromium, driven by Playwright, whose own loop in this thread Django takes for an asynchronous program."""
    from playwright.sync_api import sync_playwright

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_program(),
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        )  # fmt: skip
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
