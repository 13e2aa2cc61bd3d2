"""Real data others wrote, each set as the files it is: how its source reads it, and what must become of every row.

Nothing of the data is in the project. What a row must become is said here from the cells alone, so that it is counted twice:
once by the importer, once by Python's csv.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import phonenumbers
import zstandard
from story import DATA, RULES, SOURCES, Rules, make_sources

from ingestion.doors.files import Choices, Column, Matching, RowEvent
from ingestion.imports.run import Outcome
from taxonomy.models import Attribute, Category, Tag, TagAttribute

Row = list[str]
# What makes two of them one event, and why it is held: no code for what is accepted.
Verdict = tuple[Hashable, tuple[str, ...]]

NOBODY = ("phone.missing",)
ALWAYS = ("", "", "")


@dataclass(frozen=True)
class FileSet:
    """A file of a set. `figures` are those of the data's own README, of the whole file.

    `made`: of a file that is put together from several tables, its text. `cells`: how Python reads its rows, header left out.
    `written`: the column of which what was stored must hold every different string. `shared`: the source, where files share one.
    """

    name: str
    path: str
    source: dict[str, Any]
    rules: Rules
    matching: Matching | None = None
    said: Choices = field(default_factory=Choices)
    verdicts: Callable[[Iterator[Row]], Iterable[Verdict]] = lambda rows: ((tuple(row), ()) for row in rows)
    cells: Callable[[str], Iterable[Row]] = lambda text: csv.reader(io.StringIO(text, newline=""))
    headers: int = 1
    figures: dict[str, int] = field(default_factory=dict)
    made: Callable[[str], str] = lambda text: text
    written: int | None = None
    shared: str = ""

    @property
    def code(self) -> str:
        return self.shared or re.sub("[^a-z0-9]+", "_", self.name.lower())

    @property
    def folder(self) -> str:
        return self.path.partition("/")[0]

    def text(self) -> str:
        return self.made(text_of(self.path))

    def rows(self, text: str) -> Iterator[Row]:
        rows = iter(self.cells(text))
        for _ in range(self.headers):
            next(rows)
        return (row for row in rows if row)

    def strings(self, rows: Iterable[Row]) -> set[str]:
        return set() if self.written is None else {row[self.written] for row in rows}

    def head(self, text: str, number: int) -> str:
        """The file's first rows, whole lines each."""
        lines = text.splitlines(keepends=True)
        reader = csv.reader(iter(lines), delimiter=self.said.get("delimiter", ",")[:1])
        if '"' in text and self.said.get("quote", '"'):
            while reader.line_num < len(lines) and number >= 0:
                next(reader)
                number -= 1
            return "".join(lines[: reader.line_num])
        return "".join(lines[: number + self.headers])

    def expected(self, text: str) -> tuple[Counter[str], Counter[str]]:
        """(accepted, duplicate and quarantined; what is held by cause), counted from the cells."""
        seen: set[Hashable] = set()
        counts: Counter[str] = Counter(accepted=0, duplicate=0, quarantined=0, refused=0)
        causes: Counter[str] = Counter()
        for key, codes in self.verdicts(self.rows(text)):
            if key is not None and key in seen:
                counts["duplicate"] += 1
                continue
            seen.add(key)
            counts["quarantined" if codes else "accepted"] += 1
            causes.update(codes)
        return counts, causes


def text_of(path: str) -> str:
    packed = (DATA / path).read_bytes()
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed) if path.endswith(".zst") else packed
    return plain.decode("utf-8-sig")


def is_valid(phone: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(phone, region or None))
    except phonenumbers.NumberParseException:
        return False


# how rows become verdicts


def each(*codes: str) -> Callable[[Iterator[Row]], Iterator[Verdict]]:
    """Every row its own event, all alike: they have an id, or neither id nor time."""
    return lambda rows: ((None, codes) for _ in rows)


def alike(*codes: str, of: Iterable[int] | None = None) -> Callable[[Iterator[Row]], Iterator[Verdict]]:
    """Rows of the same cells are one event."""
    return lambda rows: ((tuple(row if of is None else (row[at] for at in of)), codes) for row in rows)


