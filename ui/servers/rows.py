"""Model servers on the page: their state, their models, a test, and adding one by its address."""

from __future__ import annotations

import streamlit as st

from services.app import Services
from services.core.errors import AppError, EngineNotInstalled, from_row
from services.core.units import milliseconds_text
from services.serving import notes
from services.serving.engines.registry import ENGINES
from services.serving.states import AT_REST, COMING
from services.store.servers import ServerRecord
from ui import errors, i18n
from ui.i18n import _
from ui.servers import engines, form, live, log, plan, snippets
from ui.text import markdown_text
from ui.widgets import Code, empty_state, facts_line, icon_button, mono, remark, row, safe_text

POLL_S = 2.0
TESTED = "servers.tested"
EVIDENCE_LINES = 3


def no_server(services: Services) -> None:
    """Teach to add the first server."""
    wanted = empty_state(
        _("No server yet"),
        _("A server runs the model that answers. Run one here, or add the address of any OpenAI-compatible one."),
        _("Add a server"),
        key="no-server",
    )
    if wanted:
        add_dialog(services)


def server_list(services: Services) -> None:
    """Every server as a row; states refresh by themselves."""
    plans: dict[str, str] = {}  # of servers that rest: made once, for it reads the model's files
    st.fragment(run_every=POLL_S)(_states)(services, [record.id for record in services.servers.list()], plans)


def _states(services: Services, ids: list[str], plans: dict[str, str]) -> None:
    with errors.shown():
        records = services.servers.list()
        if [record.id for record in records] != ids:
            st.rerun()
        with st.container(key="lectern-servers"):
            for record in records:
                _server(services, record, plans)


def _server(services: Services, record: ServerRecord, plans: dict[str, str]) -> None:
    engine = record.engine if record.managed else _("remote")
    with row(record.name, [engine, Code(record.model), Code(record.url or "")], record.state) as beneath:
        at_rest = record.managed and record.state in AT_REST and record.wish not in COMING
        if not at_rest:
            _questions(services, record)
        if record.managed:
            _wishes(services, record)
            answers = record.state == "ready"
            if answers and st.button(_("Live"), key=f"word-live-{record.id}", icon=":material/monitoring:"):
                live.dialog(services, record)
            if st.button(_("Log"), key=f"word-log-{record.id}", icon=":material/article:"):
                log.dialog(services, record)
        if at_rest and st.button(_("Change"), key=f"word-change-{record.id}", icon=":material/tune:"):
            form.begin(record)
            st.rerun()
        if (at_rest or not record.managed) and icon_button(
            _("Remove {name}", name=record.name), ":material/delete:", key=f"remove-{record.id}"
        ):
            _confirm(services, record)
    with beneath:
        if record.error_code and record.state in ("failed", "unreachable", "starting"):
            _failure(services, record)
        if at_rest:
            plans.setdefault(record.id, plan.summary(services, record))
            safe_text(plans[record.id], muted=True, small=True)
        else:
            plans.pop(record.id, None)
        if record.note:
            safe_text(notes.told(record.note, i18n.language()), muted=True, small=True)
        _shown_test(record)


def _questions(services: Services, record: ServerRecord) -> None:
    """What a server that is ready can be asked."""
    idle = record.state != "ready"
    if st.button(_("Test"), key=f"word-test-{record.id}", icon=":material/play_arrow:", disabled=idle):
        _test(services, record)
    if st.button(_("Models"), key=f"word-models-{record.id}", icon=":material/list:", disabled=idle):
        _models(services, record)
    if st.button(_("Use it"), key=f"word-use-{record.id}", icon=":material/code:", disabled=idle):
        snippets.dialog(record)


