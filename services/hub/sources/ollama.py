"""`ollama pull`, by the Ollama server: it loads, checks and keeps the model itself."""

from __future__ import annotations

from collections.abc import Callable

from services.core.hub_errors import HubUnreachable, LoadingFailed, ModelNotFound
from services.hub.sources.protocol import Address


def pull(address: Address, name: str, report: Callable[[int, int | None, str], None]) -> None:
    """Have a model pulled; a pull that was broken off goes on.

    Args:
        report: is told the bytes that are there, all of them as far as known, and what the server is doing.

    Raises: HubUnreachable, ModelNotFound, LoadingFailed.
    """
    import httpx
    import ollama

    # Only the server that was chosen: no proxy of the environment, and no redirect.
    client = ollama.Client(host=address.url, trust_env=False, follow_redirects=False)
    layers: dict[str, tuple[int, int]] = {}
    try:
        for step in client.pull(name, stream=True):
            if step.digest and step.total:
                layers[step.digest] = (step.completed or 0, step.total)
            done, total = (sum(part) for part in zip(*layers.values(), strict=True)) if layers else (0, None)
            report(done, total, step.status or "")
    except ollama.ResponseError as error:
        if error.status_code == 404 or "file does not exist" in error.error:
            raise ModelNotFound(place=address.place, name=name) from error
        raise LoadingFailed(name=name, place=address.place, reason=error.error[:300]) from error
    except (ConnectionError, httpx.HTTPError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise HubUnreachable(place=address.place, url=address.url, reason=reason) from error
