"""What a person says in words about how to answer."""

from __future__ import annotations

import pytest

from services.chat.wording import said

BASES = {"b1": "Handbook 2024", "b2": "员工手册"}


@pytest.mark.parametrize(
    ("question", "mode", "rest"),
    [
        ("look in the handbook: how many days of leave?", "knowledge", "how many days of leave?"),
        ("How many days? Look in the documents.", "knowledge", "How many days?"),
        ("What do our documents say about pumps?", "knowledge", "What do our documents say about pumps?"),
        ("How long is the warranty according to the manual?", "knowledge", "How long is the warranty?"),
        ("Search the knowledge base for holidays", "knowledge", "holidays"),
        ("look it up in the manual", "knowledge", ""),
        ("查一下知识库，保修期多长？", "knowledge", "保修期多长？"),
        ("保修期多长？查一下知识库", "knowledge", "保修期多长？"),
        ("根据文档，保修期多长？", "knowledge", "保修期多长？"),
        ("翻一下手册", "knowledge", ""),
        ("don't use the documents, what is a pump?", "chat", "what is a pump?"),
        ("What is a pump? Please don’t search the files.", "chat", "What is a pump?"),
        ("answer without documents: why?", "chat", "answer without documents: why?"),
        ("不要查文档，直接回答什么是水泵", "chat", "直接回答什么是水泵"),
        ("别用知识库", "chat", ""),
    ],
)
def test_understands_where_an_answer_is_wanted_from(question: str, mode: str, rest: str) -> None:
    understood = said(question, BASES)
    assert understood is not None and (understood.mode, understood.rest) == (mode, rest)
    assert understood.words in question


@pytest.mark.parametrize(
    "question",
    [
        "What is a document?",
        "How do I look in the mirror?",
        "How can I search the files on my disk?",
        "Where do people find files?",
        "What files are in the folder?",
        "怎么查文档的大小？",
        "他看文件了吗",
        "手册是什么意思？",
    ],
)
def test_a_question_that_only_speaks_of_documents_says_nothing(question: str) -> None:
    assert said(question, BASES) is None


@pytest.mark.parametrize(
    ("question", "base"),
    [
        ("Search handbook 2024 for holidays", "b1"),
        ("在员工手册里查一下年假", "b2"),
        ("look in the Handbook 2024", "b1"),
    ],
)
def test_a_base_is_called_by_its_name(question: str, base: str) -> None:
    understood = said(question, BASES)
    assert understood is not None and understood.base_ids == (base,)
