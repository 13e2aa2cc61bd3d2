from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from cdp.health import healthz, readyz
from ingestion.codes_page import codes

admin.autodiscover()
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("", include("staff.urls")),
    path("", include("taxonomy.urls")),
    path("", include("ingestion.urls")),
    path("", include("profiles.urls")),
    path("dictionary/", include("taxonomy.dictionary.urls")),
    path("docs/codes", codes, name="codes"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api_docs"),
    path("admin/", admin.site.urls),
]
