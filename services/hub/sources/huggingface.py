"""Hugging Face and its mirrors, over huggingface_hub.

`hf_hub_download` of that library begins a file anew after a kill (it names each draft at random); its `http_get`, which
does the transfer, goes on at any byte. So the draft is ours and the transfer is the library's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from services.core.errors import AppError, HashMismatch, InvalidValue
from services.core.hub_errors import HubUnreachable, LoadingFailed, ModelGated, ModelNotFound, TokenRefused
from services.core.i18n import N_
from services.hub import files
from services.hub.sources.protocol import Address, Remote, RemoteFile

STEP_BYTES = 1 << 20
"""What is received before it is written: so much a kill may cost."""
LOOK_TIMEOUT_S = 20.0
DRAFT = ".part"


class HuggingFace:
    """huggingface.co, or whatever speaks like it."""

    def look(self, address: Address, repository: str, revision: str | None) -> Remote:
        """What a model consists of."""
        from huggingface_hub import HfApi

        _prepared()
        with _gate(address, repository, revision):
            api = HfApi(endpoint=address.url, token=address.token or False, library_name="lectern")
            told = api.model_info(repository, revision=revision, files_metadata=True, timeout=LOOK_TIMEOUT_S)
            found = [
                RemoteFile(
                    one.rfilename,
                    one.size,
                    sha256=one.lfs.sha256 if one.lfs else None,
                    git_sha1=None if one.lfs else one.blob_id,
                )
                for one in told.siblings or []
            ]
        card: Any = told.card_data or {}
        licence = card.get("license_name") or card.get("license")
        return Remote(repository, told.sha or revision or "main", tuple(found), str(licence) if licence else None)

    def load(self, address: Address, remote: Remote, file: RemoteFile, into: Path) -> None:
        """Load one file."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils._headers import build_hf_headers

        _prepared()
        path = into / file.path
        draft = path.with_name(path.name + DRAFT)
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.written(draft, file.bytes or 0), _gate(address, remote.repository, remote.revision):
            url = hf_hub_url(remote.repository, file.path, revision=remote.revision, endpoint=address.url)
            headers = build_hf_headers(token=address.token or False, library_name="lectern")
            with draft.open("ab", buffering=0) as target:
                if file.bytes is not None and target.tell() > file.bytes:
                    target.truncate(0)
                    target.seek(0)
                begin = target.tell()
                http_get(url, target, resume_size=begin, headers=headers, expected_size=file.bytes)
                files.settle(target)
        check(draft, file)
        draft.replace(path)


def check(draft: Path, file: RemoteFile) -> None:
    """Compare what has arrived with what the hub says of it; what is wrong is discarded. Raises: HashMismatch."""
    if file.sha256:
        files.check(draft, file.sha256, lambda: False)
    elif file.git_sha1:
        content = draft.read_bytes()
        # Git names a blob by the SHA-1 of its length and content.
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        if found != file.git_sha1:
            draft.unlink()
            raise HashMismatch(name=file.path, found=found, expected=file.git_sha1)


def _prepared() -> None:
    """What the library would take from the environment of whoever started Lectern."""
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    constants.HF_HUB_OFFLINE = False  # who wishes for a download wants the network
    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True
    constants.DOWNLOAD_CHUNK_SIZE = STEP_BYTES
    disable_progress_bars()


@contextmanager
def _gate(address: Address, repository: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except AppError:
        raise
    except errors.GatedRepoError as error:
        raise ModelGated(name=repository, url=f"{address.url}/{repository}") from error
    except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise ModelNotFound(place=address.place, name=f"{repository}@{revision or 'main'}") from error
    except errors.HfHubHTTPError as error:
        raise _refusal(error.response.status_code, address, repository) from error
    except (errors.HFValidationError, httpx2.InvalidURL) as error:
        raise InvalidValue(field=N_("model"), value=repository, reason=N_("it is no name of a model")) from error
    except (httpx2.HTTPError, errors.OfflineModeIsEnabled) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise HubUnreachable(place=address.place, url=address.url, reason=reason) from error
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's: `files.written` knows it
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise LoadingFailed(name=repository, place=address.place, reason=reason) from error


def _refusal(status: int, address: Address, repository: str) -> AppError:
    if status == 401:
        return TokenRefused(place=address.place, name=repository)
    if status == 403:
        return ModelGated(name=repository, url=f"{address.url}/{repository}")
    if status == 404:
        return ModelNotFound(place=address.place, name=repository)
    return LoadingFailed(name=repository, place=address.place, reason=f"HTTP {status}")
