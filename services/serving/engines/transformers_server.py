"""`transformers serve` for one model, under a name of its own. Run by the Python of the engine's environment.

By itself that program knows its model by its whole path only, and lists what lies in the hub's cache instead of it.
Imports nothing of Lectern: this environment has none of its packages.
"""

from __future__ import annotations

import sys
from typing import Any

NAME = "--served-model-name"


def main(argv: list[str]) -> None:
    """Serve until SIGTERM.

    Args:
        argv: the name's flag and the name, then the model and whatever `transformers serve` takes.
    """
    if len(argv) < 3 or argv[0] != NAME:
        sys.exit(f"usage: transformers_server.py {NAME} NAME MODEL [options of transformers serve]")
    from transformers.cli.transformers import app

    _serve_as(argv[1], argv[2])
    # Not its `main`, which would first ask the package index for a newer version.
    app(["serve", *argv[2:]], prog_name="transformers")


def _serve_as(name: str, model: str) -> None:
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.cli.serving.utils import BaseHandler

    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "transformers"}]
    ModelManager.get_gen_models = staticmethod(lambda cache_dir=None: listed)
    resolve = BaseHandler._resolve_model

    def resolve_named(handler: Any, body: dict[str, Any]) -> Any:
        if body.get("model") == name:
            body["model"] = model
        return resolve(handler, body)

    BaseHandler._resolve_model = resolve_named


if __name__ == "__main__":
    main(sys.argv[1:])
