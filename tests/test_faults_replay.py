"""A replay killed again and again, it or the database, and taking it back too: all is fixed once, and all is held again once."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from test_faults import ROOT, Product, home

from ingestion.quarantine.stored import AT_ONCE

HELD_LINES = 12 * AT_ONCE

PREPARE = """
import json
from pathlib import Path
from ingestion.imports.run import run_import, take_file
from taxonomy.models import Source
path = Path({path!r})
path.write_text("".join(json.dumps({{"id": f"h{{n}}", "event": "sign_in", "phone": f"+86138{{n % 500:08d}}", "occurred_at": "2026-03-01"}}) + "\\n" for n in range({lines})))
run_import(take_file(path, source=Source.objects.get(code="website"), file_name=path.name).pk)
"""
ASK = """
from ingestion.models import Replay
from ingestion.quarantine.replay import ask
from taxonomy.models import Source
mends = [{"path": "event", "seen": "sign_in", "target": "event", "value": "login"}]
print(ask(Replay(source=Source.objects.get(code="website"), mends=mends)).pk)
"""
ASK_UNDO = (
    "from ingestion.models import Replay; from ingestion.quarantine.undo import ask_undo; print(ask_undo(Replay.objects.get(pk={pk!r})))"
)
DO = "from uuid import UUID; from ingestion.quarantine.{module} import {do}; {do}(UUID({pk!r}))"


class Held(Product):
    """A server with a file of held events; what is to be killed is started by hand."""

    names = ()

    def prepare(self) -> None:
        self.manage("shell", "-c", PREPARE.format(path=str(self.home / "held.ndjson"), lines=HELD_LINES))

    def do(self, do: str, pk: str) -> subprocess.Popen:
        command = [sys.executable, "manage.py", "shell", "-c", DO.format(module={"run_replay": "replay", "undo": "undo"}[do], do=do, pk=pk)]
        where = self.home / "said"
        with where.open("ab") as said:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, start_new_session=True, stdout=said, stderr=said)


@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=pytest.mark.proof)])
def test_a_replay_killed_again_and_again_does_all_once(kills, record_property):
    chance = random.Random(kills)
    with home() as place:
        held = Held(place)
        try:
            killed, rounds, midway = 0, 0, list[int]()
            while killed < kills:
                rounds += 1
                pk = held.manage("shell", "-c", ASK).split()[-1]
                killed += do_killing(held, "run_replay", pk, chance, kills - killed, midway)
                assert held.ask("SELECT status, fixed, held, untouched FROM ingestion_replay WHERE id = %s", pk) == [
                    ("finished", HELD_LINES, 0, 0)
                ]
                assert held.ask("SELECT standing, count(*), count(DISTINCT key) FROM profiles_event GROUP BY 1") == [
                    (1, HELD_LINES, HELD_LINES)
                ]
                assert held.ask("SELECT count(*) FROM ingestion_quarantinereason WHERE open") == [(0,)]
                assert held.manage("shell", "-c", ASK_UNDO.format(pk=pk)).split()[-1] == "True"
                killed += do_killing(held, "undo", pk, chance, kills - killed, midway)
                assert held.ask("SELECT status FROM ingestion_replay WHERE id = %s", pk) == [("undone",)]
                assert held.ask("SELECT standing, count(*), count(DISTINCT key) FROM profiles_event GROUP BY 1") == [
                    (2, HELD_LINES, HELD_LINES)
                ]
                assert held.ask("SELECT count(*) FROM ingestion_quarantinereason WHERE open") == [(HELD_LINES,)]
            sums = "SELECT sum(accepted), sum(quarantined), sum(duplicate) FROM profiles_tally"
            assert held.ask(sums) == [(0, HELD_LINES, 0)]
            assert held.ask("SELECT count(*) FROM ingestion_replayed") == [(rounds * HELD_LINES,)]
            assert len(midway) > kills / 10
        finally:
            held.stop()
    record_property(
        "figure",
        f"{kills} kills of a replay or its database, {len(midway)} of them between its first event and its last, in {rounds} rounds of {HELD_LINES:,} events: all fixed once, all held again once",
    )


def do_killing(held: Held, do: str, pk: str, chance: random.Random, most: int, midway: list[int]) -> int:
    """Start it again until it ends, killing it or the database meanwhile, at most so often. Answers how often.

    `midway` is told how many of the replay's events had been done, where some were and some were not.
    """
    killed = 0
    while True:
        running = held.do(do, pk)
        if killed >= min(most, 8):
            assert running.wait(300) == 0, (held.home / "said").read_text()[-3_000:]
            return killed
        # So many events are waited for, the last until it draws ties or has ended; or anything at all, for some time.
        begin, waits = counted(held), chance.choice([1, 1, HELD_LINES // 2, HELD_LINES, None])
        until = time.monotonic() + (chance.uniform(1, 8) if waits is None else 120)
        waits = waits or HELD_LINES
        while running.poll() is None and time.monotonic() < until and abs(counted(held) - begin) < waits:
            time.sleep(0.02)
        if running.poll() == 0:
            return killed
        if chance.random() < 0.3:
            held.kill("postgres")
        else:
            os.killpg(running.pid, signal.SIGKILL)
        killed += 1
        running.wait(300)
        if 0 < counted(held) < HELD_LINES:
            midway.append(counted(held))


def counted(held: Held) -> int:
    return int(held.ask("SELECT count(*) FROM profiles_event WHERE standing = 1")[0][0])
