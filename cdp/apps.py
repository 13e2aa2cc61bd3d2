from django.apps import AppConfig
from django.contrib.admin import apps as admin


class SiteConfig(AppConfig):
    """The project's own pages and commands."""

    name = "cdp"


class AdminConfig(admin.AdminConfig):
    default_site = "cdp.admin.TaglineAdminSite"
