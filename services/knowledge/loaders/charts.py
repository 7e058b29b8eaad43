"""The numbers inside charts, and the words inside diagrams, of office documents: their XML parts as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.knowledge.loaders.cells import shown
from services.knowledge.loaders.rows import row_lines

CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/"
TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
MOST_POINTS = 20_000


def is_chart(tag: str) -> bool:
    """Whether an element names the part of a chart."""
    return tag == f"{CHART}chart"


def chart_lines(blob: bytes) -> Iterator[str]:
    """Title, axes and a table of a chart's series: a line for each category that can be read by itself."""
    root = _parsed(blob)
    titles = [_words(title) for title in root.iter(f"{CHART}title")]
    yield from (title for title in titles if title)
    for plot in root.iter(f"{CHART}plotArea"):
        for group in plot:
            series = group.findall(f"{CHART}ser")
            if series:
                yield from row_lines(_table(series))


def diagram_lines(blob: bytes) -> Iterator[str]:
    """The words of a diagram (SmartArt), one line for each point."""
    for point in _parsed(blob).iter("{http://schemas.openxmlformats.org/drawingml/2006/diagram}pt"):
        if words := _words(point):
            yield f"- {words}"


def _table(series: list[Any]) -> Iterator[list[str]]:
    names = [_first(one, "tx") or f"#{number}" for number, one in enumerate(series, 1)]
    labels = next((found for one in series if (found := _points(one, "cat") or _points(one, "xVal"))), {})
    values = [_points(one, "val") or _points(one, "yVal") for one in series]
    yield ["", *names]
    for index in sorted({index for column in values for index in column})[:MOST_POINTS]:
        yield [labels.get(index, str(index + 1)), *(column.get(index, "") for column in values)]


def _points(series: Any, role: str) -> dict[int, str]:
    """The cached points of a series, by their index; labels of several levels are joined."""
    found: dict[int, str] = {}
    for cache in (inner for role_element in series.iterfind(f"{CHART}{role}") for inner in role_element.iter()):
        code = cache.findtext(f"{CHART}formatCode") or "General"
        for point in cache.iterfind(f"{CHART}pt"):
            index, text = int(point.get("idx", "0")), point.findtext(f"{CHART}v") or ""
            text = _number(text, code) if cache.tag == f"{CHART}numCache" else text
            found[index] = f"{text} {found[index]}" if index in found else text
    return found


def _number(text: str, code: str) -> str:
    try:
        return shown(float(text), code)
    except ValueError:
        return text


def _first(series: Any, role: str) -> str:
    return next((value.text or "" for value in series.iterfind(f"{CHART}{role}//{CHART}v")), "")


def _words(element: Any) -> str:
    return " ".join("".join(text.text or "" for text in element.iter(f"{TEXT}t")).split())


def _parsed(blob: bytes) -> Any:
    from lxml import etree  # type: ignore[import-untyped]

    return etree.fromstring(blob, etree.XMLParser(resolve_entities=False, no_network=True))
