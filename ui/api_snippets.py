"""How a program asks a knowledge base or a server: a few lines for each of the usual clients, to be copied.

The address is that of Lectern's API as this reader's browser reaches it; a key is never a real one.
"""

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
_OPENAI = """from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
answer = client.chat.completions.create(model={model}, messages=[{{"role": "user", "content": {question}}}])
print(answer.choices[0].message.content)"""
_CITATIONS = """
for citation in answer.lectern["citations"]:
    print(citation["marker"], citation["document"], citation["page"])"""
_LANGCHAIN = """from langchain_openai import ChatOpenAI

chat = ChatOpenAI(base_url={url}, api_key={key}, model={model})
print(chat.invoke({question}).content)"""
_OLLAMA_OF_LECTERN = """from langchain_ollama import ChatOllama

headers = {{"Authorization": "Bearer " + {key}}}
chat = ChatOllama(base_url={root}, model={model}, client_kwargs={{"headers": headers}})
print(chat.invoke({question}).content)"""
_OLLAMA = """from langchain_ollama import ChatOllama

chat = ChatOllama(base_url={root}, model={model})
print(chat.invoke({question}).content)"""
_VECTORS = """from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
print(client.embeddings.create(model={model}, input=[{question}]).data[0].embedding)"""


def address() -> str:
    """The API as this reader's browser reaches it."""
    seen = urlsplit(st.context.url or "http://127.0.0.1:8501")
    return f"{seen.scheme}://{seen.netloc}/v1"


def base_snippets(base: BaseRecord, url: str, question: str) -> Mapping[str, str]:
    """What asks, searches and fills a knowledge base, by the name of its client."""
    sources = chat_snippets(url, BASE + base.name, question)
    return {
        **sources,
        "openai": sources["openai"] + _CITATIONS,
        _("Search"): curl(f"{url}/knowledge_bases/{base.id}/search", {"query": question, "top_k": 5}),
        _("Add a file"): curl(f"{url}/knowledge_bases/{base.id}/documents", None),
    }


def chat_snippets(url: str, model: str, question: str) -> dict[str, str]:
    """What asks a model of Lectern's API a question, by the name of its client."""
    sources = {"openai": _OPENAI, "LangChain": _LANGCHAIN, "ChatOllama": _OLLAMA_OF_LECTERN}
    return _asking(sources, url, model, question, keyed=True)


def direct_snippets(url: str, model: str, question: str, *, keyed: bool, ollama: bool) -> dict[str, str]:
    """What asks a server itself a question, by the name of its client."""
    sources = {"openai": _OPENAI, "LangChain": _LANGCHAIN} | ({"ChatOllama": _OLLAMA} if ollama else {})
    return _asking(sources, url, model, question, keyed=keyed)


def vector_snippets(url: str, model: str, text: str, *, keyed: bool = True) -> dict[str, str]:
    """What makes a vector of a text, by the name of its client."""
    sent = curl(f"{url}/embeddings", {"model": model, "input": [text]}, keyed=keyed)
    return {**_filled({"openai": _VECTORS}, url, model, text), "curl": sent}


def curl(url: str, body: Mapping[str, object] | None, *, keyed: bool = True) -> str:
    """A request as a command of a shell; without a body, of a file."""
    head = f"curl {shlex.quote(url)}" + (f' -H "Authorization: Bearer {KEY}"' if keyed else "") + " \\\n  "
    if body is None:
        return head + "-F file=@report.pdf"
    return head + f'-H "Content-Type: application/json" -d {shlex.quote(json.dumps(body, ensure_ascii=False))}'


def dialog(base: BaseRecord) -> None:
    """Show those of a knowledge base."""

    @st.dialog(_("Ask it from a program"), width="large")
    def show() -> None:
        with errors.shown():
            draw(base_snippets(base, address(), _("How many days of leave are there?")))
            key_of_lectern()

    show()


def draw(found: Mapping[str, str]) -> None:
    """One tab for each client."""
    for tab, source in zip(st.tabs(list(found)), found.values(), strict=True):
        tab.code(source, language="bash" if source.startswith("curl") else "python", wrap_lines=True)


def key_of_lectern() -> None:
    """Say which key Lectern's API wants."""
    safe_text(_("Put a key of the Settings page in the place of {key}.", key=KEY), muted=True)
    safe_text(_("On this machine any word will do until the first key is made."), muted=True)


def _asking(sources: Mapping[str, str], url: str, model: str, question: str, *, keyed: bool) -> dict[str, str]:
    asked = {"model": model, "messages": [{"role": "user", "content": question}]}
    sent = curl(f"{url}/chat/completions", asked, keyed=keyed)
    return {**_filled(sources, url, model, question), "curl": sent}


def _filled(sources: Mapping[str, str], url: str, model: str, text: str) -> dict[str, str]:
    words = {"url": url, "root": url.removesuffix("/v1"), "model": model, "key": KEY, "question": text}
    quoted = {name: json.dumps(word, ensure_ascii=False) for name, word in words.items()}
    return {client: source.format(**quoted) for client, source in sources.items()}