def by_phone(phone: int, of: Iterable[int] = ()) -> Callable[[Iterator[Row]], Iterator[Verdict]]:
    """Held where the number is none of the United States'."""
    return lambda rows: ((tuple(row[at] for at in of) or None, () if is_valid(row[phone], "US") else ("phone.invalid",)) for row in rows)


def from_envelope(**paths: Any) -> dict[str, Any]:
    return {"preset": "custom", **paths}


def matching(event: str, columns: dict[str, str], /, **attributes: str) -> Matching:
    """`columns`: {heading: target} of the row, `attributes`: {name: heading}; a target may have how it is written after a "|"."""
    return several(columns, RowEvent(name=event, columns=_attributes(attributes)))


def several(columns: dict[str, str], *events: RowEvent) -> Matching:
    return Matching(tuple(Column(heading, *target.split(" as ")) for heading, target in columns.items()), events).in_order()


def _attributes(attributes: dict[str, str]) -> tuple[Column, ...]:
    return tuple(Column(heading, f"attribute.{name}") for name, heading in attributes.items())


def straight(**rows: str) -> dict[str, tuple[str, str]]:
    """{attribute: (path, no transform)}."""
    return {target: (path, "") for target, path in rows.items()}


US = {"source_kind": "file", "region": "US", "timezone": "America/New_York", "currency": "USD"}
FILE = {"source_kind": "file", "timezone": "UTC", "currency": "USD"}


# a01

GROCERY = [
    FileSet(
        "a01 campaigns", "a01-completejourney/campaigns.csv", US,
        [("mailed", ALWAYS, "mailing_receive", {})],
        matching("mailed", {"household_id": "identifier.crm_id"}, campaign="campaign_id"),
        verdicts=each(), figures={"received": 6_589},
    ),
    FileSet(
        "a01 coupon_redemptions", "a01-completejourney/coupon_redemptions.csv", US, [],
        matching("coupon_redeem", {"household_id": "identifier.crm_id", "redemption_date": "occurred_at"}, promotion="coupon_upc", campaign="campaign_id"),
        figures={"received": 2_102},
    ),
    FileSet(
        "a01 demographics", "a01-completejourney/demographics.csv", {**US, "envelope": from_envelope(event_constant="profile_update", identifiers={"crm_id": "household_id"})},
        [], verdicts=each(),
    ),
]  # fmt: skip

# a02: five days as its shop delivers them, each a file of the same source


def gift_lines(rows: Iterator[Row]) -> Iterator[Verdict]:
    return ((tuple(row), () if row[6] else NOBODY) for row in rows)


DAYS = [
    FileSet(
        f"a02 daily-drops {day}", f"a02-uci-online-retail/daily-drops/{day}.csv", SOURCES["gift_shop"], RULES["gift_shop"],
        verdicts=gift_lines, shared="gift_shop",
    )
    for day in ("2010-12-01", "2010-12-02", "2010-12-03", "2011-12-08", "2011-12-09")
]  # fmt: skip

# a03: columns that stand under one another, and a header that does not stand over them

CDNOW: Rules = [
    ("sale", ALWAYS, "purchase", {"order_id": ("join('-', [customer, day])", ""), **straight(quantity="pieces", amount="dollars")})
]


def cdnow(name: str, path: str, columns: str, headers: int, **figures: int) -> FileSet:
    customer, day, pieces, dollars = columns.split()
    return FileSet(
        name, path, US, CDNOW,
        matching("sale", {customer: "identifier.crm_id", day: "occurred_at as %Y%m%d"}, customer=customer, day=day, pieces=pieces, dollars=dollars),
        verdicts=lambda rows: (((row[0], *row[-3:]), ()) for row in rows),
        cells=lambda text: (line.split() for line in text.splitlines()), headers=headers, figures=figures,
    )  # fmt: skip


CDNOWS = [
    cdnow("a03 CDNOW_master", "a03-cdnow/CDNOW_master.txt.zst", "customer_id date number_of_cds dollar_value", 1, received=69_659, duplicate=255, people=23_570),
    cdnow("a03 CDNOW_sample", "a03-cdnow/CDNOW_sample.txt", "A C D E", 0, received=6_919),
    FileSet(
        "a03 example_transactions", "a03-cdnow/example_transactions.csv", US, CDNOW,
        matching("sale", {"id": "identifier.crm_id", "date": "occurred_at"}, customer="id", day="date"),
        # a customer that is numbered 0 is nobody
        verdicts=lambda rows: ((tuple(row), ("attribute.missing", *NOBODY[: row[1] == "0"])) for row in rows),
    ),
]  # fmt: skip

