"""/healthz tells of the process alone, /readyz of what it needs; the worker's state is told, not judged. Stalled jobs go on."""

import asyncio
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from cdp import health, jobs
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


@pytest.mark.django_db(transaction=True)
def test_the_job_of_a_killed_worker_is_given_to_a_living_one():
    from taxonomy.jobs import remind_reviewers

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")  # what other tests left: the queue is no table of Django's
    job = remind_reviewers.defer(timestamp=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (%s) RETURNING id", [timezone.now() - timedelta(minutes=5)]
        )
        worker = cursor.fetchone()[0]
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", [worker, job])
    asyncio.run(jobs.retry_stalled.func(timestamp=int(timezone.now().timestamp())))
    with connection.cursor() as cursor:
        cursor.execute("SELECT status FROM procrastinate_jobs WHERE id = %s", [job])
        assert cursor.fetchone()[0] == "todo"
