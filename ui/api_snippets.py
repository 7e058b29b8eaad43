"""How a program asks a knowledge base over the API, with the address at which the reader sees this page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

import streamlit as st

from services.api.served import BASE
from services.store.bases import BaseRecord
from ui import errors
from ui.i18n import _
from ui.widgets import safe_text

KEY = "YOUR_API_KEY"
OPENAI = """from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
answer = client.chat.completions.create(model={model}, messages=[{{"role": "user", "content": {question}}}])
print(answer.choices[0].message.content)
for citation in answer.lectern["citations"]:
    print(citation["marker"], citation["document"], citation["page"])"""
LANGCHAIN = """from langchain_openai import ChatOpenAI

chat = ChatOpenAI(base_url={url}, api_key={key}, model={model})
print(chat.invoke({question}).content)"""
OLLAMA = """from langchain_ollama import ChatOllama

headers = {{"Authorization": "Bearer " + {key}}}
chat = ChatOllama(base_url={root}, model={model}, client_kwargs={{"headers": headers}})
print(chat.invoke({question}).content)"""


def address() -> str:
    """The API as this reader's browser reaches it."""
    seen = urlsplit(st.context.url or "http://127.0.0.1:8501")
    return f"{seen.scheme}://{seen.netloc}/v1"


def snippets(base: BaseRecord, url: str, question: str) -> Mapping[str, str]:
    """Source code by the name of its client. The key is never a real one."""
    words = {"url": url, "root": url.removesuffix("/v1"), "model": BASE + base.name, "key": KEY, "question": question}
    quoted = {name: json.dumps(word, ensure_ascii=False) for name, word in words.items()}
    sources = {"openai": OPENAI, "LangChain": LANGCHAIN, "ChatOllama": OLLAMA}
    asked = {"model": words["model"], "messages": [{"role": "user", "content": question}]}
    return {
        **{client: source.format(**quoted) for client, source in sources.items()},
        "curl": _curl(f"{url}/chat/completions", asked),
        _("Search"): _curl(f"{url}/knowledge_bases/{base.id}/search", {"query": question, "top_k": 5}),
        _("Add a file"): _curl(f"{url}/knowledge_bases/{base.id}/documents", None),
    }


def dialog(base: BaseRecord) -> None:
    """Show them, each to be copied."""

    @st.dialog(_("Ask it from a program"), width="large")
    def show() -> None:
        with errors.shown():
            found = snippets(base, address(), _("How many days of leave are there?"))
            for tab, source in zip(st.tabs(list(found)), found.values(), strict=True):
                tab.code(source, language="bash" if source.startswith("curl") else "python", wrap_lines=True)
            safe_text(_("Put a key of the Settings page in the place of {key}.", key=KEY), muted=True)
            safe_text(_("On this machine any word will do until the first key is made."), muted=True)

    show()


def _curl(url: str, body: Mapping[str, object] | None) -> str:
    head = f'curl {shlex.quote(url)} -H "Authorization: Bearer {KEY}" \\\n  '
    if body is None:
        return head + "-F file=@report.pdf"
    return head + f'-H "Content-Type: application/json" -d {shlex.quote(json.dumps(body, ensure_ascii=False))}'
