"""llama.cpp, as the server inside the xllamacpp package."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from services.serving.engines.protocol import LaunchCommand
from services.serving.spec import LlamaCppSpec


class LlamaCpp:
    """Runs `llamacpp_server`, our few lines around xllamacpp, in a process of its own."""

    key = "llama.cpp"

    def launch(self, spec: Mapping[str, Any], port: int) -> LaunchCommand:
        """How a GGUF file is served. Raises: InvalidValue."""
        chosen, cores = LlamaCppSpec.of(spec), os.cpu_count() or 1
        options = {
            "model": chosen.model_path,
            "alias": chosen.served_model_name,
            "host": "127.0.0.1",
            "port": port,
            "context": chosen.context,
            "parallel": chosen.parallel,
            # Writing an answer leaves a core to the pages; reading the prompt is what people wait for.
            "threads": chosen.threads or max(1, cores - 1),
            "prompt-threads": chosen.threads or cores,
        }
        program = [sys.executable, "-m", "services.serving.engines.llamacpp_server"]
        return LaunchCommand(program + [part for key, value in options.items() for part in (f"--{key}", str(value))])
