"""Compile the double; which library a process gets, and which scenario it plays."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pynvml

HERE = Path(__file__).parent
FILE_NAME = "libnvidia-ml.so.1"
SCENARIO_VARIABLE = "NVML_DOUBLE_SCENARIO"
CURRENT_BRANCH = 580


class NoCompiler(Exception):
    """There is no `cc` to compile the double with."""


@dataclass(frozen=True, slots=True)
class Double:
    """The compiled library of one driver branch."""

    library: Path

    def environment(self, scenario: Path) -> dict[str, str]:
        """What a child process needs in its environment to find the double and its scenario."""
        others = os.environ.get("LD_LIBRARY_PATH")
        search = f"{self.library.parent}:{others}" if others else str(self.library.parent)
        return {"LD_LIBRARY_PATH": search, SCENARIO_VARIABLE: str(scenario)}

    def bind(self, scenario: Path) -> None:
        """Make it this process's NVML, in place of another double or the real library."""
        os.environ[SCENARIO_VARIABLE] = str(scenario)
        pynvml.nvmlLib = ctypes.CDLL(str(self.library))
        pynvml._nvmlGetFunctionPointer_cache.clear()

    def release(self) -> None:
        """Let this process find its own NVML again, or none."""
        os.environ.pop(SCENARIO_VARIABLE, None)
        pynvml.nvmlLib = None
        pynvml._nvmlGetFunctionPointer_cache.clear()

    def calls(self, function: str) -> int:
        """How often this process called a function since it loaded the library."""
        return int(ctypes.CDLL(str(self.library)).nvml_double_calls(function.encode()))


def build(folder: Path, branch: int = CURRENT_BRANCH) -> Double:
    """The double of a driver branch, compiled once per folder.

    Branches differ in the functions that they lack: 430 knows no MIG and only the first record of a process, 470 the
    second one, 510 has today's; 535 filled a wider one; newer ones have today's names of temperature and event reasons.

    Raises: NoCompiler.
    """
    library = folder / str(branch) / FILE_NAME
    if not library.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            raise NoCompiler("there is no C compiler (cc); on Debian: apt-get install gcc libc6-dev")
        # Without a SONAME: once released, it is not what this process finds under the library's usual name.
        library.parent.mkdir(parents=True, exist_ok=True)
        made = library.with_suffix(f".{os.getpid()}")
        command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        command += [f"-DDRIVER_BRANCH={branch}", "-o", str(made)]
        command += [str(HERE / "double.c"), str(HERE / "scenario.c"), "-lpthread"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made.replace(library)
    return Double(library)