# a04: one wide row each, with flags for what happened; neither an id nor a day

WIDE = [
    "recency", "history_segment", "history", "mens", "womens", "zip_code", "newbie", "channel", "treatment", "conversion", "visit", "spend",
]  # fmt: skip
MAILED: Rules = [
    ("customer", ALWAYS, "profile_update", {}),
    ("mail", ALWAYS, "email_delivered", {}),
    ("visit", ALWAYS, "view_page", {"page_title": ("", "constant(website)")}),
    ("buy", ALWAYS, "purchase", {"order_id": ("$.message_id", "default(none)"), "amount": ("spend", "")}),
]
OF_A_ROW = (
    RowEvent(name="customer", columns=_attributes({"area": "zip_code"})),
    RowEvent(name="mail", only_if="treatment", says=("Mens E-Mail", "Womens E-Mail"), columns=_attributes({"campaign": "treatment"})),
    RowEvent(name="visit", only_if="visit", says=("1",), columns=_attributes({"visit": "visit"})),
    RowEvent(name="buy", only_if="conversion", says=("1",), columns=_attributes({"spend": "spend"})),
)


def mailed(*codes: str) -> Callable[[Iterator[Row]], Iterator[Verdict]]:
    def told(row: Row) -> int:
        cells = dict(zip(WIDE, row[-len(WIDE) :], strict=True))
        return 1 + (cells["treatment"] != "No E-Mail") + (cells["visit"] == "1") + (cells["conversion"] == "1")

    return lambda rows: ((None, codes) for row in rows for _ in range(told(row)))


def numbered(text: str) -> str:
    """With the number of the row before it, as the set's SOURCE.md says it must be used."""
    return "\n".join(f"{number or 'number'},{line}" for number, line in enumerate(text.splitlines())) + "\n"


MAIL = [
    FileSet("a04 hillstrom", "a04-hillstrom-email/hillstrom.csv.zst", US, MAILED, Matching((), OF_A_ROW), verdicts=mailed(*NOBODY)),
    FileSet(
        "a04 hillstrom, rows numbered", "a04-hillstrom-email/hillstrom.csv.zst", US, MAILED,
        Matching((Column("number", "id"), Column("number", "identifier.crm_id")), OF_A_ROW), verdicts=mailed(), made=numbered,
    ),
]  # fmt: skip

# a05: numbers for what was done; the case stands for its customer, whom nobody names


def service(name: str, path: str, codes: dict[str, str], **figures: int) -> FileSet:
    rules: Rules = [("step", ("step", "in", step), tag, straight(ticket_id="case")) for tag, step in codes.items()]
    known = {step for steps in codes.values() for step in steps.split(",")}

    def verdicts(rows: Iterator[Row]) -> Iterator[Verdict]:
        return ((tuple(row), () if row[1] in known else ("event.unknown",)) for row in rows)

    return FileSet(
        name, path, FILE, rules,
        matching("step", {"CaseID": "identifier.crm_id", "CompleteTimestamp": "occurred_at"}, case="CaseID", step="ActivityID"),
        verdicts=verdicts, figures=figures,
    )  # fmt: skip


SERVICE = [
    service("a05 helpdesk", "a05-service-desk/helpdesk.csv", {"ticket_open": "1", "ticket_update": "8,9", "ticket_close": "6"}, received=13_710),
    service("a05 bpi_13_incidents", "a05-service-desk/bpi_13_incidents.csv.zst", {"ticket_update": "1,2,3,4,5,6,7,8", "ticket_close": "9"}, received=65_533),
    service("a05 bpi_12_w", "a05-service-desk/bpi_12_w.csv.zst", {"ticket_update": "1,2,3,4,5,6"}, received=72_413),
]  # fmt: skip

# a08