def _failure(services: Services, record: ServerRecord) -> None:
    """Why a server failed: what its log shows where it was diagnosed, with the line; and the start that mends it."""
    causes = services.servers.diagnoses(record)
    if not causes:
        error = from_row(record.error_code or "", record.error_params)
        remark(error.render(i18n.language()))
        environment = ENGINES[record.engine].environment if record.engine in ENGINES else None
        if isinstance(error, EngineNotInstalled) and environment and not record.spec.get("program"):
            engines.row_of(services, environment, record.id)
        return
    remark(causes[0].render(i18n.language()))
    for line in causes[0].evidence.line.splitlines()[:EVIDENCE_LINES]:
        mono(line)
    flags = services.servers.fix(record)
    if flags and record.state == "failed":
        st.button(
            _("Start with {flags}", flags=markdown_text(flags)),
            key=f"fix-{record.id}",
            icon=":material/build:",
            on_click=errors.attempt,
            args=(services.servers.start_fixed, record.id),
        )


def _wishes(services: Services, record: ServerRecord) -> None:
    if record.wish in ("running", "restarting"):
        label, icon, action = _("Stop"), ":material/stop_circle:", services.servers.stop
    else:
        label, icon, action = _("Start"), ":material/play_circle:", services.servers.start
    st.button(label, key=f"word-wish-{record.id}", icon=icon, on_click=errors.attempt, args=(action, record.id))
    if record.state == "ready":
        again = (services.servers.restart, record.id)
        key = f"word-again-{record.id}"
        st.button(_("Restart"), key=key, icon=":material/restart_alt:", on_click=errors.attempt, args=again)


def _test(services: Services, record: ServerRecord) -> None:
    with st.spinner(_("Asking {name} to say one sentence…", name=record.name)):
        try:
            st.session_state[TESTED] = (record.id, services.servers.smoke_test(record.id))
        except AppError as error:
            st.session_state[TESTED] = (record.id, error)


def _shown_test(record: ServerRecord) -> None:
    tested, outcome = st.session_state.get(TESTED, ("", None))
    if tested != record.id:
        return
    if isinstance(outcome, AppError):
        remark(outcome.render(i18n.language()))
        return
    safe_text(outcome.answer)
    rate = outcome.tokens_per_second
    facts_line(
        Code(outcome.model),
        _("answered in {time}", time=milliseconds_text(outcome.latency_ms)),
        _("first word after {time}", time=milliseconds_text(outcome.first_token_ms)),
        _("{rate} tokens/s", rate=f"{rate:.1f}") if rate else None,
    )


def _models(services: Services, record: ServerRecord) -> None:
    @st.dialog(_("Models of this server"))
    def show() -> None:
        with errors.shown():
            for model in services.servers.models(record.id):
                st.code(model, language=None)

    show()


def _confirm(services: Services, record: ServerRecord) -> None:
    @st.dialog(_("Remove this server?"))
    def ask() -> None:
        with errors.shown():
            safe_text(record.name)
            if record.managed:
                safe_text(_("Its settings and its log are deleted; the model stays on the disk."), muted=True)
            else:
                safe_text(_("Only its address is forgotten; the server itself goes on."), muted=True)
            if st.button(_("Remove"), type="primary"):
                services.servers.remove(record.id)
                st.rerun()

    ask()


def add_dialog(services: Services) -> None:
    """Ask for a name and an address, and add the server; or lead to the form of one that runs here."""

    @st.dialog(_("Add a server"))
    def ask() -> None:
        if st.button(_("Run one on this machine"), icon=":material/memory:", width="stretch", key="add-here"):
            form.begin()
            st.rerun()
        safe_text(_("Or add one that runs already, by its address:"), muted=True)
        with errors.shown(), st.form("add-server", border=False):
            name = st.text_input(_("Name"), max_chars=80, placeholder=_("for example: GPU box"))
            url = st.text_input(
                _("Address"),
                placeholder="http://127.0.0.1:8000/v1",
                help=_("Of any OpenAI-compatible server: vLLM, Ollama, llama.cpp, LM Studio, a cloud service."),
            )
            model = st.text_input(_("Model"), help=_("Empty: the first one that the server lists."))
            key = st.text_input(_("API key"), type="password", help=_("Only if the server wants one."))
            if st.form_submit_button(_("Add"), type="primary"):
                services.servers.add_remote(name, url, api_key=key, model=model)
                st.rerun()

    ask()
