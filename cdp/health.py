"""/healthz: this process answers. /readyz: it can do its work; the worker's state is told, not judged."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from cdp.dashboard import machinery
from taxonomy.current import NoRelease, current


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when database, migrations and release are there, else 503; {"database", "migrations", "release", "worker"}."""
    found: dict[str, object] = {"database": False, "migrations": False, "release": None, "worker": None}
    try:
        found["migrations"] = not _waiting_migrations()
        found["database"] = True
        found["release"] = current().version
        found["worker"] = "running" if machinery(timezone.now()).running else "silent"
    except NoRelease:
        found["worker"] = "running" if machinery(timezone.now()).running else "silent"
    except Exception as error:
        found["error"] = type(error).__name__
    ready = bool(found["database"] and found["migrations"] and found["release"])
    return JsonResponse(found, status=200 if ready else 503)


def _waiting_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
