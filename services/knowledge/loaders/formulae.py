"""Office formulae (OMML) as a line of text: fractions, roots, powers and sums keep their structure."""

from __future__ import annotations

from typing import Any

MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
SUM, DEFAULT_ACCENT = "∫", "\u0302"


def formula(element: Any) -> str:
    """An `m:oMath`, or what stands in one, as text: `(a+b)/2`, `x^2`, `√(x)`, `∑_(k=0)^(n) k`."""
    write = _WRITERS.get(element.tag.removeprefix(MATH))
    if write is not None:
        return write(element)
    if element.tag == f"{MATH}t":
        return element.text or ""
    return "".join(formula(child) for child in element.iterchildren() if isinstance(child.tag, str))


def _part(element: Any, name: str) -> str:
    found = element.find(f"{MATH}{name}")
    return formula(found).strip() if found is not None else ""


def _grouped(text: str) -> str:
    """In brackets, unless it is one number, word or letter."""
    bracketed = text.startswith("(") and text.find(")") == len(text) - 1
    return text if len(text) <= 1 or text.isalnum() or bracketed else f"({text})"


def _fraction(element: Any) -> str:
    return f"{_grouped(_part(element, 'num'))}/{_grouped(_part(element, 'den'))}"


def _raised(element: Any) -> str:
    base, low, high = _part(element, "e"), _part(element, "sub"), _part(element, "sup")
    return _grouped(base) + (f"_{_grouped(low)}" if low else "") + (f"^{_grouped(high)}" if high else "")


def _root(element: Any) -> str:
    degree = _part(element, "deg")
    return f"{degree}√({_part(element, 'e')})"


def _sum(element: Any) -> str:
    low, high = _part(element, "sub"), _part(element, "sup")
    bounds = (f"_({low})" if low else "") + (f"^({high})" if high else "")
    return f"{_value(element, 'naryPr/', 'chr') or SUM}{bounds} {_part(element, 'e')}"


def _bracketed(element: Any) -> str:
    opening = _value(element, "dPr/", "begChr", "(")
    closing = _value(element, "dPr/", "endChr", ")")
    between = _value(element, "dPr/", "sepChr", "|")
    return opening + between.join(formula(part).strip() for part in element.iterfind(f"{MATH}e")) + closing


def _rows(element: Any) -> str:
    rows = [
        ", ".join(formula(cell).strip() for cell in (row.iterfind(f"{MATH}e") if row.tag == f"{MATH}mr" else [row]))
        for row in element.iterchildren()
        if row.tag in (f"{MATH}mr", f"{MATH}e")
    ]
    return "; ".join(rows)


def _limit(element: Any) -> str:
    return f"{_part(element, 'e')}_({_part(element, 'lim')})"


def _value(element: Any, folder: str, name: str, default: str = "") -> str:
    path = "".join(f"{MATH}{part}/" for part in folder.split("/") if part) + f"{MATH}{name}"
    found = element.find(path)
    return default if found is None else str(found.get(f"{MATH}val", default))


def _nothing(_: Any) -> str:
    return ""


_WRITERS = {
    "f": _fraction,
    "sSup": _raised,
    "sSub": _raised,
    "sSubSup": _raised,
    "rad": _root,
    "nary": _sum,
    "d": _bracketed,
    "m": _rows,
    "eqArr": _rows,
    "limLow": _limit,
    "limUpp": _limit,
    "rPr": _nothing,
    "ctrlPr": _nothing,
}
