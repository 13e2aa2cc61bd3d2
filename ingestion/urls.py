from django.urls import path

from ingestion.doors.api import EventsView

urlpatterns = [path("api/v1/events", EventsView.as_view(), name="events")]
