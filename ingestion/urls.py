from django.urls import path

from ingestion.doors.api import EventsView
from ingestion.doors.plan import PlanView
from ingestion.trial_page import trial

urlpatterns = [
    path("api/v1/events", EventsView.as_view(), name="events"),
    path("api/v1/plan", PlanView.as_view(), name="plan"),
    path("proposals/<int:proposal_id>/trial/", trial, name="trial"),
]