TAOBAO = FileSet(
    "a08 UserBehavior", "a08-taobao-cn/UserBehavior-cn.csv.zst", {"source_kind": "file", "region": "CN", "timezone": "Asia/Shanghai", "currency": "CNY"},
    [
        ("pv", ALWAYS, "product_view", {}), ("fav", ALWAYS, "favorite_add", {}), ("cart", ALWAYS, "add_to_cart", {}),
        ("buy", ALWAYS, "purchase", {"order_id": ("join('-', [user, at])", "")}),
    ],
    several(
        {"用户ID": "identifier.user_id", "时间戳": "occurred_at"},
        RowEvent(column="行为类型", columns=_attributes({
            "user": "用户ID", "at": "时间戳", "product_id": "商品ID", "brand": "品牌", "product_name": "商品名称", "category": "商品类别", "price": "售价",
        })),
    ),
    figures={"received": 40_000, "accepted": 40_000},
)  # fmt: skip

# a10, a11, a12

TELCO = FileSet(
    "a10 Telco-Customer-Churn", "a10-telco-churn/Telco-Customer-Churn.csv", US,
    [("customer", ALWAYS, "profile_update", {
        "gender": ("gender", "lower"),
        **straight(is_senior="senior", months="tenure", contract="contract", monthly_charges="monthly", total_charges="total", has_left="churn"),
    })],
    matching(
        "customer", {"customerID": "identifier.crm_id"}, gender="gender", senior="SeniorCitizen", tenure="tenure", contract="Contract",
        monthly="MonthlyCharges", total="TotalCharges", churn="Churn",
    ),
    verdicts=each(), figures={"received": 7_043, "accepted": 7_043},
)  # fmt: skip


def complaints(rows: Iterator[Row]) -> Iterator[Verdict]:
    return ((None, NOBODY) for row in rows for _ in range(2 if row[2] else 1))


NYC = FileSet(
    "a11 311_Animals_short", "a11-nyc-311/311_Animals_short.csv.zst", US,
    [("opened", ALWAYS, "ticket_open", {}), ("closed", ALWAYS, "ticket_close", {})],
    several(
        {"Unique Key": "id", "Created Date": "occurred_at as %m/%d/%Y %H:%M"},
        RowEvent(name="opened", columns=_attributes({"ticket_id": "Unique Key", "subject": "Descriptor", "comment": "Complaint Type"})),
        RowEvent(
            name="closed", only_if="Closed Date",
            columns=(*_attributes({"ticket_id": "Unique Key"}), Column("Closed Date", "occurred_at", "%m/%d/%Y %H:%M")),
        ),
    ),
    verdicts=complaints,
)  # fmt: skip

BANK = FileSet(
    "a12 bank-additional", "a12-bank-marketing/bank-additional.csv", {**FILE, "region": "PT", "currency": "EUR"},
    [("call", ALWAYS, "customer_service_call", {"direction": ("", "constant(outbound)"), "duration_seconds": ("seconds", ""), "reason": ("outcome", "")})],
    matching("call", {}, seconds="duration", outcome="poutcome"),
    cells=lambda text: csv.reader(io.StringIO(text), delimiter=";"),
    verdicts=each(*NOBODY), figures={"received": 4_119}, said=Choices(delimiter=";"),
)  # fmt: skip

# a13: no headers, "+|" between cells and "&|" at the end of a row


def barred(text: str) -> Iterator[Row]:
    return (line.removesuffix("&|").split("+|") for line in text.splitlines())


def tabbed(text: str) -> Iterator[Row]:
    return (line.split("\t") for line in text.splitlines())


def piped(text: str) -> Iterator[Row]:
    return (line.split("|") for line in text.splitlines())


