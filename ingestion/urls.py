from django.urls import path, re_path

from ingestion.doors import segment
from ingestion.doors.api import EventsView
from ingestion.doors.plan import PlanView
from ingestion.trial_page import trial

urlpatterns = [
    path("api/v1/events", EventsView.as_view(), name="events"),
    path("api/v1/plan", PlanView.as_view(), name="plan"),
    re_path(r"^v1/projects/(?P<key>[^/]+)/settings/?$", segment.settings, name="segment_settings"),
    re_path(r"^v1/(?P<call>.*?)/?$", segment.calls, name="segment"),
    path("proposals/<int:proposal_id>/trial/", trial, name="trial"),
]
