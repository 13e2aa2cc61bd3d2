from django.urls import path

from taxonomy import exchange_page

urlpatterns = [
    path("standard/in-and-out/", exchange_page.exchange, name="plan_exchange"),
    path("standard/in-and-out/file", exchange_page.export, name="plan_export"),
    path("standard/in-and-out/<uuid:upload_id>/", exchange_page.upload, name="plan_upload"),
    path("standard/in-and-out/<uuid:upload_id>/answer", exchange_page.upload_answer, name="plan_upload_answer"),
]