BARS = Choices(delimiter="+|", quote="")
MODIFIED = "occurred_at as %Y-%m-%d %H:%M:%S.%f&|"
BIKES = [
    FileSet(
        "a13 PersonPhone", "a13-adventureworks/oltp/PersonPhone.csv.zst", US, [],
        matching("identity_link", {"A": "identifier.crm_id", "B": "phone", "D": MODIFIED}), BARS, by_phone(1, [0, 1, 3]),
        barred, 0, {"received": 19_972, "people": 4_519, "strings": 9_938}, written=1,
    ),
    FileSet(
        "a13 EmailAddress", "a13-adventureworks/oltp/EmailAddress.csv.zst", US, [],
        matching("identity_link", {"A": "identifier.crm_id", "C": "identifier.email", "E": MODIFIED}), BARS, each(), barred, 0, {"received": 19_972},
    ),
    FileSet(
        "a13 Customer", "a13-adventureworks/oltp/Customer.csv.zst", US, [],
        matching("identity_link", {"A": "identifier.user_id", "B": "identifier.crm_id", "G": "occurred_at"}), Choices(), each(), tabbed, 0, {"received": 19_820},
    ),
    FileSet(
        "a13 DimReseller", "a13-adventureworks/dw/DimReseller.csv", US, [],
        matching("identity_link", {"C": "identifier.crm_id", "D": "phone"}), Choices(), by_phone(3), piped, 0, {"received": 701},
    ),
    FileSet(
        "a13 FactSurveyResponse", "a13-adventureworks/dw/FactSurveyResponse.csv", US,
        [("answer", ALWAYS, "feedback_submit", {})],
        matching("answer", {"A": "id", "C": "identifier.user_id", "H": "occurred_at"}, comment="G", survey_id="E"), Choices(), each(), piped, 0, {"received": 2_727},
    ),
]  # fmt: skip

# a14

REGIONS = (
    "Germany=DE, Mexico=MX, UK=GB, Sweden=SE, France=FR, Spain=ES, Canada=CA, Argentina=AR, Switzerland=CH, Brazil=BR, Austria=AT, Italy=IT,"
    " Portugal=PT, USA=US, Venezuela=VE, Ireland=IE, Belgium=BE, Norway=NO, Denmark=DK, Finland=FI, Poland=PL"
)
REGION_OF = dict(pair.strip().split("=") for pair in REGIONS.split(","))


def northwind(rows: Iterator[Row]) -> Iterator[Verdict]:
    """Two customers have neither a country nor a phone."""
    for row in rows:
        good = not row[9] or is_valid(row[9], REGION_OF[row[8]])
        yield None, () if good else ("phone.invalid",)


def invoices(text: str) -> str:
    """Chinook's three tables as an export has them: an invoice with its customer and its lines."""
    tables = {name: json.loads(text_of(f"a14-chinook-northwind/chinook/{name}.json")) for name in ("Customer", "InvoiceLine")}
    customers = {one["CustomerId"]: one for one in tables["Customer"]}
    made = []
    for invoice in json.loads(text):
        lines = [one for one in tables["InvoiceLine"] if one["InvoiceId"] == invoice["InvoiceId"]]
        made.append(json.dumps({"customer": customers[invoice["CustomerId"]], "region": "", "invoice": invoice, "lines": lines}))
    return "\n".join(made) + "\n"


def invoice_lines(lines: Iterator[Row]) -> Iterator[Verdict]:
    for (line,) in lines:
        record = json.loads(line)
        phone = record["customer"]["Phone"]
        good = not phone or is_valid(phone, "")
        for sold in record["lines"]:
            yield (record["invoice"]["InvoiceId"], *sold.items()), () if good else ("phone.invalid",)


def of_story(name: str, path: str, source: str, **more: Any) -> FileSet:
    return FileSet(name, path, SOURCES[source], RULES[source], **more)


SHOPS = [
    of_story(
        "a14 chinook invoices", "a14-chinook-northwind/chinook/Invoice.json", "music_shop",
        made=invoices, headers=0, cells=lambda text: ([line] for line in text.splitlines()), verdicts=invoice_lines, figures={"received": 2_240},
    ),
    FileSet(
        "a14 northwind Customers", "a14-chinook-northwind/northwind/Customers.csv", {"source_kind": "file", "timezone": "UTC", "currency": "USD"},
        [("customer", ALWAYS, "identity_link", {"$region": ("country", f"value_map({REGIONS})")})],
        matching("customer", {"CustomerID": "identifier.crm_id", "Phone": "phone"}, country="Country"), verdicts=northwind, figures={"received": 93},
    ),
    FileSet(
        "a14 northwind Orders", "a14-chinook-northwind/northwind/Orders.csv", FILE, [],
        matching("checkout_start", {"OrderID": "id", "CustomerID": "identifier.crm_id", "OrderDate": "occurred_at"}, order_id="OrderID"),
        verdicts=each(), figures={"received": 830},
    ),
    FileSet(
        "a14 northwind Order_Details", "a14-chinook-northwind/northwind/Order_Details.csv", FILE, [],
        matching("purchase", {"OrderID": "id", "ProductID": "id"}, order_id="OrderID", product_id="ProductID", price="UnitPrice", quantity="Quantity"),
        verdicts=each(*NOBODY), figures={"received": 2_155},
    ),
]  # fmt: skip

