"""What must always be true of the code itself."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.outcomes import Failed, Skipped
from conftest import PARTS, pytest_runtest_setup

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
BIN = Path(sys.executable).parent


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", "."), ("lint-imports",)],
    ids=" ".join,
)
def test_the_checkers_find_nothing(command):
    program, *arguments = command
    done = run(str(BIN / program), *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_no_migration_is_missing():
    done = run(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_production_by_environment_alone_passes_the_deploy_check():
    check = sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"
    said = {"PRODUCTION": "1", "SECRET_KEY": "x1" * 40 + "qwertyuiopasdfgh", "ALLOWED_HOSTS": "tagline.example.com", "SITE_URL": "", "BEHIND_PROXY": ""}  # fmt: skip
    forgotten = run(*check, **said)
    assert forgotten.returncode and "SITE_URL is not set" in forgotten.stderr and "BEHIND_PROXY is not set" in forgotten.stderr
    done = run(*check, **said | {"SITE_URL": "https://tagline.example.com", "BEHIND_PROXY": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://x"),
        ("DEBUG", "maybe"),
        ("COMPANY_TIME_ZONE", "Mars/Base"),
        ("EMAIL_URL", "ftp://x"),
        ("DATABASE_URL", "postgresql://u:p@h:abc/n"),
        ("DATABASE_URL", "postgresql://u:p@h/n?sslmod=require"),
        ("LOG_LEVEL", "loud"),
        ("MQTT_URL", "http://broker"),
        ("MQTT_URL", "mqtt://broker:abc"),
        ("MQTT_VERSION", "4"),
        ("MQTT_SHARED_GROUP", "a/b"),
        ("PORT", "99999"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(name, value):
    done = run(sys.executable, "manage.py", "check", **{name: value})
    assert done.returncode != 0
    assert name in done.stderr
    assert "expected" in done.stderr or "port" in done.stderr


def test_what_a_database_url_says_of_tls_is_obeyed():
    from cdp.environment import database

    assert database("postgresql://u:p@h/n?sslmode=require")["OPTIONS"]["sslmode"] == "require"


def test_production_without_a_secret_does_not_start():
    done = run(sys.executable, "manage.py", "check", PRODUCTION="1", SECRET_KEY="", ALLOWED_HOSTS="x.example.com")
    assert "SECRET_KEY" in done.stderr


def test_the_trial_server_refuses_to_run_in_production():
    done = run(sys.executable, "manage.py", "run", PRODUCTION="1", SECRET_KEY="x1" * 40, ALLOWED_HOSTS="x.example.com")
    assert done.returncode != 0 and "worker" in done.stderr


def test_every_skip_for_what_is_absent_goes_through_the_marker_that_can_fail():
    """REQUIRE_ALL=1 makes a failure of an absent part; a skip written by hand would stay one."""
    by_hand = []
    for path in sorted(TESTS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in {"skip", "skipif", "skipIf", "skipUnless", "SkipTest", "importorskip", "xfail"}:
                by_hand.append(f"{path.name}:{node.lineno}")
    assert [place for place in by_hand if not place.startswith("conftest.py:")] == []


def test_what_drives_a_browser_says_so():
    """And that it needs fonts, where its pages are in Chinese."""
    for path in sorted(TESTS.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "playwright" in text and path.name not in ("conftest.py", "test_house.py"):
            assert 'needs("chromium")' in text, path.name
            assert 'needs("fonts")' in text or not re.search("zh-hans|zh-CN", text), path.name


@pytest.mark.parametrize("part", PARTS)
def test_what_is_absent_fails_where_all_is_required(request, monkeypatch, part):
    monkeypatch.setitem(PARTS, part, lambda: False)
    request.node.add_marker(pytest.mark.needs(part))
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(Skipped):
        pytest_runtest_setup(request.node)
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(Skipped if part == "shared-data" else Failed):
        pytest_runtest_setup(request.node)


@pytest.mark.parametrize(("part", "is_run"), [("root", False), ("chromium", True), (None, False)])
def test_a_second_chance_is_for_what_keeps_its_own_time(monkeypatch, request, part, is_run):
    monkeypatch.setenv("AGAIN", "1")
    monkeypatch.setitem(PARTS, part, lambda: True)
    if part:
        request.node.add_marker(pytest.mark.needs(part))
    if is_run:
        pytest_runtest_setup(request.node)
    else:
        with pytest.raises(Failed, match="failed beside the others"):
            pytest_runtest_setup(request.node)


def test_every_variable_read_is_in_the_example():
    read = subprocess.run(
        ["grep", "-rhoE", r'(environment\.(text|flag|whole_number|words)\(|os\.environ\.get\()"[A-Z_]+', "cdp"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout
    example = (ROOT / ".env.example").read_text()
    for name in {line.rpartition('"')[2] for line in read.splitlines()}:
        assert f"{name}=" in example, name


def test_the_core_needs_no_django():
    script = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('django', 'psycopg', 'rest_framework'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import taxonomy.standardize\n"
    )
    done = run(sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
