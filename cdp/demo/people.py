"""Believable customers, in both languages. The numbers belong to nobody: 555-01xx is fiction, 1xx-0000 is not given out."""

from dataclasses import dataclass
from random import Random

FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高"
GIVEN = ("伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "勇", "军", "杰", "娟", "涛", "明", "超", "秀英", "丽娜", "子涵", "浩然", "雨桐")
FIRST = ("Emma", "Liam", "Olivia", "Noah", "Ava", "Ethan", "Mia", "Lucas", "Grace", "Henry", "Zoe", "Jack", "Chloe", "Oscar", "Ella", "Max")
LAST = ("Smith", "Brown", "Taylor", "Wilson", "Evans", "Walker", "Wright", "Hughes", "Green", "Hall", "Wood", "Clarke", "Young", "King")
CITIES = (
    ("上海", "上海"),
    ("杭州", "浙江"),
    ("北京", "北京"),
    ("深圳", "广东"),
    ("成都", "四川"),
    ("武汉", "湖北"),
    ("南京", "江苏"),
    ("西安", "陕西"),
)
LEVELS = ("普通", "银卡", "金卡", "钻石")
AREA_CODES = (212, 310, 415, 617, 702, 303, 206, 512, 404, 305, 312, 503, 215, 602, 713, 619)
PREFIXES = (138, 139, 136, 150, 158, 186, 188, 177, 133, 199)


@dataclass(frozen=True, slots=True)
class Person:
    """`loyalty`: how often they come, about events a month."""

    number: int
    name: str
    chinese: bool
    national: str
    email: str
    openid: str
    city: tuple[str, str]
    level: str
    loyalty: float

    def phone(self, style: str) -> str:
        """The number as a source writes it: plus, plain, dashes, zeros or wide."""
        if not self.chinese:
            area, middle, last = self.national[:3], self.national[3:6], self.national[6:]
            return f"+1 ({area}) {middle}-{last}" if style in ("plus", "dashes") else f"+1{self.national}"
        one, two, three = self.national[:3], self.national[3:7], self.national[7:]
        return {
            "plus": f"+86 {one} {two} {three}",
            "plain": self.national,
            "dashes": f"{one}-{two}-{three}",
            "zeros": f"0086 {one}{two}{three}",
            "wide": self.national.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
        }[style]


def people(number: int, random: Random) -> list[Person]:
    return [_person(at, random) for at in range(number)]


def _person(at: int, random: Random) -> Person:
    chinese = at % 5 != 4
    if chinese:
        name = random.choice(FAMILY) + random.choice(GIVEN)
        national = f"{PREFIXES[at % len(PREFIXES)]}0000{1000 + at // len(PREFIXES):04d}"
    else:
        name = f"{random.choice(FIRST)} {random.choice(LAST)}"
        national = f"{AREA_CODES[at // 5 % len(AREA_CODES)]}55501{at // 80 % 100:02d}"
    loyalty = min(40.0, random.paretovariate(1.3) * 1.4)
    return Person(
        at, name, chinese, national, f"user{at}@mail.example", f"oD{at:06d}wx{random.randrange(16**8):08x}",
        random.choice(CITIES), LEVELS[min(3, int(loyalty / 5))], loyalty,
    )  # fmt: skip