# a15: no headers

LOG = {"source_kind": "file", "region": "CN", "timezone": "Asia/Shanghai", "currency": "CNY"}


def orders(rows: Iterator[Row]) -> Iterator[Verdict]:
    return ((tuple(row), NOBODY if row[1] == "create" else ("phone.missing", "attribute.missing")) for row in rows)


def requests(rows: Iterator[Row]) -> Iterator[Verdict]:
    """A path of more than 500 characters is too long for the standard."""
    return ((tuple(row), (*NOBODY, *("attribute.length",) * (len(row[6]) > 500))) for row in rows)


LOGS = [
    FileSet(
        "a15 AdClickLog", "a15-flink-course-logs/AdClickLog.csv", LOG, [],
        matching("ad_click", {"A": "identifier.user_id", "E": "occurred_at"}, campaign="B", ad_id="B", province="C", city="D"), headers=0, figures={"received": 143},
    ),
    FileSet(
        "a15 OrderLog", "a15-flink-course-logs/OrderLog.csv", LOG,
        [("create", ALWAYS, "checkout_start", {}), ("pay", ALWAYS, "purchase", {})],
        several({"D": "occurred_at"}, RowEvent(column="B", columns=_attributes({"order_id": "A", "transaction_id": "C"}))),
        verdicts=orders, headers=0, figures={"received": 78},
    ),
    FileSet(
        "a15 ReceiptLog", "a15-flink-course-logs/ReceiptLog.csv", LOG,
        [("receipt", ALWAYS, "payment_receive", {"payment_method": ("method", "value_map(wechat=wechat_pay)")})],
        matching("receipt", {"C": "occurred_at"}, transaction_id="A", method="B"), verdicts=alike(*NOBODY), headers=0, figures={"received": 40},
    ),
    FileSet(
        "a15 LoginLog", "a15-flink-course-logs/LoginLog.csv", LOG,
        [("success", ALWAYS, "login", {}), ("fail", ALWAYS, "login_fail", {})],
        several({"A": "identifier.user_id", "D": "occurred_at"}, RowEvent(column="C", columns=_attributes({"address": "B"}))), headers=0, figures={"received": 50},
    ),
    FileSet(
        "a15 apache.log", "a15-flink-course-logs/apache.log.zst", LOG, [],
        matching(
            "view_page", {"D": "occurred_at as %d/%m/%Y:%H:%M:%S", "E": "time_of_day as %z"}, address="A", method="F", page_path="G"
        ),
        Choices(delimiter=" "), requests, lambda text: (line.split(" ") for line in text.splitlines()), 0, {"received": 10_000},
    ),
]  # fmt: skip

# a18: of five vendors the three whose tables are there

SHOPIFY, TWILIO, ZENDESK = "a18-saas-seeds/shopify/shopify_", "a18-saas-seeds/twilio/twilio_", "a18-saas-seeds/zendesk/"
PAID: dict[str, tuple[str, str]] = straight(order_id="order", amount="amount")


def calls(rows: Iterator[Row]) -> Iterator[Verdict]:
    """The numbers are made up; one call was on the thirtieth of February."""
    return ((None, ("phone.invalid", "time.invalid") if "-02-30" in row[19] else ("phone.invalid",)) for row in rows)


