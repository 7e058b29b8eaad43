"""Logging: one rotating file for each process below LECTERN_HOME/logs, and an id that leads from page to line."""

from __future__ import annotations

import logging
import secrets
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"
QUIET = ("httpx", "httpx2", "httpcore", "openai", "alembic", "watchdog", "dbos", "asyncio")


def configure(logs: Path, process: str, *, to_stderr: bool = False) -> None:
    """Send this process's records to `logs/<process>.log` (5 files of 5 MB), and to stderr where it is asked for."""
    handlers: list[logging.Handler] = [
        RotatingFileHandler(logs / f"{process}.log", maxBytes=5_000_000, backupCount=4, encoding="utf-8", delay=True)
    ]
    if to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.basicConfig(level=logging.INFO, format=FORMAT, handlers=handlers, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def incident(logger: logging.Logger, error: BaseException, where: str) -> str:
    """Log an unforeseen error with its traceback under a new id, and return the id for the reader."""
    number = secrets.token_hex(4)
    logger.error("[%s] %s: %r", number, where, error, exc_info=error)
    return number
