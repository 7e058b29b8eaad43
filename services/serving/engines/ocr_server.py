"""Reads text in pictures: a path a line on stdin, a JSON line on stdout: [[text, [left, top, right, bottom]], …].

Run by the Python of the environment `ocr`. Imports nothing of Lectern. Its models lie in the package: it needs no
network, and takes it from itself.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

DENIED = ("socket.__new__", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty")
LEAST_SCORE = 0.5


def main() -> None:
    """Answer until stdin is closed."""
    os.nice(5)
    from rapidocr import RapidOCR  # type: ignore[import-not-found]

    logging.disable(logging.CRITICAL)
    threads = max(1, (os.cpu_count() or 2) - 1)
    engine = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": threads})
    sys.addaudithook(_deny)
    with os.fdopen(1, "w", encoding="utf-8") as answers:
        for line in sys.stdin:
            answers.write(json.dumps(_read(engine, line.rstrip("\n"))) + "\n")
            answers.flush()


def _read(engine: Any, path: str) -> list[tuple[str, list[float]]]:
    try:
        found = engine(path)
    except Exception as error:  # noqa: BLE001 - a picture that cannot be read has no text
        sys.stderr.write(f"{path}: {type(error).__name__}: {error}\n")
        return []
    if found.boxes is None or found.txts is None:
        return []
    height, width = found.img.shape[:2]
    return [
        (text, [min(c[0] for c in box) / width, min(c[1] for c in box) / height,
                max(c[0] for c in box) / width, max(c[1] for c in box) / height])
        for text, box, score in zip(found.txts, found.boxes.tolist(), found.scores, strict=True)
        if score >= LEAST_SCORE
    ]  # fmt: skip


def _deny(event: str, _: tuple[Any, ...]) -> None:
    if event in DENIED:
        raise PermissionError(f"text recognition may not do this: {event}")


if __name__ == "__main__":
    main()