SAAS = [
    FileSet(
        "a18 shopify abandoned_checkout", f"{SHOPIFY}abandoned_checkout_data.csv", FILE, [],
        matching(
            "checkout_start", {"id": "id", "created_at": "occurred_at", "customer_id": "identifier.crm_id", "email": "identifier.email"},
            amount="total_price", currency="currency",
        ), verdicts=each(),
    ),
    FileSet("a18 shopify customer", f"{SHOPIFY}customer_data.csv", FILE, [],
        matching("profile_update", {"id": "identifier.crm_id", "updated_at": "occurred_at"}), verdicts=each()),
    FileSet("a18 shopify fulfillment_event", f"{SHOPIFY}fulfillment_event_data.csv", FILE, [],
        matching("shipment_update", {"id": "id", "happened_at": "occurred_at"}, order_id="order_id", reason="status"), verdicts=each(*NOBODY)),
    FileSet("a18 shopify order", f"{SHOPIFY}order_data.csv", FILE, [],
        matching("purchase", {"id": "id", "processed_at": "occurred_at", "customer_id": "identifier.crm_id"}, order_id="id", amount="total_price", currency="currency"),
        verdicts=each()),
    FileSet("a18 shopify order_line", f"{SHOPIFY}order_line_data.csv", FILE, [],
        matching("purchase", {"id": "id"}, order_id="order_id", product_id="product_id", price="price", quantity="quantity"), verdicts=each(*NOBODY)),
    FileSet("a18 shopify refund", f"{SHOPIFY}refund_data.csv", FILE, [],
        matching("refund", {"id": "id", "processed_at": "occurred_at"}, order_id="order_id", refund_id="id"), verdicts=each(*NOBODY, "attribute.missing")),
    FileSet("a18 shopify transaction", f"{SHOPIFY}transaction_data.csv", FILE, [("sale", ALWAYS, "purchase", {})],
        several({"id": "id", "processed_at": "occurred_at"}, RowEvent(column="kind", columns=_attributes({"order_id": "order_id", "amount": "amount", "currency": "currency"}))),
        verdicts=each(*NOBODY)),
    FileSet("a18 twilio call", f"{TWILIO}call_data.csv", US, [],
        matching("customer_service_call", {"id": "id", "from": "phone", "start_time": "occurred_at"}, call_id="id", direction="direction", duration_seconds="duration"),
        verdicts=calls),
    FileSet("a18 twilio message", f"{TWILIO}message_data.csv", US,
        [("delivered", ALWAYS, "sms_delivered", {}), ("undelivered", ALWAYS, "sms_failed", {}), ("failed", ALWAYS, "sms_failed", {})],
        several({"id": "id", "to": "phone", "date_sent": "occurred_at"}, RowEvent(column="status", columns=_attributes({"send_id": "id", "error_code": "error_code"}))),
        verdicts=each("phone.invalid")),
    FileSet("a18 zendesk ticket", f"{ZENDESK}ticket_data.csv", FILE, [],
        matching("ticket_open", {"id": "id", "requester_id": "identifier.crm_id", "created_at": "occurred_at"}, ticket_id="id", subject="subject", priority="priority"),
        verdicts=each()),
    FileSet("a18 zendesk ticket_comment", f"{ZENDESK}ticket_comment_data.csv", FILE, [],
        matching("ticket_update", {"id": "id", "user_id": "identifier.crm_id", "created": "occurred_at"}, ticket_id="ticket_id", comment="body"), verdicts=each()),
    FileSet("a18 zendesk ticket_field_history", f"{ZENDESK}ticket_field_history_data.csv", FILE,
        [("status", ("to", "eq", "closed"), "ticket_close", {}), ("status", ALWAYS, "ticket_update", {}),
         *((name, ALWAYS, "ticket_update", {}) for name in ("assignee_id", "priority", "requester_id"))],
        several({"updated": "occurred_at"}, RowEvent(column="field_name", columns=_attributes({"ticket_id": "ticket_id", "to": "value"}))),
        verdicts=alike(*NOBODY, of=[0, 1, 2, 5])),
    FileSet("a18 zendesk ticket_chat", f"{ZENDESK}ticket_chat_data.csv", FILE, [],
        matching("customer_service_chat", {"user_id": "identifier.crm_id"}, ticket_id="ticket_id"), verdicts=each()),
    FileSet("a18 zendesk user", f"{ZENDESK}user_data.csv", FILE, [],
        matching("profile_update", {"id": "identifier.crm_id", "updated_at": "occurred_at"}, name="name", email="email", language="locale"), verdicts=each()),
]  # fmt: skip

# d02: what an oracle says of each number

