from uuid import UUID

from cdp import jobs
from ingestion.imports import run_import
from ingestion.outgoing import attempt


@jobs.task(queue="imports")
def import_file(run_id: str) -> None:
    run_import(UUID(run_id))


@jobs.task(queue="webhooks")
def send_dispatch(dispatch_id: str, round: int, number: int) -> None:
    attempt(UUID(dispatch_id), round, number)
