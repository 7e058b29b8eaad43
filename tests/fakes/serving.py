"""An ASGI application on a loopback port, in a thread of this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette


def serving(application: Starlette, port: int) -> tuple[int, Callable[[], None]]:
    """Serve from now on; the port, and what ends it: what was asked and not answered breaks.

    Args:
        port: 0: a free one.
    """
    listening = socket.create_server(("127.0.0.1", port))
    listening.set_inheritable(False)
    runner = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()

    def stop() -> None:
        runner.should_exit = runner.force_exit = True
        thread.join(timeout=10)
        listening.close()

    return listening.getsockname()[1], stop
