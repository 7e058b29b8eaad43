"""ModelScope, over its official client modelscope-hub."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.core.errors import AppError, HashMismatch
from services.core.hub_errors import HubUnreachable, LoadingFailed, ModelGated, ModelNotFound, TokenRefused
from services.core.i18n import N_
from services.core.phrases import phrase
from services.hub import files
from services.hub.sources.protocol import Address, Remote, RemoteFile

if TYPE_CHECKING:
    from modelscope_hub import HubApi

SCRATCH = ".modelscope"
"""Where the client keeps its locks while it loads."""


class ModelScope:
    """modelscope.cn, or an installation of one's own."""

    def look(self, address: Address, repository: str, revision: str | None) -> Remote:
        """What a model consists of."""
        with tempfile.TemporaryDirectory(prefix="lectern-") as scratch, _gate(address, repository):
            listed = _client(address, Path(scratch)).list_repo_files(repository, "model", revision=revision)
        found = [RemoteFile(one.path, one.size, sha256=one.sha256) for one in listed if not one.is_dir]
        if not found:
            raise ModelNotFound(place=address.place, name=repository)
        return Remote(repository, revision or "master", tuple(found))

    def load(self, address: Address, remote: Remote, file: RemoteFile, into: Path) -> None:
        """Load one file; the client resumes it, checks its hash and moves it into place."""
        with files.written(into / file.path, file.bytes or 0), _gate(address, remote.repository, file):
            _client(address, into / SCRATCH).download_file(
                remote.repository,
                "model",
                file.path,
                revision=remote.revision,
                local_dir=into,
                cache_dir=into / SCRATCH,
                expected_sha256=file.sha256,
                file_size=file.bytes,
            )


def _client(address: Address, scratch: Path) -> HubApi:
    from modelscope_hub import HubApi, HubConfig, _download

    # Parts that are loaded side by side are thrown away when it is interrupted; one stream goes on.
    _download.DOWNLOAD_PARALLELS = 1  # type: ignore[attr-defined]
    folder = scratch.absolute()
    return HubApi(HubConfig(endpoint=address.url, token=address.token, cache_dir=folder, config_dir=folder))


@contextmanager
def _gate(address: Address, repository: str, file: RemoteFile | None = None) -> Iterator[None]:
    from modelscope_hub import errors

    try:
        yield
    except AppError:
        raise
    except errors.FileIntegrityError as error:
        # The client has discarded it, and says no more of what it found than a part of its hash.
        expected = file.sha256 if file and file.sha256 else "?"
        name = file.path if file else repository
        raise HashMismatch(name=name, found=phrase(N_("another one")), expected=expected) from error
    except errors.NotExistError as error:
        raise ModelNotFound(place=address.place, name=repository) from error
    except errors.AuthenticationError as error:
        raise TokenRefused(place=address.place, name=repository) from error
    except errors.PermissionDeniedError as error:
        raise ModelGated(name=repository, url=f"{address.url}/models/{repository}") from error
    except errors.NetworkError as error:
        raise HubUnreachable(place=address.place, url=address.url, reason=_first_line(error)) from error
    except errors.HubError as error:
        raise LoadingFailed(name=repository, place=address.place, reason=_first_line(error)) from error
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's: `files.written` knows it
        raise HubUnreachable(place=address.place, url=address.url, reason=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
