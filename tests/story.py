"""The four-platform story: real data others wrote, each set a source with an envelope and rules of its own.

Nothing of the data is in the project; tests that use this skip where ../shared/data is absent.
"""

from pathlib import Path

from staff.models import Department
from taxonomy.models import MappingRow, MappingRule, Source, Tag

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# code: fields of the source
SOURCES: dict[str, dict] = {
    "grocery": {
        "source_kind": "till", "region": "US", "timezone": "America/New_York", "currency": "USD", "namespace": "grocery",
        "envelope": {
            "preset": "custom", "event_constant": "sale", "occurred_at": "transaction_timestamp",
            "identifiers": {"crm_id": "household_id"},
        },
    },
    "grocery_crm": {
        "source_kind": "crm", "region": "US", "timezone": "America/New_York", "namespace": "grocery",
        "envelope": {
            "preset": "custom", "event_constant": "identity_link", "phone": "phone_as_in_source",
            "identifiers": {"crm_id": "household_id"}, "attributes": "nothing",
        },
    },
    "gift_shop": {
        "source_kind": "website", "region": "GB", "timezone": "Europe/London", "currency": "GBP", "namespace": "gift",
        "envelope": {"preset": "custom", "event_constant": "line", "occurred_at": "InvoiceDate"},
    },
    "gift_crm": {
        "source_kind": "crm", "region": "GB", "timezone": "Europe/London", "namespace": "gift",
        "envelope": {"preset": "custom", "event_constant": "link", "phone": "phone_as_in_source"},
    },
    "web_clicks": {
        "source_kind": "website", "region": "US", "timezone": "UTC", "currency": "USD", "namespace": "clicks",
        "envelope": {
            "preset": "custom", "event": "event", "occurred_at": "timestamp", "identifiers": {"user_id": "user_id"},
        },
    },
    "web_crm": {
        "source_kind": "crm", "region": "US", "namespace": "clicks",
        "envelope": {
            "preset": "custom", "event_constant": "identity_link", "phone": "phone_as_in_source",
            "identifiers": {"user_id": "user_id"}, "attributes": "nothing",
        },
    },
    "helpdesk": {
        "source_kind": "call_centre", "region": "US", "timezone": "UTC", "currency": "USD",
        "envelope": {
            "preset": "custom", "event_constant": "ticket", "message_id": '"Ticket ID"',
            "occurred_at": '"Date of Purchase"', "identifiers": {"email": '"Customer Email"'},
        },
    },
    "helpdesk_crm": {
        "source_kind": "crm", "region": "US",
        "envelope": {
            "preset": "custom", "event_constant": "identity_link", "phone": "phone_as_in_source",
            "identifiers": {"email": '"Customer Email"'}, "attributes": "nothing",
        },
    },
    "music_shop": {
        "source_kind": "website", "timezone": "UTC", "currency": "USD",
        "envelope": {
            "preset": "custom", "events": "lines", "event_constant": "line", "phone": "$.customer.Phone",
            "region": "$.region", "occurred_at": "$.invoice.InvoiceDate", "identifiers": {"email": "$.customer.Email"},
        },
    },
}  # fmt: skip

# source: [(name, condition, tag, {target: (path, transforms)})]
Rules = list[tuple[str, tuple[str, str, str], str, dict[str, tuple[str, str]]]]
RULES: dict[str, Rules] = {
    "grocery": [
        ("sale", ("", "", ""), "purchase", {
            "order_id": ("basket_id", ""), "product_id": ("product_id", ""), "quantity": ("quantity", ""),
            "amount": ("sales_value", ""), "store_id": ("store_id", ""),
        }),
    ],
    "gift_shop": [
        ("line", ("InvoiceNo", "starts_with", "C"), "refund", {
            "order_id": ("InvoiceNo", ""), "product_id": ("StockCode", ""), "quantity": ("Quantity", "multiply(-1)"),
            "price": ("UnitPrice", ""), "$identifiers.crm_id": ("CustomerID", "whole_number"),
        }),
        ("line", ("Quantity", "lt", "0"), "stock_correction", {
            "product_id": ("StockCode", ""), "quantity_change": ("Quantity", ""), "$identifiers.crm_id": ("CustomerID", "whole_number"),
        }),
        ("line", ("", "", ""), "purchase", {
            "order_id": ("InvoiceNo", ""), "product_id": ("StockCode", ""), "product_name": ("Description", ""),
            "quantity": ("Quantity", ""), "price": ("UnitPrice", ""), "$identifiers.crm_id": ("CustomerID", "whole_number"),
        }),
    ],
    "gift_crm": [("link", ("", "", ""), "identity_link", {"$identifiers.crm_id": ("CustomerID", "whole_number")})],
    "web_clicks": [
        ("catalog", ("", "", ""), "category_view", {}),
        ("wishlist_add", ("", "", ""), "favorite_add", {}),
        ("shipping_details", ("", "", ""), "checkout_start", {}),
        ("support_chat", ("", "", ""), "customer_service_chat", {}),
        *((name, ("", "", ""), "view_page", {"page_title": ("$.name", "")}) for name in (
            "home", "filter_results", "cart", "promo_page", "payment_details", "account_page", "review_page", "error_page",
            "compare", "payment_error", "checkout_bug",
        )),
    ],
    "helpdesk": [
        ("ticket", ("", "", ""), "ticket_open", {
            "ticket_id": ("$.message_id", ""), "channel": ('"Ticket Channel"', 'lower | value_map("social media"=social_media)'), "subject": ('"Ticket Subject"', ""),
        }),
    ],
    "music_shop": [
        ("line", ("", "", ""), "purchase", {
            "order_id": ("InvoiceId", ""), "product_id": ("TrackId", ""), "quantity": ("Quantity", ""), "price": ("UnitPrice", ""),
        }),
    ],
}  # fmt: skip


def make_sources(sources: dict[str, dict] = SOURCES, rules: dict[str, Rules] = RULES) -> None:
    """Write the sources and their rules into the draft, on top of the starter standard."""
    owner = Department.objects.get(pk="data")
    for code, fields in sources.items():
        source = Source.objects.create(code=code, label_en=code, label_zh_hans=code, owner=owner, **fields)
        for position, (name, condition, tag, rows) in enumerate(rules.get(code, [])):
            rule = MappingRule.objects.create(
                source=source,
                position=position,
                name=name,
                condition_path=condition[0],
                condition_operator=condition[1],
                condition_value=condition[2],
                tag=Tag.objects.get(code=tag),
            )
            MappingRow.objects.bulk_create(
                MappingRow(rule=rule, position=at, target=target, path=path, transforms=transforms)
                for at, (target, (path, transforms)) in enumerate(rows.items())
            )
