"""A file behind an http(s) address that the user has named, loaded so that a broken load goes on where it was."""

from __future__ import annotations

from pathlib import Path

import httpx

from services.core.errors import DownloadFailed
from services.core.i18n import N_
from services.hub import files
from services.hub.progress import Cancelled, Interrupted, Report

TIMEOUT_S = 30.0
_CHUNK = 1 << 20
PARTIAL, RANGE_IGNORED, RANGE_PASSED = 206, 200, 416


def load(url: str, path: Path, disk_usage: files.DiskUsage, cancelled: Cancelled, report: Report) -> None:
    """Load the file at `url` to `path`, which appears only when it is whole.

    Raises: DownloadFailed, DiskFull, Interrupted.
    """
    draft, version = path.with_suffix(".part"), path.with_suffix(".version")
    headers = {"Accept-Encoding": "identity"}
    if draft.exists() and version.exists():
        headers |= {"Range": f"bytes={draft.stat().st_size}-", "If-Range": version.read_text("utf-8")}
    try:
        with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT_S, follow_redirects=True) as reply:
            if reply.status_code == RANGE_PASSED:
                draft.unlink(missing_ok=True)
            reply.raise_for_status()
            _receive(reply, draft, version, disk_usage, cancelled, report)
    except httpx.HTTPStatusError as error:
        raise DownloadFailed(name=url, reason=f"HTTP {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadFailed(name=url, reason=str(error) or type(error).__name__) from error
    if not files.is_gguf(draft):
        draft.unlink()
        raise DownloadFailed(name=url, reason=N_("it is not a GGUF file"))
    version.unlink(missing_ok=True)
    draft.replace(path)


def _receive(
    reply: httpx.Response, draft: Path, version: Path, disk_usage: files.DiskUsage, cancelled: Cancelled, report: Report
) -> None:
    known = draft.stat().st_size if reply.status_code == PARTIAL else 0
    length = reply.headers.get("content-length", "")
    total = known + int(length) if length.isdigit() else None
    files.make_room(draft.parent, (total or 0) - known, disk_usage)
    # Without a strong version nothing says that the rest belongs to the same file.
    tag = reply.headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        version.write_text(tag, "utf-8")
    else:
        version.unlink(missing_ok=True)
    with files.written(draft, total or 0), draft.open("r+b" if known else "wb") as file:
        file.seek(known)
        for chunk in reply.iter_bytes(_CHUNK):
            if cancelled():
                raise Interrupted
            file.write(chunk)
            known += len(chunk)
            report(known, total, "")
        files.settle(file)
    if total is not None and known != total:
        raise DownloadFailed(name=draft.name, reason=N_("it ended too early"))
