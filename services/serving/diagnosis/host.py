"""Causes: the machine around the engine. Ports, packages, disks, limits, permissions, and the command line."""

from __future__ import annotations

from services.core.i18n import N_
from services.serving.diagnosis.causes import LIKELY, Advice, Cause, Found, Sign

_PACKAGES = {"PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml", "sklearn": "scikit-learn"}
"""Modules whose package has another name."""


def _next_port(found: Found) -> Advice:
    port = found.whole("port")
    if not port or not 0 < port < 65535:
        return Advice()
    if found.engine == "ollama":
        return Advice({"port": port}, {"OLLAMA_HOST": f"127.0.0.1:{port + 1}"})
    return Advice({"port": port}, {"--port": str(port + 1)})


def _smaller_cpu_cache(found: Found) -> Advice:
    """Half of what is available, where vLLM on a processor wanted more for its cache."""
    have = found.number("have")
    if have is None or have < 2 or "for kv" not in found.line.text:
        return Advice()
    return Advice(flags={"VLLM_CPU_KVCACHE_SPACE": str(int(have / 2))})


def _package(found: Found) -> Advice:
    module = str(found.params.get("package", "")).partition(".")[0]
    return Advice({"package": _PACKAGES.get(module, module)}) if module else Advice()


CAUSES = (
    Cause(
        "port_in_use",
        (N_("Port {port} is taken by another program."), N_("The port is taken by another program.")),
        (
            N_(
                "Choose another port, or end the program that holds this one (it may be an earlier start of "
                "this server)."
            ),
        ),
        (
            Sign(
                "address already in use",
                r"(?:\('[^']*', (?P<port>\d+)\)|listen \w+ \S*:(?P<tcp>\d+)|port["
                r" :=]+(?P<named>\d+)|:(?P<bare>\d{2,5})\b).{0,60}address already in use",
            ),
            Sign(
                "address already in use",
                r"(?:errno 98|error|bind|eaddrinuse|oserror|failed).{0,80}address already in use",
            ),
            Sign("eaddrinuse"),
            Sign("couldn't bind", r"couldn't bind (?:http )?server socket.{0,80}?(?:port[ :=]+(?P<port>\d+))?"),
            Sign("already in use", r"port (?P<port>\d+) is already in use"),
            Sign("only one usage of each socket address"),
        ),
        fatal=True,
        advise=lambda found: _next_port(_with_port(found)),
    ),
    Cause(
        "package_missing",
        (
            N_("The package {package} is not installed in the engine's environment."),
            N_("A package that the engine needs is not installed in its environment."),
        ),
        (
            N_("Install {package} into the engine's environment, or build the environment anew (`engine install`)."),
            N_("Build the engine's environment anew (`engine install`)."),
        ),
        (
            Sign("no module named", r"no module named ['\"]?(?P<package>[\w.]+)"),
            Sign("requires the", r"importerror: .{0,80}requires the (?P<package>[\w-]+) (?:library|package)"),
            Sign(
                "please install",
                r"(?:importerror|modulenotfounderror|runtimeerror|valueerror): .{0,160}please install"
                r" (?:the )?`?(?P<package>[\w-]+)",
            ),
            Sign(
                "pip install",
                r"(?:importerror|modulenotfounderror): .{0,200}pip install (?:-U |--upgrade"
                r" )?[`'\"]?(?P<package>[\w-]+)",
            ),
        ),
        advise=_package,
    ),
    Cause(
        "package_metadata_missing",
        (N_("The package {package} is not properly installed: its metadata are missing."),),
        (N_("Build the engine's environment anew (`engine install`)."),),
        (
            Sign("no package metadata was found for", r"no package metadata was found for [`'\"]?(?P<package>[\w.-]+)"),
            Sign("distributionnotfound", r"distributionnotfound: the '(?P<package>[\w.-]+)"),
        ),
    ),
    Cause(
        "package_versions_clash",
        (
            N_("Packages in the engine's environment do not fit together ({package})."),
            N_("Packages in the engine's environment do not fit together."),
        ),
        (N_("Build the engine's environment anew from its pinned packages (`engine install`)."),),
        (
            Sign(
                "cannot import name",
                r"cannot import name '\w+' from (?:partially initialized module )?'(?P<package>[\w]+)",
            ),
            Sign(
                "is required for a normal functioning",
                r"(?P<package>[\w-]+)[<>=!~].{0,60}is required for a normal functioning",
            ),
            Sign("numpy", r"(?:module compiled|compiled) (?:against|using) numpy"),
            Sign("operator torchvision::nms does not exist"),
            Sign("has no attribute", r"attributeerror: module '(?P<package>\w+)[\w.]*' has no attribute"),
        ),
        LIKELY,
    ),
    Cause(
        "shared_memory",
        (N_("The engine's processes share too little memory: /dev/shm is full or too small."),),
        (N_("In a container give it more (`--ipc=host` or `--shm-size 10g`); else free what fills /dev/shm."),),
        (
            Sign("bus error"),
            Sign("sigbus"),
            Sign("insufficient shared memory"),
            Sign("unable to open shared memory object"),
            Sign("unable to write to file </torch"),
            Sign("shm", r"(?:shm|shared memory).{0,60}no space left on device"),
        ),
        LIKELY + 0.2,
        fatal=True,
    ),
    Cause(
        "disk_full",
        (N_("The disk is full."),),
        (N_("Free some space on the disk that holds the models and caches, then start it again."),),
        (
            Sign("no space left on device", r"^(?!.*/?shm).*no space left on device"),
            Sign("not enough free disk space", quiet=False),
            Sign("disk quota exceeded"),
        ),
        fatal=True,
    ),
    Cause(
        "too_many_open_files",
        (N_("The engine may not open any more files."),),
        (N_("Raise the limit (`ulimit -n 65536`, or LimitNOFILE of the service) and start it again."),),
        (Sign("too many open files"),),
        fatal=True,
    ),
    Cause(
        "too_many_processes",
        (N_("The engine may not start any more threads or processes."),),
        (N_("Raise the limit (`ulimit -u`, or the container's pids limit), or lower OMP_NUM_THREADS."),),
        (
            Sign("can't start new thread"),
            Sign("pthread_create", r"pthread_create.{0,40}(?:failed|resource temporarily unavailable)"),
            Sign(
                "resource temporarily unavailable",
                r"(?:fork|thread|clone|blockingioerror).{0,60}resource temporarily unavailable",
            ),
        ),
    ),
    Cause(
        "permission_denied",
        (N_("The engine may not read or write {path}."), N_("The engine may not read or write a file that it needs.")),
        (N_("Give the user that runs the engine the right to that folder, or point the cache elsewhere (HF_HOME)."),),
        (
            Sign("permission denied", r"permission denied:? '(?P<path>[^']+)'"),
            Sign("permission denied", r"(?:open|mkdir|stat|unlink|access) (?P<path>/\S+?): permission denied"),
            Sign("permission denied", r"(?:errno 13|permissionerror|error|failed).{0,60}permission denied"),
            Sign("read-only file system", r"read-only file system(?:: '(?P<path>[^']+)')?"),
        ),
    ),
    Cause(
        "bad_option",
        (N_("The engine does not know the option {option}."), N_("The engine does not understand its command line.")),
        (N_("Remove the option, or correct its spelling; `--help` of this engine's version lists what it takes."),),
        (
            Sign("unrecognized arguments", r"unrecognized arguments: (?P<option>\S+)"),
            Sign("unknown argument", r"unknown argument: (?P<option>\S+)"),
            Sign("invalid argument", r"error: invalid argument: (?P<option>-\S+)"),
            Sign("no such option", r"no such option:? (?P<option>\S+)"),
            Sign("unknown flag", r"unknown flag: (?P<option>\S+)"),
            Sign("unknown shorthand flag"),
            Sign(
                "unexpected keyword argument",
                r"(?:engineargs|__init__\(\)).{0,40}unexpected keyword argument '(?P<option>\w+)'",
            ),
        ),
    ),
    Cause(
        "bad_option_value",
        (N_("The option {option} cannot have this value."), N_("An option has a value that it cannot have.")),
        (N_("Correct the value; the line above says what is allowed."),),
        (
            Sign("must be less than 1.0", r"(?P<option>(?:--)?gpu[-_ ]memory[-_ ]utilization)`? must be less than"),
            Sign("arguments are required", r"following arguments are required: (?P<option>\S+)"),
            Sign(
                "error: argument",
                r"error: argument (?P<option>-[\w/-]+(?:[ /,]+-[\w/-]+)*):? .{0,40}(?:invalid|expected|not allowed)",
            ),
            Sign("invalid choice", r"argument (?P<option>-\S+?): invalid choice"),
            Sign("error while handling argument", r'error while handling argument "(?P<option>[^"]+)"'),
            Sign("invalid value for", r"invalid value for '?(?P<option>-\S+?)'?[: ]"),
        ),
    ),
    Cause(
        "system_memory",
        (
            N_("The model needs {need} GiB of main memory, but only {have} are available."),
            N_("The machine's main memory is too small for this."),
        ),
        (N_("Use a smaller model, a smaller quantisation or a shorter context, or end other programs."),),
        (
            Sign(
                "requires more system memory",
                r"requires more system memory \((?P<need>[\d.]+) Gi?B\) than is available \((?P<have>[\d.]+)",
            ),
            Sign("defaultcpuallocator", r"defaultcpuallocator: (?:can't|not enough|unable to) .{0,20}memory"),
            Sign("cannot allocate memory"),
            Sign("std::bad_alloc"),
            Sign("memoryerror", r"^(?:\w+\.)*memoryerror\b"),
            Sign(
                "less than requested memory for kv",
                r"memory on node \d+ \((?P<have>[\d.]+)/.{0,60}less than requested memory for kv \((?P<need>[\d.]+)",
            ),
            Sign("vllm_cpu_kvcache_space", r"(?:not enough|larger|exceed|too large).{0,120}vllm_cpu_kvcache_space"),
        ),
        fatal=True,
        advise=_smaller_cpu_cache,
    ),
    Cause(
        "killed_for_memory",
        (N_("The system killed the engine because the machine's main memory was full."),),
        (
            N_(
                "Use a smaller model or context, or end other programs. Loading a model takes main memory too, "
                "not only the GPU's."
            ),
        ),
        (
            Sign("oom-kill", quiet=True),
            Sign("oomkilled", r"oomkilled(?!['\"]?[:=] ?false)", quiet=True),
            Sign("out of memory: kill", quiet=True),
            Sign("ray.exceptions.outofmemoryerror"),
            Sign("signal: killed"),
            Sign("exit code -9", quiet=True),
            Sign("exit code: -9", quiet=True),
            Sign("exitcode=-9", quiet=True),
            Sign("exit code 137", quiet=True),
            Sign("rc=137"),
            Sign("rc=-9"),
            Sign("killed", r"^killed$|\bSIGKILL\b(?!.*(?:send|grace|timeout|shutdown))"),
        ),
        LIKELY + 0.1,
        fatal=True,
    ),
    Cause(
        "incomplete_compiler",
        (N_("The engine compiles code for the GPU as it starts, and found no working compiler or headers."),),
        (
            N_(
                "Install gcc and the headers of this Python (python3-dev), or CUDA's nvcc, or start it with "
                "enforce_eager."
            ),
        ),
        (
            Sign("failed to find c compiler"),
            Sign("python.h", r"python\.h: no such file"),
            Sign("could not find nvcc"),
            Sign("cuda_home environment variable is not set"),
            Sign("invalidcxxcompiler"),
        ),
        advise=lambda _: Advice(flags={"--enforce-eager": None}),
    ),
)


def _with_port(found: Found) -> Found:
    """The port under one name, wherever it was found."""
    stated = [found.params.pop(name) for name in ("tcp", "named", "bare") if name in found.params]
    if stated:
        found.params.setdefault("port", stated[0])
    return found
