"""The browser snippet, served to pages of any site: static/js/v1/tagline.js."""

import gzip
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import condition, require_safe

VERSION = "v1"
# A page names the version it was written for: what is mended in it reaches browsers within a day, and none waits for it.
_BY_VERSION = "public, max-age=86400, stale-while-revalidate=604800"
_NEWEST = "public, max-age=300"


class _Script(NamedTuple):
    plain: bytes
    gzipped: bytes
    etag: str


@cache
def script() -> _Script:
    plain = (settings.BASE_DIR / "static" / "js" / VERSION / "tagline.js").read_bytes()
    # Weak: of the plain and the gzipped bytes alike.
    return _Script(plain, gzip.compress(plain, 9, mtime=0), f'W/"{sha256(plain).hexdigest()[:16]}"')


def _etag(_request: HttpRequest, version: str | None = None) -> str:
    return script().etag


@require_safe
@condition(etag_func=_etag)
def snippet(request: HttpRequest, version: str | None = None) -> HttpResponse:
    """GET /js/v1/tagline.js, and /js/tagline.js for whatever version is newest."""
    found = script()
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    answer = HttpResponse(found.gzipped if zipped else found.plain, content_type="text/javascript; charset=utf-8")
    if zipped:
        answer["Content-Encoding"] = "gzip"
    answer["Cache-Control"] = _BY_VERSION if version else _NEWEST
    answer["Access-Control-Allow-Origin"] = "*"
    # Also for pages that take in nothing which does not say so.
    answer["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(answer, ["Accept-Encoding"])
    return answer
