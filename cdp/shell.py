"""The frame around every page: name, colors, sidebar. Read by unfold from settings.UNFOLD."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

# (area, [(title, icon, URL name, permission or None)])
AREAS: list[tuple[Any, list[tuple[Any, str, str, str | None]]]] = [
    (
        None,
        [
            (_("Dashboard"), "space_dashboard", "admin:index", None),
            (_("Customers"), "person_search", "customer_search", "profiles.view_customer"),
            (_("Notices"), "notifications", "notices", None),
        ],
    ),
    (
        _("Standard"),
        [
            (_("Dictionary"), "menu_book", "dictionary", "taxonomy.view_tag"),
            (_("Tags"), "sell", "admin:taxonomy_tag_changelist", "taxonomy.view_tag"),
            (_("Attributes"), "data_object", "admin:taxonomy_attribute_changelist", "taxonomy.view_attribute"),
            (_("Categories"), "account_tree", "admin:taxonomy_category_changelist", "taxonomy.view_category"),
            (_("Sources"), "storefront", "admin:taxonomy_source_changelist", "taxonomy.view_source"),
            (_("Mapping rules"), "alt_route", "admin:taxonomy_mappingrule_changelist", "taxonomy.view_mappingrule"),
            (_("Unreleased changes"), "edit_note", "admin:taxonomy_proposal_unreleased", "taxonomy.view_proposal"),
            (_("Proposals"), "rate_review", "admin:taxonomy_proposal_changelist", "taxonomy.view_proposal"),
            (_("Releases"), "new_releases", "admin:taxonomy_release_changelist", "taxonomy.view_release"),
            (_("In and out"), "swap_vert", "plan_exchange", "taxonomy.view_tag"),
            (_("Checks"), "checklist", "admin:taxonomy_checksetting_changelist", "taxonomy.view_checksetting"),
            (_("Who signs"), "how_to_vote", "admin:taxonomy_reviewpolicy_changelist", "taxonomy.view_reviewpolicy"),
        ],
    ),
    (
        _("Incoming"),
        [
            (_("How to send"), "send", "send", "taxonomy.view_source"),
            (_("Latest events"), "stream", "latest", "ingestion.view_quarantinereason"),
            (_("Quarantine"), "front_hand", "admin:ingestion_quarantinereason_changelist", "ingestion.view_quarantinereason"),
            (_("Replays"), "replay", "admin:ingestion_replay_changelist", "ingestion.view_replay"),
            (_("Discovered"), "travel_explore", "admin:ingestion_discovered_changelist", "ingestion.view_quarantinereason"),
            (_("Health"), "monitor_heart", "admin:ingestion_stream_changelist", "ingestion.view_quarantinereason"),
            (_("Imports"), "upload_file", "admin:ingestion_importrun_changelist", "ingestion.view_importrun"),
            (_("Columns of files"), "view_column", "admin:ingestion_filematching_changelist", "ingestion.view_filematching"),
            (_("Near-duplicates"), "content_copy", "admin:ingestion_nearduplicate_changelist", "ingestion.view_nearduplicate"),
            (_("Take-backs"), "undo", "admin:ingestion_takeback_changelist", "ingestion.view_takeback"),
            (_("Write keys"), "key", "admin:ingestion_writekey_changelist", "ingestion.view_writekey"),
            (_("Webhooks in"), "login", "admin:ingestion_hook_changelist", "ingestion.view_hook"),
            (_("MQTT topics"), "sensors", "admin:ingestion_mqtttopic_changelist", "ingestion.view_mqtttopic"),
            (_("Failed requests"), "report", "admin:ingestion_failedrequest_changelist", "ingestion.view_failedrequest"),
            (_("Webhooks"), "webhook", "admin:ingestion_subscriber_changelist", "ingestion.view_subscriber"),
        ],
    ),
    (
        _("People"),
        [
            (_("Colleagues"), "group", "admin:staff_user_changelist", "staff.view_user"),
            (_("Departments"), "domain", "admin:staff_department_changelist", "staff.view_department"),
            (_("Who may what"), "lock_person", "admin:taxonomy_grant_changelist", "taxonomy.view_grant"),
            (_("Roles"), "badge", "admin:auth_group_changelist", "auth.view_group"),
            (_("Leaks"), "gpp_maybe", "admin:ingestion_leak_changelist", "ingestion.view_leak"),
            (_("Access log"), "policy", "admin:staff_accesslog_changelist", "staff.view_accesslog"),
            (_("My read tokens"), "vpn_key", "admin:staff_readtoken_changelist", "staff.view_readtoken"),
        ],
    ),
    (
        _("Help"),
        [
            (_("Codes"), "help", "codes", None),
            (_("API"), "api", "api_docs", None),
        ],
    ),
]

# What waits for the reader, by entry.
BADGES = {"notices": "staff.notices.unread", "admin:ingestion_quarantinereason_changelist": "ingestion.quarantine.causes.waiting"}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar of this person: only what they may open."""
    groups = []
    for title, entries in AREAS:
        items = [item for entry in entries if (item := _item(request, *entry))]
        if items:
            groups.append({"title": title, "items": items})
    here = max((item["link"] for group in groups for item in group["items"] if item["active"]), key=len, default="")
    for group in groups:
        for item in group["items"]:
            item["active"] = item["link"] == here
    return groups


def _item(request: HttpRequest, title: Any, icon: str, url_name: str, permission: str | None) -> dict[str, Any] | None:
    if permission and not request.user.has_perm(permission):
        return None
    try:
        link = reverse(url_name)
    except NoReverseMatch:
        return None
    here = request.path == link if url_name == "admin:index" else request.path.startswith(link)
    item = {"title": title, "icon": icon, "link": link, "active": here}
    return {**item, "badge": BADGES[url_name]} if url_name in BADGES else item


def account_links(_request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {"title": _("My account"), "link": reverse("account")},
        {"title": _("Change password"), "link": reverse("admin:password_change")},
    ]


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tagline",
    "SITE_HEADER": "Tagline",
    "SITE_URL": None,
    "SITE_LOGO": {
        "light": lambda request: static("brand/logo.svg"),
        "dark": lambda request: static("brand/logo-dark.svg"),
    },
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("brand/icon.svg")}],
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.6% .014 195)",
            "100": "oklch(94.4% .030 195)",
            "200": "oklch(89.0% .055 195)",
            "300": "oklch(81.5% .080 195)",
            "400": "oklch(73.0% .100 195)",
            "500": "oklch(63.0% .105 195)",
            "600": "oklch(49.0% .085 195)",
            "700": "oklch(42.0% .072 195)",
            "800": "oklch(35.5% .060 195)",
            "900": "oklch(30.0% .050 195)",
            "950": "oklch(22.0% .038 195)",
        },
    },
    "STYLES": [lambda request: static("tagline.css")],
    "SCRIPTS": [lambda request: static("tagline.js")],
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "cdp.shell.navigation"},
    "ACCOUNT": {"navigation": "cdp.shell.account_links"},
    "DASHBOARD_CALLBACK": "cdp.dashboard.dashboard",
    "LOGIN": {"form": "staff.forms.LoginForm"},
}
