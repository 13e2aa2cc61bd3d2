from uuid import UUID

from cdp import jobs
from ingestion.imports import run_import


@jobs.task(queue="imports", retry=jobs.AGAIN)
def import_file(run_id: str) -> None:
    run_import(UUID(run_id))
