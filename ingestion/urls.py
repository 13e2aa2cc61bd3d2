from django.urls import path, re_path

from ingestion.doors import cloudevents, hooks, segment
from ingestion.doors.api import EventsView
from ingestion.doors.plan import DiffView, PlanView, ReleasesView, ReleaseView, TagView
from ingestion.doors.receipts import ReceiptView
from ingestion.doors.uploads import ImportFailedRowsView, ImportFileView, ImportFindingsView, ImportsView, ImportView
from ingestion.imports.spec_page import spec_download, spec_of_partner, spec_of_source, spec_partner_download
from ingestion.sending.page import how_to_send, send_sources
from ingestion.sending.snippet import snippet
from ingestion.trial_page import trial
from ingestion.watching.latest_page import latest_view

urlpatterns = [
    path("api/v1/events", EventsView.as_view(), name="events"),
    path("api/v1/receipts/<path:message_id>", ReceiptView.as_view(), name="receipt"),
    path("api/v1/imports", ImportsView.as_view(), name="imports"),
    path("api/v1/imports/<uuid:upload_id>", ImportView.as_view(), name="import"),
    path("api/v1/imports/<uuid:upload_id>/file", ImportFileView.as_view(), name="import_file"),
    path("api/v1/imports/<uuid:upload_id>/failed-rows", ImportFailedRowsView.as_view(), name="import_failed_rows"),
    path("api/v1/imports/<uuid:upload_id>/findings", ImportFindingsView.as_view(), name="import_findings"),
    path("api/v1/plan", PlanView.as_view(), name="plan"),
    path("api/v1/plan/tags/<str:code>", TagView.as_view(), name="plan_tag"),
    path("api/v1/releases", ReleasesView.as_view(), name="releases"),
    path("api/v1/releases/<str:version>", ReleaseView.as_view(), name="release"),
    path("api/v1/releases/<str:before>/diff/<str:after>", DiffView.as_view(), name="release_diff"),
    path("cloudevents", cloudevents.receive_events, name="cloudevents"),
    path("hooks/<str:source>", hooks.hook, name="hook"),
    path("hooks/<str:source>/<str:token>", hooks.hook, name="hook_with_token"),
    re_path(r"^v1/projects/(?P<key>[^/]+)/settings/?$", segment.settings, name="segment_settings"),
    re_path(r"^sourceConfig/?$", segment.source_config, name="segment_source_config"),
    re_path(r"^v1/(?P<call>.*?)/?$", segment.calls, name="segment"),
    path("js/tagline.js", snippet, name="snippet_newest"),
    path("js/v1/tagline.js", snippet, {"version": "v1"}, name="snippet"),
    path("send/", send_sources, name="send"),
    path("send/<uuid:source_id>/", how_to_send, name="how_to_send"),
    path("send/<uuid:source_id>/files/", spec_of_source, name="spec_of_source"),
    path("send/<uuid:source_id>/files/<str:file>", spec_download, name="spec_download"),
    path("files/<str:token>/", spec_of_partner, name="spec_of_partner"),
    path("files/<str:token>/<str:file>", spec_partner_download, name="spec_partner_download"),
    path("latest/", latest_view, name="latest"),
    path("proposals/<int:proposal_id>/trial/", trial, name="trial"),
]
