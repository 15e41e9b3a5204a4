"""Postal addresses in Chinese and English text, by how they are built: street with number, region, post-office box.

A town alone is no address. Knows nothing of maps: whether the place exists isn't asked.
"""

import re
from collections.abc import Iterator

from models.personal_numbers import Personal

_RUN = "[\u4e00-\u9fffA-Za-z0-9-]"
_STREET = "大道|大街|[路街巷弄里道胡同段]"
_PLACE = "小区|街道|[省市区县州旗镇乡村庄园苑城场厦堡坊寨湾]"
_NUMBER = r"(?:附)?[A-Za-z]?\d{1,5}(?:-[A-Za-z\d]{1,4}){0,2}(?:号院|号楼|号|弄|栋|幢|座|楼|单元|室|层|排|院|档|组| 号)"
_NO_STREET = (
    "知道|味道|频道|渠道|难道|报道|这里|那里|哪里|公里|家里|店里|手里|一路|半路|线路|电路|套路|网路|市场|现场|商场|立场"
)
_ANCHOR = re.compile(
    rf"(?:{_STREET}|{_PLACE})\s?(?:{_NUMBER})(?!线|色|码|到货|发货|才|前|晚|上午|下午|早|电池|款|店|格|柜|那天|以)"
)
_BUILDING = r"[A-Za-z]{0,8}[\u4e00-\u9fff]{1,8}?(?:\d{1,3}(?:号楼|栋|幢)|[A-Za-z]座)"
_TAIL = re.compile(
    rf"\s?(?:{_NUMBER}|{_BUILDING}|[\u4e00-\u9fff]{{1,9}}?(?:[座区栋幢苑楼层室舍]|学院|大学|学校|广场|大厦|中心|公寓|花园|国际|园)(?![\u4e00-\u9fff]?[柜架])"
    r"|[A-Za-z]\d{1,4}档?|[A-Z]座|(?:\d{1,2}-\d{3,4}(?:-\d{1,4})?|\d{3,4}室?)(?![\d元块])"
    r"|(?<=[栋幢元])\d{1,2}-\d{1,4}(?![\d元块点日]))"
)
_SERIES = re.compile(rf"{_RUN}{{8,80}}")
_UNIT = re.compile(rf"{_STREET}|{_PLACE}")
_CUED = re.compile(r"地址(?:是|为|写的是|写的|改成|改为)?\s*[:：]?\s*(?P<address>[^\s,，。;；:：!！?？、（(]{4,60})")
_LEAD = re.compile(
    "收货地址|地址|不是|写的|老家|麻烦|仓库|现在|门牌是|搬到|放到了"
    "|(?:寄|送|发|放|退)(?:到|往|给|在)?了?|住在?|家在|显示在|[是在到给去]"
)
_BARE = re.compile(rf"(?<=[\u4e00-\u9fff]{{2}})(?:{_NUMBER})")
_REGIONS = re.compile("[省市区县镇乡]")
_MAX_BACK = 40
_MAX_TAILS = 8
_MIN_REGIONS = 2
_MIN_UNITS = 3

_KINDS = (
    "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Way|Place|Pl|Terrace|Square|Sq|Close|"
    "Crescent|Parkway|Pkwy|Highway|Hwy|Loop|Row|Gardens|Grove|Mews|Alley|Circle|Trail|Kingsway"
)
_ROOM = r"(?:Flat|Apt|Apartment|Unit|Suite|Ste|Room|Lot|#)\.?\s?#?[\w-]{1,6}"
_BLOCK = r"(?:Block|Bldg\.?|Building|Tower|Floor) [A-Z\d]{1,3}"
_TOWN = r"(?:,\s*#[\w-]{1,6})?(?:,\s*[A-Z][A-Za-z.]{1,20}(?: [A-Z][a-z.]{1,20}){0,2}){0,2}"
_POSTCODE = (
    r"(?:,?\s+[A-Z]{2}(?:\s+\d{5}(?:-\d{4})?)?\b|\s+[A-Z]{2,3} \d{4}\b|,?\s+[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
    r"|,?\s+\d{4,6}\b)?"
)
_WEST = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:{_ROOM},\s*)?(?:{_BLOCK},\s*)?(?:\d{{1,4}}/)?\d{{1,5}}[A-Za-z]?(?:\s+[NSEW]{{1,2}}\.?)?(?:\s+[A-Z][A-Za-z'.]{{1,20}}){{0,3}}\s+(?:{_KINDS})\b\.?"
        rf"(?:\s+(?:[NSEW]{{1,2}}|\d{{1,4}})\b)?(?:,?\s*{_ROOM})?{_TOWN}{_POSTCODE}",
        rf"\b(?:P\.?O\.? ?[Bb]ox|POB)\s+\d{{1,6}}{_TOWN}{_POSTCODE}",
        r"\b\d{1,4},? (?:[Rr]ue|avenue|boulevard|place|[Vv]ia|[Cc]alle) (?:(?:de|du|des|la|le|del|di) ){0,2}"
        r"[A-Z][\w-]{1,20}(?:,\s*\d{4,5} [A-Z][\w-]{1,20})?",
        r"\b(?:Calle|Carrer|Rua|Via|Viale|Corso|Piazza) (?:(?:de|da|do|del|di|la) ){0,2}[A-Z][\w-]{1,20},? \d{1,4}"
        r"[A-Za-z]?(?:,\s*\d{4,5} [A-Z][\w-]{1,20})?",
        r"\b[A-Z][\wäöüß]{1,20}(?:strasse|straße|str\.|weg|platz|allee|gasse) \d{1,4}[a-z]?"
        r"(?:,\s*\d{4,5} [A-ZÄÖÜ]\w{1,20})?",
    )
)


def personal_addresses(text: str) -> Iterator[Personal]:
    """Yield addresses; they may overlap."""
    for found in _CUED.finditer(text):
        if _UNIT.search(found["address"]) and re.search(r"\d|[省市区县镇村]", found["address"]):
            yield Personal(*found.span("address"), "address")
    for anchor in _ANCHOR.finditer(text):
        if not re.search(rf"(?:{_NO_STREET})$", text[max(0, anchor.start() - 1) : anchor.start() + 1]):
            yield _widened(text, anchor.start(), anchor.end())
    for number in _BARE.finditer(text):
        item = _widened(text, number.start(), number.end())
        if len(_REGIONS.findall(text[item.start : number.start()])) >= _MIN_REGIONS:
            yield item
    for run in _SERIES.finditer(text):
        if len(_UNIT.findall(run[0])) >= _MIN_UNITS and re.search(f"[省市区县].*(?:{_STREET})", run[0]):
            yield Personal(_begin(text, run.start(), run.end()), run.end(), "address")
    for pattern in _WEST:
        yield from (Personal(*found.span(), "address") for found in pattern.finditer(text))


def _widened(text: str, start: int, end: int) -> Personal:
    """Take in what leads up to a street number, and the rooms and buildings behind it."""
    for _ in range(_MAX_TAILS):
        tail = _TAIL.match(text, end)
        if tail is None:
            break
        end = tail.end()
    run = start
    while run > max(0, start - _MAX_BACK) and re.match(_RUN, text[run - 1]):
        run -= 1
    return Personal(_begin(text, run, end), end, "address")


def _begin(text: str, start: int, end: int) -> int:
    """Skip the words before the first place or street: "please send it to ..."."""
    unit = _UNIT.search(text, start, end)
    limit = unit.start() if unit else end
    leads = [found.end() for found in _LEAD.finditer(text, start, limit) if found.end() < limit]
    return leads[-1] if leads else start
