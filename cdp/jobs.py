"""Work in the background: the one module in front of the job queue.

A job's arguments hold no personal data: they stand in the database in the clear. A job may run twice.
"""

import asyncio
import datetime as dt
import logging
import signal

import psycopg
from asgiref.sync import sync_to_async
from django.db import connections
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Status

POLL_SECONDS = 0.3
STALLED_AFTER_SECONDS = 30
BEGIN_ANEW_AFTER_SECONDS = 1

logger = logging.getLogger(__name__)

task = app.task
periodic = app.periodic
# For a job that may run again: after 2, 4, 8, 16 and 32 seconds, which outlasts a restart of the database.
AGAIN = RetryStrategy(max_attempts=6, exponential_wait=2)


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="retry_stalled", pass_context=False)
async def retry_stalled(timestamp: int) -> None:
    """Give the jobs of killed workers to living ones; a killed worker's job stays "doing" otherwise."""
    now = dt.datetime.fromtimestamp(timestamp, dt.UTC)
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS):
        try:
            await app.job_manager.retry_job(job, retry_at=now)
        except UniqueViolation:  # of a periodic job the next one waits already; it must not keep the others from going on
            await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)


def run_worker() -> None:
    """Do jobs until told to stop by SIGINT or SIGTERM; where the database goes away meanwhile, or the queue breaks off, begin anew."""
    asyncio.run(_work_until_told())


async def _work_until_told() -> None:
    told = asyncio.Event()
    for stopping in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stopping, told.set)
    stop = asyncio.create_task(told.wait())
    while not told.is_set():
        work = asyncio.create_task(_work())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()  # its jobs end first
        [error] = await asyncio.gather(work, return_exceptions=True)
        if told.is_set():
            return
        # Procrastinate ends without an error when its listener or its sign of life loses the connection.
        if error is None or isinstance(error, ConnectorException | psycopg.Error):
            logger.warning("the worker lost its database and begins anew: %s", type(error).__name__ if error else "connection lost")
        else:
            logger.error("the worker broke off and begins anew", exc_info=error)
        # Periodic jobs are deferred by Django's connection of asgiref's one thread, which nobody else would close: broken, it would
        # end each worker that begins at once.
        await sync_to_async(connections.close_all)()
        await asyncio.wait({stop}, timeout=BEGIN_ANEW_AFTER_SECONDS)


async def _work() -> None:
    working = app.with_connector(app.connector.get_worker_connector())  # type: ignore[attr-defined]
    async with working.open_async():
        await working.run_worker_async(
            concurrency=2,
            fetch_job_polling_interval=POLL_SECONDS,
            shutdown_graceful_timeout=10,
            delete_jobs="successful",
            install_signal_handlers=False,
        )
