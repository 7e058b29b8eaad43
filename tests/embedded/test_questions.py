"""The embedded model answers questions about the sample documents: `make test-embedded`.

Everything runs as a user runs it: `up`, `kb`, `ask`, with real processes. The home below build/ is kept, so that the
model is fetched once.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.knowledge.samples import sample_files

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "embedded-home"
BASE = "samples"
FETCH_S = 45 * 60
NEEDED = 9

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(FETCH_S + 1800)]


@dataclass(frozen=True)
class Case:
    """A question, what its answer must contain, and the document it stands in (None: nowhere)."""

    question: str
    answer: str
    document: str | None


CASES = (
    Case("How long must a password be?", r"14", "it-security-faq.md"),
    Case("What is the limit for a hotel night abroad?", r"180", "employee-handbook.docx"),
    Case("What does error code E07 of the Hydra 200 mean?", r"(?i)no flow|blocked|worn", "hydra-200-manual.pdf"),
    Case("What does a pH electrode cost?", r"148", "spare-parts.csv"),
    Case("Which version of Hydra Studio ended support for the Hydra 90?", r"4\.1", "release-notes.html"),
    Case("Who painted the picture in the entrance hall?", r"documents do not say", None),
    Case("酸碱溅入眼睛后要冲洗多长时间？", r"15\s*分钟", "实验室安全规范.txt"),
    Case("连续病假几天以上需要提交诊断证明？", r"3\s*天|三天", "员工休假制度.docx"),
    Case("BL-80 断电后备用电池可以工作多久？", r"6\s*小时|六小时", "设备维护手册.pdf"),
    Case("婚假有多少天？", r"13\s*天", "员工休假制度.docx"),
    Case("单个实验室易燃液体的存放总量不得超过多少升？", r"50\s*升", "实验室安全规范.txt"),
    Case("公司食堂几点开门？", r"文档中没有说明", None),
)


def lectern(*words: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "services", "--json", *words],
        cwd=ROOT,
        env={**os.environ, "LECTERN_HOME": str(HOME)},
        capture_output=True,
        text=True,
    )
    return json.loads(run.stdout) if run.returncode == 0 else json.loads(run.stderr)


@pytest.fixture(scope="module")
def running() -> Iterator[None]:
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "up.out").open("w") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "services", "up"],
            cwd=ROOT,
            env={**os.environ, "LECTERN_HOME": str(HOME)},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + FETCH_S
        while not any(server["state"] == "ready" for server in lectern("status")["servers"]):
            assert up.poll() is None, (HOME / "up.out").read_text()
            assert time.monotonic() < deadline, lectern("status")
            time.sleep(3)
        if BASE not in [base["name"] for base in lectern("kb", "list")]:
            lectern("kb", "create", BASE)
        rows = lectern("kb", "add", BASE, *map(str, sample_files()), "--wait")
        assert {row["state"] for row in rows} == {"ready"}, rows
        yield
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)


def test_most_answers_are_right_and_cite_the_right_document(running: None) -> None:
    good = 0
    for case in CASES:
        row = lectern("ask", BASE, case.question)
        answer = row.get("answer", row.get("message", ""))
        cited = {citation["document"] for citation in row.get("citations", [])}
        right = re.search(case.answer, answer) is not None
        sourced = case.document in cited if case.document else not cited
        good += right and sourced
        marks = f"{'right' if right else 'WRONG':5}  {'cited' if sourced else 'UNCITED':7}"
        seconds = row.get("timings_ms", {}).get("total", 0) / 1000
        print(f"{marks}  {seconds:5.1f} s  {case.question}\n    {' '.join(answer.split())}  {sorted(cited)}")
    print(f"right and cited: {good} of {len(CASES)}")
    assert good >= NEEDED
