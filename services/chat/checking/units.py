"""Units in which quantities are written, English and Chinese, brought to one of their kind."""

from __future__ import annotations

import re

_KINDS: dict[str, dict[str, float]] = {
    "metre": {
        "km|kilometres?|kilometers?|千米|公里": 1e3,
        "m|metres?|meters?|米|公尺": 1,
        "dm|decimetres?|分米": 0.1,
        "cm|centimetres?|centimeters?|厘米|公分": 1e-2,
        "mm|millimetres?|millimeters?|毫米": 1e-3,
        "µm|μm|micrometres?|微米": 1e-6,
        "nm|nanometres?|纳米": 1e-9,
        "miles?|英里": 1609.344,
        "ft|feet|foot|英尺": 0.3048,
        "inch|inches|英寸": 0.0254,
    },
    "square metre": {
        "km²|km2|square kilometres?|square kilometers?|平方千米|平方公里": 1e6,
        "m²|m2|square metres?|square meters?|平方米|平米": 1,
        "ha|hectares?|公顷": 1e4,
    },
    "gram": {
        "t|tonnes?|tons?|吨|噸|公噸": 1e6,
        "kg|kilos?|kilograms?|千克|公斤": 1e3,
        "g|grams?|克": 1,
        "mg|milligrams?|毫克": 1e-3,
        "µg|μg|micrograms?|微克": 1e-6,
    },
    "litre": {
        "l|litres?|liters?|升|公升": 1,
        "ml|millilitres?|milliliters?|毫升": 1e-3,
        "µl|μl|microlitres?|microliters?|微升": 1e-6,
        "m³|m3|cubic metres?|cubic meters?|立方米": 1e3,
    },
    "second": {
        "ms|milliseconds?|毫秒": 1e-3,
        "s|secs?|seconds?|秒钟?|秒鐘": 1,
        "min|mins|minutes?|分钟|分鐘": 60,
        "h|hrs?|hours?|小时|个小时|钟头|小時|個小時|鐘頭": 3600,
        "days?|天|日|[个個]?工作日|working days?": 86400,
        "weeks?|周|週|星期|个星期|個星期|礼拜|禮拜": 7 * 86400,
        "fortnights?": 14 * 86400,
    },
    "month": {
        "months?|个月|個月": 1,
        "years?|yrs?|年|周年|週年|years? old|周岁|岁|歲": 12,
        "quarters?|季度|个季度|個季度": 3,
    },
    "watt": {
        "w|watts?|瓦": 1,
        "kw|kilowatts?|千瓦": 1e3,
        "mw|megawatts?|兆瓦": 1e6,
        "gw|gigawatts?|吉瓦": 1e9,
    },
    "volt": {"v|volts?|伏特?": 1, "kv|kilovolts?|千伏": 1e3},
    "hertz": {"hz|hertz|赫兹?": 1, "khz|千赫兹?": 1e3, "mhz|兆赫兹?": 1e6, "ghz|吉赫兹?": 1e9},
    "byte": {
        "bytes?|字节": 1,
        "kb|kib|kilobytes?": 1024,
        "mb|mib|megabytes?": 1024**2,
        "gb|gib|gigabytes?": 1024**3,
        "tb|tib|terabytes?": 1024**4,
    },
    "celsius": {"°c|℃|degrees? celsius|摄氏度|攝氏|度": 1},
    "fahrenheit": {"°f|℉|degrees? fahrenheit|华氏度": 1},
    "percent": {"%|percent|per cent|个百分点|percentage points?": 1, "‰": 0.1},
    "dollar": {"\\$|us\\$|usd|dollars?|美元": 1, "cents?|美分": 0.01},
    "euro": {"€|eur|euros?|欧元": 1},
    "pound": {"£|gbp|pounds?|英镑": 1},
    "yuan": {"¥|￥|cny|rmb|yuan|元|人民币|块钱": 1, "角": 0.1},
    "times": {"times|倍|-?fold": 1},
}
_FACTORS = [
    (re.compile(rf"(?:{names})", re.IGNORECASE), kind, factor)
    for kind, units in _KINDS.items()
    for names, factor in units.items()
]
_ALL = "|".join(
    sorted((name for units in _KINDS.values() for names in units for name in names.split("|")), key=len, reverse=True)
)
AFTER = re.compile(rf"[\s-]?(?P<unit>{_ALL})(?![A-Za-z])", re.IGNORECASE)
BEFORE = re.compile(r"(?P<unit>us\$|\$|€|£|¥|￥|人民币|usd|eur|gbp|rmb|cny)\s?$", re.IGNORECASE)


def unit_of(written: str) -> tuple[str, float]:
    """The kind of a unit as it is written, and how many of the kind's own unit it is."""
    word = written.strip()
    if word == "mW":
        return "watt", 1e-3
    for pattern, kind, factor in _FACTORS:
        if pattern.fullmatch(word):
            return kind, factor
    return "", 1.0
