"""How a program asks a server: a few lines for each of the usual clients, with the server's own address and name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import streamlit as st

from services.serving.engines.registry import EMBEDDERS
from services.store.servers import ServerRecord
from ui import errors
from ui.i18n import _
from ui.widgets import safe_text

KEY = "YOUR_API_KEY"
QUESTION = "Good morning"
OPENAI = """from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
answer = client.chat.completions.create(model={model}, messages=[{{"role": "user", "content": {question}}}])
print(answer.choices[0].message.content)"""
LANGCHAIN = """from langchain_openai import ChatOpenAI

chat = ChatOpenAI(base_url={url}, api_key={key}, model={model})
print(chat.invoke({question}).content)"""
OLLAMA = """from langchain_ollama import ChatOllama

chat = ChatOllama(base_url={root}, model={model})
print(chat.invoke({question}).content)"""
VECTORS = """from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
print(client.embeddings.create(model={model}, input=[{question}]).data[0].embedding)"""


def snippets(record: ServerRecord) -> Mapping[str, str]:
    """Source code by the name of its client. The key is never the real one."""
    url = str(record.url)
    words = {"url": url, "root": url.removesuffix("/v1"), "model": record.model, "key": KEY, "question": QUESTION}
    quoted = {name: json.dumps(word, ensure_ascii=False) for name, word in words.items()}
    if record.engine in EMBEDDERS:
        path, body = ("rerank", {"query": QUESTION, "documents": [QUESTION, "Good night"]})
        if record.spec.get("task") != "rerank":
            path, body = "embeddings", {"input": [QUESTION]}
            found = {"openai": VECTORS.format(**quoted)}
        else:
            found = {}
        return {**found, "curl": _curl(record, f"{url}/{path}", body)}
    found = {"openai": OPENAI.format(**quoted), "LangChain": LANGCHAIN.format(**quoted)}
    if record.engine == "ollama":
        found["ChatOllama"] = OLLAMA.format(**quoted)
    return {**found, "curl": _curl(record, f"{url}/chat/completions", {"messages": [_message()]})}


def dialog(record: ServerRecord) -> None:
    """Show them, each to be copied."""

    @st.dialog(_("Ask it from a program"), width="large")
    def show() -> None:
        with errors.shown():
            found = snippets(record)
            for tab, (client, source) in zip(st.tabs(list(found)), found.items(), strict=True):
                tab.code(source, language="bash" if client == "curl" else "python", wrap_lines=True)
            keyed = bool(record.spec.get("api_key"))
            told = _("Put the server's API key in the place of {key}.", key=KEY)
            safe_text(told if keyed else _("It wants no API key: any word will do."), muted=True)

    show()


def _message() -> dict[str, str]:
    return {"role": "user", "content": QUESTION}


def _curl(record: ServerRecord, address: str, body: Mapping[str, object]) -> str:
    sent = json.dumps({"model": record.model, **body}, ensure_ascii=False)
    key = f' -H "Authorization: Bearer {KEY}"' if record.spec.get("api_key") else ""
    return f'curl {shlex.quote(address)} -H "Content-Type: application/json"{key} \\\n  -d {shlex.quote(sent)}'
