"""A code of the standard from a name as somebody sends it. Pure."""

import re

_CHARACTERS = 80


def code_of(name: str) -> str:
    """viewGoodsNew becomes view_goods_new; "" where nothing of the name can stand in a code, as of 直播间停留."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    code = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")[:_CHARACTERS].strip("_")
    return re.sub(r"^[0-9_]+", "", code)
