"""/healthz tells of the process alone, /readyz of what it needs; the worker's state is told, not judged. Stalled jobs go on."""

import asyncio
import signal
from datetime import timedelta
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from conftest import empty_the_queue, wait_until
from django.db import connection
from django.utils import timezone

from cdp import health, jobs
from ingestion.jobs import forget_old_messages, import_file
from taxonomy.jobs import remind_reviewers
from taxonomy.models import Release


def test_a_process_answers_without_a_database(client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_it_is_ready_with_database_migrations_and_release_whatever_the_worker_does(client, standard):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": True, "migrations": True, "release": standard.version, "worker": "silent"}


@pytest.mark.django_db
def test_without_a_release_it_is_not_ready(client):
    assert not Release.objects.exists()
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["release"] is None


@pytest.mark.django_db
def test_with_a_migration_to_do_it_is_not_ready(client, standard, monkeypatch):
    monkeypatch.setattr(health, "_waiting_migrations", lambda: True)
    assert client.get("/readyz").status_code == 503


def test_without_a_database_it_says_so_and_nothing_more(client, monkeypatch):
    def gone() -> bool:
        raise OSError("host 10.0.0.7 refused")

    monkeypatch.setattr(health, "_waiting_migrations", gone)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["error"] == "OSError"
    assert "10.0.0.7" not in answer.content.decode()


@pytest.fixture
def queue(transactional_db):
    """A connection to an empty job queue."""
    empty_the_queue()
    with connection.cursor() as cursor:
        yield cursor


def killed_at(queue, job: int) -> None:
    """The state a job is in when its worker was killed five minutes ago."""
    queue.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (%s) RETURNING id", [timezone.now() - timedelta(minutes=5)])
    queue.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", [queue.fetchone()[0], job])


def jobs_after_retrying(queue) -> list[tuple[int, str]]:
    asyncio.run(jobs.retry_stalled.func(timestamp=int(timezone.now().timestamp())))
    queue.execute("SELECT id, status FROM procrastinate_jobs ORDER BY id")
    return queue.fetchall()


def test_the_job_of_a_killed_worker_is_given_to_a_living_one(queue):
    job = remind_reviewers.defer(timestamp=0)
    killed_at(queue, job)
    assert jobs_after_retrying(queue) == [(job, "todo")]


def test_a_periodic_job_that_waits_again_keeps_no_other_killed_job_from_going_on(queue):
    periodic, upload = remind_reviewers.defer(timestamp=0), import_file.defer(run_id=str(uuid4()))
    killed_at(queue, periodic)
    killed_at(queue, upload)
    following = remind_reviewers.defer(timestamp=1)
    assert jobs_after_retrying(queue) == [(upload, "todo"), (following, "todo")]


@pytest.mark.django_db(transaction=True)
def test_a_worker_begins_anew_without_the_connection_that_defers_periodic_jobs(monkeypatch):
    """Of asgiref's one thread, it would stay broken and end each worker at once: what waits then goes by twos, a second apart."""
    open_at_the_beginning = []

    async def work():
        open_at_the_beginning.append(await sync_to_async(lambda: connection.connection is not None)())
        await sync_to_async(lambda: connection.ensure_connection())()
        if len(open_at_the_beginning) == 2:
            await sync_to_async(lambda: connection.close())()
            signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("broke off")

    monkeypatch.setattr(jobs, "_work", work)
    monkeypatch.setattr(jobs, "BEGIN_ANEW_AFTER_SECONDS", 0)
    asyncio.run(jobs._work_until_told())
    assert len(open_at_the_beginning) == 2 and not open_at_the_beginning[1]


def test_a_worker_goes_on_after_it_lost_its_connections(queue, worker):
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def asked(query: str) -> int:
        queue.execute(query)
        return queue.fetchone()[0]

    def begins_anew() -> bool:
        if asked("SELECT coalesce(max(id), 0) FROM procrastinate_workers") > first:
            return True
        asked(f"SELECT count(pg_terminate_backend(pid)) {others} AND EXISTS (SELECT {others} AND query LIKE 'LISTEN%procrastinate%')")
        return False

    process = worker()
    wait_until(lambda: asked(f"SELECT count(*) {others} AND query LIKE 'LISTEN%procrastinate%'") > 0)
    first = asked("SELECT coalesce(max(id), 0) FROM procrastinate_workers")
    wait_until(begins_anew)
    job = forget_old_messages.defer(timestamp=int(timezone.now().timestamp()))  # which a worker queues by itself once a day
    wait_until(lambda: asked(f"SELECT count(*) FROM procrastinate_jobs WHERE id = {job}") == 0)
    assert process.poll() is None
