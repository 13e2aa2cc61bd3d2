"""The limit for the API: a DRF view that does nothing, on the same server with the same middleware."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.ROOT_URLCONF = "benchmarks.noop"
# The views' parsers are modules of ours, which need Django set up.
application = get_wsgi_application()

from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class NoopView(APIView):
    def post(self, request):
        return Response({"ok": True})


urlpatterns = [path("api/v1/events", NoopView.as_view())]
