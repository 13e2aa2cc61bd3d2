from django.urls import path

from profiles import api, views

urlpatterns = [
    path("customers/", views.search, name="customer_search"),
    path("customers/<uuid:public_id>/", views.customer, name="customer"),
    path("customers/<uuid:public_id>/reveal/", views.reveal, name="customer_reveal"),
    path("customers/<uuid:public_id>/events/<str:event_id>/", views.event, name="customer_event"),
    path("events/<str:event_id>/", views.event_by_id, name="event"),
    path("api/v1/customers/lookup", api.LookupView.as_view(), name="api_lookup"),
    path("api/v1/customers/<uuid:public_id>", api.CustomerView.as_view(), name="api_customer"),
    path("api/v1/customers/<uuid:public_id>/timeline", api.TimelineView.as_view(), name="api_timeline"),
]
