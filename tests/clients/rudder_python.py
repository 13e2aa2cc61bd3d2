"""Sends with rudder-sdk-python: <host> <write key>."""

import sys

import rudderstack.analytics as analytics

analytics.dataPlaneUrl, analytics.write_key = sys.argv[1:]
analytics.on_error = lambda error, _items: print("error:", error)
analytics.identify("u1", {"phone": "+8613800138000", "email": "li@example.com", "city": "杭州"})
analytics.track("u1", "purchase", {"order_id": "o1", "product_id": "p1", "price": 9.9, "quantity": 1})
analytics.page("u1", "shop", "Home", {"url": "https://shop.example.com/"})
analytics.screen("u1", None, "Settings")
analytics.group("u1", "g1", {"name": "Initech"})
analytics.alias("a1", "u1")
analytics.track("u1", "nonsense")
analytics.shutdown()
