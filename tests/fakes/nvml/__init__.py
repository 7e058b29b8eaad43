"""A double of libnvidia-ml.so.1: GPUs, processes and failures from a scenario, through pynvml's real ctypes path.

In a test, which shares its process's one double (fixtures `nvml_double` and `scenario` of tests/conftest.py):

    def test_something(scenario: ScenarioFile) -> None:
        scenario.write(Scenario(gpus=(Gpu(0, used=12 * GIB, processes=(Process(os.getpid(), 12 * GIB),)), Gpu(1))))
        ...                                                  # read
        scenario.write(Scenario(gpus=(Gpu(0), Gpu(1, error=GPU_IS_LOST))))
        ...                                                  # read again: the library sees the change at once

In a child process, such as the worker, gpustat or nvitop:

    subprocess.run([...], env={**os.environ, **nvml_double.environment(path_of_a_scenario)})

Without pytest, such as for screenshots or a benchmark:

    double = build(folder)                                   # compiles it once per folder and driver branch
    file = ScenarioFile(folder / "gpus.txt")
    file.write(Scenario(gpus=eight_gpus()))
    os.environ.update(double.environment(file.path))         # before a child starts; in-process: double.bind(file.path)
"""

from tests.fakes.nvml.build import Double, NoCompiler, build
from tests.fakes.nvml.scenario import (
    GIB,
    GPU_IS_LOST,
    UNAVAILABLE,
    Failure,
    Gpu,
    Mig,
    Process,
    Scenario,
    ScenarioFile,
    eight_gpus,
)

__all__ = [
    "GIB",
    "GPU_IS_LOST",
    "UNAVAILABLE",
    "Double",
    "Failure",
    "Gpu",
    "Mig",
    "NoCompiler",
    "Process",
    "Scenario",
    "ScenarioFile",
    "build",
    "eight_gpus",
]
