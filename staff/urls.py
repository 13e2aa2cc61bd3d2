from django.urls import path

from staff import views

urlpatterns = [
    path("account/", views.account, name="account"),
    path("notices/", views.notices, name="notices"),
    path("account/language/", views.set_language, name="set_language"),
    path("account/password/", views.ResetView.as_view(), name="admin_password_reset"),
    path("account/password/sent/", views.ResetSentView.as_view(), name="password_reset_done"),
    path("account/password/<uidb64>/<token>/", views.ChoosePasswordView.as_view(), name="password_reset_confirm"),
    path("account/invitation/<uidb64>/<token>/", views.AcceptInvitationView.as_view(), name="accept_invitation"),
]
