"""A shop's ninety days over six sources, each in its own words, with the mistakes sources make."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from cdp.demo.people import Person, people

DAYS = 90
CUSTOMERS = 2_400
SHANGHAI = timedelta(hours=8)
SOURCES = ("website", "app", "mini_program", "till", "call_centre", "crm")
# sku: (name, category, price in fen)
PRODUCTS = {
    "SKU-1001": ("羊毛大衣 Wool coat", "女装", 89900),
    "SKU-1002": ("牛仔裤 Jeans", "男装", 25900),
    "SKU-1003": ("运动鞋 Running shoes", "鞋靴", 45900),
    "SKU-2001": ("蓝牙耳机 Wireless earbuds", "数码", 29900),
    "SKU-2002": ("智能手表 Smart watch", "数码", 129900),
    "SKU-3001": ("电饭煲 Rice cooker", "家电", 39900),
    "SKU-3002": ("空气炸锅 Air fryer", "家电", 34900),
    "SKU-4001": ("面霜 Face cream", "美妆", 19900),
    "SKU-4002": ("口红 Lipstick", "美妆", 12900),
    "SKU-5001": ("咖啡豆 Coffee beans", "食品", 6900),
    "SKU-5002": ("绿茶 Green tea", "食品", 8800),
    "SKU-6001": ("绘本 Picture book", "图书", 3900),
}
WORDS = ("大衣", "耳机", "咖啡", "coffee", "running shoes", "面霜", "礼物", "air fryer", "手表", "新品")
# What the mini program does not send any more, and for how many days: health shows it.
LOST, LOST_DAYS = "收藏商品", 9
# A mistake every so many events.
MISTAKE_EVERY = 45

Record = dict[str, Any]


def days(today: date) -> Iterator[tuple[datetime, str, list[bytes]]]:
    """(received_at, source, its records of that day), oldest first; the same for the same `today`.

    Each source delivers its day late in the evening. The mini program has lost one of its events in its last days.
    """
    random = Random(20260301)
    crowd = people(CUSTOMERS, random)
    for back in range(DAYS, 0, -1):
        day = datetime.combine(today - timedelta(days=back), datetime.min.time(), UTC)
        made: dict[str, list[Record]] = defaultdict(list)
        if back == DAYS:
            made["crm"] = [_membership(person, day) for person in crowd if person.number % 3 == 0]
        for person in crowd:
            if random.random() < person.loyalty / 30 * (0.7 + 0.6 * ((day.weekday() + 1) % 7 >= 5)):
                _visit(person, day, random, made)
        if back <= LOST_DAYS:
            made["mini_program"] = [record for record in made["mini_program"] if record["event"] != LOST]
        for position, source in enumerate(SOURCES):
            if made[source]:
                records = [json.dumps(_with_mistake(source, record, random), ensure_ascii=False).encode() for record in made[source]]
                if random.random() < 0.3:
                    records += records[:2]  # a retry whose answer got lost
                yield day + timedelta(hours=15, minutes=40 + 3 * position), source, records


def _visit(person: Person, day: datetime, random: Random, made: dict[str, list[Record]]) -> None:
    at = day + timedelta(hours=random.triangular(0.5, 14.5, 12), seconds=random.random() * 3000)
    source = random.choices(("website", "app", "mini_program", "till", "call_centre"), (25, 26, 24, 18, 7))[0]
    sku = random.choice(list(PRODUCTS))
    tell = {"website": _website, "app": _app, "mini_program": _mini_program, "till": _till, "call_centre": _call_centre}[source]
    for step, record in enumerate(tell(person, at, sku, random)):
        made[source].append(record)
        if step and random.random() < 0.45:
            break


def _id(source: str, person: Person, at: datetime, step: str) -> str:
    return f"{source}-{person.number}-{at:%Y%m%d%H%M%S}-{step}"


def _website(person: Person, at: datetime, sku: str, random: Random) -> Iterator[Record]:
    name, category, fen = PRODUCTS[sku]
    phone, order, quantity = person.phone("plus"), f"W{at:%y%m%d}{person.number:05d}", random.choice((1, 1, 1, 2))
    url = f"https://shop.example/p/{sku.lower()}"

    def event(step: int, word: str, attributes: Record) -> Record:
        return {
            "id": _id("w", person, at, word), "event": word, "phone": phone, "occurred_at": (at + timedelta(seconds=50 * step)).isoformat(),
            "attributes": attributes, "context": {"page": {"url": url, "title": name}},
        }  # fmt: skip

    yield event(0, "page_open", {}) | {"identifiers": {"anonymous_id": f"web-{person.number:06d}"}}
    yield event(1, "site_search", {"q": random.choice(WORDS), "hits": random.randrange(40)})
    yield event(2, "item_detail_view", {"sku": sku, "title": name, "sale_price": f"{fen / 100:.2f}"})
    yield event(3, "cart_add", {"sku": sku, "title": name, "sale_price": f"{fen / 100:.2f}", "qty": quantity})
    yield event(4, "order_paid", {
        "order_no": order, "sku": sku, "title": name, "category_path": f"全部 > {category}", "sale_price": f"{fen / 100:.2f}",
        "qty": quantity, "line_total": f"{fen * quantity / 100:.2f}", "pay_type": random.choice(("wx", "ali", "card")),
    })  # fmt: skip


def _app(person: Person, at: datetime, sku: str, random: Random) -> Iterator[Record]:
    name, category, fen = PRODUCTS[sku]
    order, number = f"A{at:%y%m%d}{person.number:05d}", random.choice((1, 1, 2, 3))

    def event(step: int, word: str, attributes: Record) -> Record:
        return {
            "id": _id("a", person, at, word), "event": word, "phone": person.phone("plain"),
            "identifiers": {"device": f"ios-{person.number:08d}"}, "source_version": random.choice(("4.1.0", "4.2.0")),
            "occurred_at": (at + timedelta(seconds=40 * step)).isoformat(), "attributes": attributes,
        }  # fmt: skip

    yield event(0, "userLogin", {"loginType": random.choice(("pwd", "sms", "oneTap", "faceId"))})
    yield event(1, "viewProduct", {"goodsId": sku, "goodsName": name, "cateName": category, "priceFen": fen})
    yield event(2, "addToCart", {"goodsId": sku, "goodsName": name, "cateName": category, "priceFen": fen, "num": number})
    yield event(3, "payOrder", {
        "orderNo": order, "goodsId": sku, "goodsName": name, "cateName": category, "priceFen": fen, "num": number,
        "payFen": fen * number, "payWay": random.choice(("wxpay", "alipay")),
    })  # fmt: skip
    yield event(4, "shareGoods", {"goodsId": sku, "goodsName": name, "shareChannel": random.choice(("friend", "timeline"))})


def _mini_program(person: Person, at: datetime, sku: str, random: Random) -> Iterator[Record]:
    name, category, fen = PRODUCTS[sku]
    order, number = f"M{at:%y%m%d}{person.number:05d}", random.choice((1, 1, 2))

    def event(step: int, word: str, fields: Record, *, known: bool = True) -> Record:
        moment = int((at + timedelta(seconds=45 * step)).timestamp() * 1000)
        return {
            "eid": _id("m", person, at, str(step)), "event": word, "openid": person.openid, "ts": moment, "version": "2.8.1", "data": fields,
        } | ({"mobile": person.phone("dashes")} if known else {})  # fmt: skip

    yield event(0, "浏览页面", {"页面路径": "/pages/home", "页面标题": "首页", "停留毫秒": random.randrange(900, 60000)}, known=False)
    yield event(1, "浏览商品", {"商品编号": sku, "商品名称": name, "类目": category, "价格": fen / 100}, known=False)
    yield event(2, "收藏商品", {"商品编号": sku, "商品名称": name, "价格": fen / 100}, known=False)
    yield event(3, "支付成功", {
        "订单号": order, "商品编号": sku, "商品名称": name, "类目": category, "单价": fen / 100, "数量": number, "实付金额": fen * number / 100,
    })  # fmt: skip
    yield event(4, "每日签到", {"获得积分": 10})


def _till(person: Person, at: datetime, sku: str, random: Random) -> Iterator[Record]:
    name, category, fen = PRODUCTS[sku]
    receipt, store = f"R{at:%y%m%d}{person.number:05d}", f"S{random.randrange(1, 9):02d}"
    style = "wide" if random.random() < 0.1 else "plain"
    local = (at + SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    for step, line in enumerate((sku, random.choice(list(PRODUCTS)))):
        name, category, fen = PRODUCTS[line]
        number = -1 if step and random.random() < 0.08 else random.choice((1, 1, 2))
        yield {
            "id": f"{receipt}-{step}", "event": "SALE", "phone": person.phone(style), "occurred_at": local,
            "receipt_no": receipt, "sku": line, "item_name": name, "dept_name": category, "price_fen": str(fen), "qty": str(number),
            "total_fen": str(fen * number), "pay": random.choice(("WX", "ALI", "CARD", "CASH")), "store_no": store, "cashier": "C07",
        }  # fmt: skip


def _call_centre(person: Person, at: datetime, sku: str, random: Random) -> Iterator[Record]:
    moment = (at + SHANGHAI).strftime("%Y/%m/%d %H:%M:%S")
    call = f"C{at:%y%m%d}{person.number:05d}"
    topic = random.choice(("订单", "物流", "售后", "会员"))

    def event(word: str, detail: Record) -> Record:
        return {
            "eventId": _id("c", person, at, word), "eventType": word, "caller": person.phone("zeros"), "eventTime": moment, "detail": detail,
        }  # fmt: skip

    yield event("CALL_END", {"callId": call, "direction": "IN", "talkSeconds": random.randrange(20, 900), "agentNo": "K12", "skill": topic})
    yield event(
        "TICKET_NEW", {"ticketNo": f"T{call}", "title": f"{topic} {sku}", "type": topic, "level": random.choice("1234"), "agentNo": "K12"}
    )
    yield event("SURVEY", {"callId": call, "score": random.randrange(1, 6), "remark": random.choice(("很好", "等太久了", "Helpful", ""))})


def _membership(person: Person, day: datetime) -> Record:
    return {
        "action": "MEMBER_UPDATE", "mobile": person.phone("plain"), "memberNo": f"V{person.number:07d}", "openid": person.openid,
        "email": person.email, "changedAt": day.isoformat(), "changeNo": f"crm-{person.number}",
        "fields": {"fullName": f" {person.name} ", "sex": str(1 + person.number % 2), "cityName": person.city[0], "provinceName": person.city[1], "grade": person.level},
    }  # fmt: skip


def _with_mistake(source: str, record: Record, random: Random) -> Record:
    """Now and then what sources get wrong: a new name, a comma, a lost field, a broken phone, a clock that runs ahead."""
    if source == "crm" or random.randrange(MISTAKE_EVERY):
        return record
    wrong = {**record}
    mistakes = {
        "website": (
            {"event": "item_view_v2"},
            {"phone": "138-oops"},
            {"occurred_at": "2099-01-01T00:00:00Z"},
            {"attributes": {"order_no": "?"}},
        ),
        "app": ({"event": "viewGoodsNew"}, {"phone": "1380000"}, {"attributes": {"goodsId": "SKU-1001", "priceFen": "八百"}}),
        "mini_program": ({"event": "直播间停留"}, {"ts": "昨天"}, {"mobile": "12345"}),
        "till": ({"price_fen": "259,00"}, {"qty": "two"}, {"phone": "1.38E+10"}, {"receipt_no": ""}),
        "call_centre": ({"eventType": "CALL_TRANSFER"}, {"caller": "anonymous"}, {"eventTime": "24/31/2026"}),
    }
    wrong.update(random.choice(mistakes[source]))
    return wrong