MESSY = [
    FileSet(
        f"d02 {name}", f"d02-messy-phones/{name}.csv", {"source_kind": "file", "timezone": "UTC"}, [],
        matching("identity_link", {"raw": "phone", "default_region": "region"}),
        verdicts=lambda rows: ((None, () if row[5] == "1" else ("phone.invalid",)) for row in rows),
    )
    for name in ("adventureworks", "chicago-early-childhood", "chinook-northwind")
]  # fmt: skip

# of the story: a01's and a02's lines, which take long, are told by its own proof
UNSAID = {"product_view", "add_to_cart", "wishlist_add", "search", "purchase"}


def clicks(rows: Iterator[Row]) -> Iterator[Verdict]:
    """Names without what they are about: no product, no words searched for, no order."""
    return ((tuple(row), ("attribute.missing",) if row[2] in UNSAID else ()) for row in rows)


STORY = [
    of_story("a07 ecom", "a07-retentioneering-ecom/ecom.csv.zst", "web_clicks", verdicts=clicks, figures={"received": 31_106}),
    of_story(
        "a09 customer_support_tickets", "a09-support-tickets/customer_support_tickets.csv.zst", "helpdesk", verdicts=each(), figures={"received": 8_469},
    ),
]  # fmt: skip

SETS = [*STORY, *GROCERY, *CDNOWS, *MAIL, *SERVICE, TAOBAO, TELCO, NYC, BANK, *BIKES, *SHOPS, *LOGS, *SAAS, *MESSY]

# what became of them, for people to read

PAGE = Path(__file__).resolve().parent.parent / "docs" / "sets.md"
BEGIN, END = "<!-- sets: written by make proof -->", "<!-- end of sets -->"


def write_row(name: str, rows: int, found: Outcome) -> None:
    """Put a set's figures into the table of docs/sets.md, in place of its former ones."""
    before, _begin, rest = PAGE.read_text().partition(BEGIN)
    section, _end, after = rest.partition(END)
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in section.splitlines() if line.startswith(("| a", "| d"))}
    counts = [found.received, found.counts["accepted"], found.counts["duplicate"], found.counts["quarantined"], found.counts["refused"]]
    causes = ", ".join(f"`{code}` {count:,}" for code, count in found.causes)
    lines[name] = f"| {name} | {rows:,} | {' | '.join(f'{count:,}' for count in counts)} | {causes} |"
    head = ["| set | rows | events | accepted | duplicate | held | refused | causes |", "|---|--:|--:|--:|--:|--:|--:|---|"]
    PAGE.write_text(before + "\n".join([BEGIN, "", *head, *(lines[one] for one in sorted(lines)), "", END]) + after)


# tags and attributes that the starter standard lacks

ATTRIBUTES = {
    "is_senior": "boolean", "months": "integer", "contract": "text", "monthly_charges": "money", "total_charges": "money", "has_left": "boolean",
    "transaction_id": "text",
}  # fmt: skip
TAGS = {
    "mailing_receive": ["campaign"], "ticket_update": ["ticket_id", "comment", "resolution"], "login_fail": [], "shipment_update": ["order_id", "reason"],
    "payment_receive": ["transaction_id", "payment_method"],
}  # fmt: skip
MORE = {"profile_update": ["is_senior", "months", "contract", "monthly_charges", "total_charges", "has_left"]}


def make_sets(sets: Iterable[FileSet]) -> None:
    """Write the sets' sources and rules, and what they need beyond the starter standard, into the draft."""
    for code, kind in ATTRIBUTES.items():
        Attribute.objects.create(code=code, type=kind, label_en=code, label_zh_hans=code)
    login = Tag.objects.get(code="login")
    for code in TAGS:
        Tag.objects.create(
            code=code,
            category=Category.objects.get(code="general"),
            owner=login.owner,
            status=Tag.Status.ACTIVE,
            label_en=code,
            label_zh_hans=code,
        )
    for code, uses in {**TAGS, **MORE}.items():
        TagAttribute.objects.bulk_create(
            TagAttribute(tag=Tag.objects.get(code=code), attribute=Attribute.objects.get(code=one), position=100 + at)
            for at, one in enumerate(uses)
        )
    make_sources({one.code: one.source for one in sets}, {one.code: one.rules for one in sets})
