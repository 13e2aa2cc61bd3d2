"""The core stays pure: it imports without Django, opens nothing, and reads neither clock nor chance."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "taxonomy" / "standardize").rglob("*.py"))

# Blocked in a fresh interpreter; then one event goes the whole way, with the clock and chance gone.
ALONE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "rest_framework", "psycopg", "procrastinate", "cdp", "staff", "profiles", "ingestion"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from datetime import UTC, datetime
from plans import small_plan_items
import taxonomy.standardize as core

import os, random, time
def gone(*args, **kwargs):
    raise AssertionError("the core has no clock and no chance")
for module, names in ((time, ["time", "time_ns", "monotonic", "localtime", "gmtime"]), (random, ["random", "randrange"]), (os, ["urandom"])):
    for name in names:
        setattr(module, name, gone)

plan = core.compile_plan(small_plan_items())
original = b'{"id":"1","event":"product_view_SKU1","phone":"13800138000","occurred_at":"2026-01-01","attributes":{"price":12.50}}'
(raw,) = core.read(core.decode_json(original), plan.sources["website"], plan, received_at=datetime(2026, 3, 1, tzinfo=UTC), original=original)
core.message_key_of(raw, plan.sources["website"])
result = core.standardize(raw, plan)
assert core.check_plan(small_plan_items()) == []
assert not any(name.split(".")[0] == "django" for name in sys.modules)
print(result.verdict, result.tag_code, result.phone)
"""


def test_an_event_goes_the_whole_way_without_django_clock_or_chance():
    done = subprocess.run([sys.executable, "-c", ALONE, str(ROOT)], capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout.strip()) == (0, "accepted product_view +8613800138000"), done.stderr[-2000:]


FORBIDDEN_MODULES = {
    "random", "secrets", "time", "os", "io", "socket", "subprocess", "threading", "logging", "pathlib", "tempfile", "django", "psycopg",
}  # fmt: skip
FORBIDDEN_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "urandom", "open", "print", "getenv", "time", "monotonic", "perf_counter"}


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.relative_to(CORE[0].parent).as_posix())
def test_no_file_of_it_asks_for_the_time_chance_or_the_world(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {one.name.split(".")[0] for one in node.names} & FORBIDDEN_MODULES
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_MODULES
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in FORBIDDEN_CALLS, f"{path.name}:{node.lineno} calls {called}()"
