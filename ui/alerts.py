"""Alerts on the pages: the open ones as rows, and what an operator chooses about them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import streamlit as st

from services.app import Services
from services.core.clock import ticks_ms
from services.core.i18n import N_
from services.core.units import milliseconds_text
from services.monitoring.rules import KINDS, SERVER_DOWN
from services.store.alerts import AlertRecord
from services.store.product import ProductSettings
from ui import errors, i18n
from ui.i18n import _
from ui.widgets import row, safe_text

LABELS = {
    "alert_gpu_memory_percent": N_("GPU memory in use, %"),
    "alert_temperature_celsius": N_("GPU temperature, °C (0: by the card)"),
    "alert_host_memory_percent": N_("Machine memory in use, %"),
    "alert_disk_gib": N_("Free disk, GiB"),
    "alert_server_s": N_("Server down, s"),
}
BOUNDS: dict[str, tuple[float, float, float]] = {
    "alert_gpu_memory_percent": (10, 100, 1),
    "alert_temperature_celsius": (0, 120, 1),
    "alert_host_memory_percent": (10, 100, 1),
    "alert_disk_gib": (0.0, 100_000.0, 1.0),
    "alert_server_s": (0, 86_400, 10),
}
ADDRESS = "webhook_url"


def beyond(services: Services, servers: Collection[str]) -> list[AlertRecord]:
    """The open alerts, without those about servers that are shown with their errors anyway."""
    return [alert for alert in services.alerts.open() if alert.code != SERVER_DOWN or alert.subject not in servers]


def alert_row(services: Services, alert: AlertRecord) -> None:
    """One open alert: what is not well, what to do, since when, and the page that helps."""
    words = services.alerts.render(alert, i18n.language())
    since = _("since {time}", time=i18n.clock_time(alert.raised_at_ms))
    page = KINDS[alert.code].page if alert.code in KINDS else ""
    with row(alert.subject, [f"{words.message} {words.remedy}".strip(), since], alert.level):
        if page == "gpus":
            st.page_link("pages/6_GPUs.py", label=_("GPUs"), icon=":material/memory:")
        elif page == "servers":
            st.page_link("pages/4_Servers.py", label=_("Servers"), icon=":material/dns:")


def form(services: Services) -> None:
    """From which values on an alert is raised, and which address is told of it."""
    now, fields = services.product, ProductSettings.model_fields
    with errors.shown(), st.form("alert-settings"):
        chosen: dict[str, Any] = {}
        for number, (name, (low, high, step)) in enumerate(BOUNDS.items()):
            kind = type(getattr(now, name))
            if number % 2 == 0:
                columns = st.columns(2, gap="medium", vertical_alignment="bottom")
            with columns[number % 2]:
                chosen[name] = st.number_input(
                    _(LABELS[name]),
                    kind(low),
                    kind(high),
                    getattr(now, name),
                    step=kind(step),
                    help=_(str(fields[name].description)),
                )
        chosen[ADDRESS] = st.text_input(
            _("Webhook address"),
            now.webhook_url,
            placeholder="https://",
            help=_(str(fields[ADDRESS].description)),
            autocomplete="off",
        ).strip()
        with st.container(horizontal=True):
            saved = st.form_submit_button(_("Save alerts"))
            reset = st.form_submit_button(_("Usual thresholds"))
        if saved:
            services.choose(**chosen)
            st.toast(_("Saved."), icon=":material/check:")
        if reset:
            services.choose(**dict.fromkeys(BOUNDS))
            st.rerun()


def webhook(services: Services) -> None:
    """How the last telling of the webhook went, and a button that tries it."""
    if not services.product.webhook_url:
        return
    with errors.shown():
        if st.button(_("Send a test"), icon=":material/send:"):
            _test(services)
        else:
            _last(services)


def _test(services: Services) -> None:
    begin = ticks_ms()
    services.alerts.send_test()
    safe_text(_("The webhook has taken the test in {time}.", time=milliseconds_text(ticks_ms() - begin)))


def _last(services: Services) -> None:
    last = services.alerts.last_delivery()
    if last is None:
        safe_text(_("This address was not told anything yet."), muted=True)
    elif last.error is None:
        safe_text(_("Last told at {time}: taken.", time=i18n.clock_time(last.at_ms)), muted=True)
    else:
        safe_text(_("Last told at {time}: not taken.", time=i18n.clock_time(last.at_ms)), muted=True)
        errors.show(last.error)
