"""Every piece that pages are made of, with hostile texts, on one page: what the browser tests look at."""

import altair as alt
import pandas as pd
import streamlit as st

from services.core.errors import BaseNotFound
from ui import citations, errors, frame, widgets


@st.dialog("Remove?")
def dialog() -> None:
    """A dialog lies outside of the page."""
    widgets.safe_text("Nothing is lost.", muted=True)


HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script> ![x](http://blocked.example/a.png)'

with frame.page("Gallery"):
    click = citations.clicked()
    if click:
        st.session_state["open"] = (click.answer, click.number)
    opened = st.session_state.get("open")

    with citations.beside(sources=True, opened=opened is not None) as (main, aside):
        with main:
            citations.answer(
                "A returned item is refunded within 14 days [1], for about ~$5 or ~$6 [2]. 退货须附发票。[3]\n\n"
                "- one\n- two\n\n```python\nrows[1]\n```\n\n![tracker](http://blocked.example/answer.png)",
                key="turn-7",
                titles={1: "Handbook.pdf · page 4", 2: 'A "quoted" [name](x).pdf', 3: "手册.docx"},
            )
            st.text(f"opened: {opened}")
        with aside:
            if opened:
                citations.passage_panel(
                    HOSTILE, 4, "Returns > Refunds", "Before the passage. ", f"The passage. {HOSTILE}", " After it."
                )
                if st.button("Close", key="close"):
                    del st.session_state["open"]
                    st.rerun()

    widgets.cards(
        [
            widgets.Card("Documents", 1_284, "3 failed"),
            widgets.Card("Search", "38 ms", "median of 100"),
            widgets.Card("Worker", "", "process 4711", state="ready"),
            widgets.Card("GPU memory", None),
        ]
    )
    for name, state in (("Qwen2.5 1.5B", "ready"), ("bge-m3", "starting"), (HOSTILE, "failed"), ("手册", "stopped")):
        with widgets.row(name, ["vLLM", "port 9001", None, HOSTILE], state):
            st.button("Stop", key=f"stop-{state}")
            st.button("Logs", key=f"logs-{state}")
    st.segmented_control("Range", ["1 h", "1 d"], default="1 h", key="range")
    widgets.progress_row("Reading handbook.pdf", 320, 1400, "pages", 12.4, 87_000)
    widgets.mono("Qwen/Qwen2.5-8x7b-Instruct")
    widgets.safe_text(HOSTILE, muted=True)
    for error in (BaseNotFound(name=HOSTILE), RuntimeError("a bug")):
        errors.show(error)
    if widgets.empty_state("No knowledge base yet", "Create one and drop files in.", "Create", key="first"):
        st.text("pressed")
    st.button("Failing callback", on_click=errors.attempt, args=({}.__getitem__, "missing"))
    figures = pd.DataFrame({"second": range(8), "GiB": [3, 4, 4.5, 6, 6, 5, 7, 7.2]})
    st.altair_chart(
        alt.Chart(figures).mark_line().encode(x="second:Q", y=alt.Y("GiB:Q", scale=alt.Scale(domain=[0, 8])))
    )
    st.dataframe(figures, hide_index=True)
    uploaded = st.file_uploader("Files", accept_multiple_files=True)
    st.text(f"uploaded: {[file.name for file in uploaded]}")
    st.button("Open a dialog", on_click=dialog)
    if st.toggle("Remote image"):
        st.markdown("![x](http://blocked.example/page.png)")
