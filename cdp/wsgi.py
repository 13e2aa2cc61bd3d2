import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
django_application = get_wsgi_application()
from cdp.drain import read_away  # noqa: E402
from cdp.fast import answer_calls_early  # noqa: E402
from cdp.heap import settle  # noqa: E402

application = read_away(answer_calls_early(django_application))
# Every page is loaded now, not while the first person waits.
get_resolver().url_patterns  # noqa: B018
settle()
