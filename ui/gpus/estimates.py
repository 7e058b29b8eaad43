"""What launches were planned to hold beside what came of it: the ledger of the estimates' errors."""

from __future__ import annotations

from collections.abc import Sequence

from services.core.units import bytes_text, percent_text
from services.serving.accuracy import Estimate, typical_percent
from ui.i18n import _, clock_time, ngettext
from ui.text import html_text

SHOWN = 8
"""The newest; `lectern server estimates` prints all."""


def estimates_html(found: Sequence[Estimate]) -> str:
    """A table of the newest launches; empty where none was planned."""
    if not found:
        return ""
    titles = (_("Server"), _("Started"), _("Planned"), _("Reported"), _("Measured"), _("Error"))
    head = "".join(f'<th scope="col">{html_text(title)}</th>' for title in titles)
    title, rows = _("How good the plans were"), "".join(map(_row_html, found[:SHOWN]))
    return (
        f'<section class="lectern-estimates"><h3>{html_text(title)}</h3>'
        f'<p class="lectern-facts">{html_text(_said(found))}</p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _said(found: Sequence[Estimate]) -> str:
    typical = typical_percent(found)
    if typical is None:
        return _("No launch has been measured yet.")
    count = sum(one.error_percent is not None for one in found)
    return ngettext(
        "{n} start compared: a plan is typically {share} % off.",
        "{n} starts compared: a plan is typically {share} % off.",
        count,
        share=f"{typical:.1f}",
    )


def _row_html(one: Estimate) -> str:
    word = _("estimated")
    tag = f' <span class="tag">{html_text(word)}</span>' if one.guessed else ""
    figures = (
        (_("Planned"), bytes_text(one.planned_bytes)),
        (_("Reported"), bytes_text(one.reported_bytes)),
        (_("Measured"), f"{bytes_text(one.measured_bytes)}{tag}"),
        (_("Error"), percent_text(one.error_percent)),
    )
    cells = "".join(f'<td class="amount" data-name="{html_text(name)}">{value}</td>' for name, value in figures)
    return (
        f'<tr><td class="who">{html_text(one.server)} <span class="on">{html_text(one.gpu)}</span></td>'
        f'<td class="when">{html_text(clock_time(one.at_ms))}</td>{cells}</tr>'
    )
