"""Downloads from a real server over the official clients: broken, slow, wrong, refused, paused, killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from services.app import Services, bootstrap
from services.core.settings import load
from services.hub import files
from services.hub.downloads import Download, DownloadWish
from services.worker.downloads import DownloadKeeper
from tests.fakes import patience
from tests.fakes.model_hub import COMMIT, Hub, model_hub
from tests.fakes.processes import command_lines
from tests.integration.test_worker import start, working
from tests.unit.hub_models import SMALL

until = partial(patience.until, seconds=60)

NAME = "Org/Small"
CONFIG = json.dumps({**SMALL, "architectures": ["LlamaForCausalLM"]}).encode()
WEIGHTS = random.Random(3).randbytes(4_000_000)
TOKEN = "hf_very-secret-token"


@pytest.fixture(autouse=True)
def nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("HF_", "MODELSCOPE_", "OLLAMA_"))]:
        monkeypatch.delenv(name)
    for name in ("HF_HOME", "MODELSCOPE_CACHE", "OLLAMA_MODELS"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with model_hub() as hub:
        hub.add(
            NAME, config__json=CONFIG, model__safetensors=WEIGHTS, pytorch_model__bin=WEIGHTS, README__md=b"# Small"
        )
        yield hub


@pytest.fixture
def services(tmp_path: Path, hub: Hub) -> Iterator[Services]:
    joined = bootstrap(load(home=tmp_path / "home", embedded=False))
    addresses = ("hf_endpoint", "hf_mirror_endpoint", "modelscope_endpoint", "ollama_endpoint")
    joined.choose(**dict.fromkeys(addresses, hub.url))
    yield joined
    joined.close()


@pytest.fixture
def keeper(services: Services) -> Iterator[DownloadKeeper]:
    keeper = DownloadKeeper(services.downloads, services.machine_id)
    yield keeper
    keeper.close()


def settled(services: Services, keeper: DownloadKeeper, wish: DownloadWish) -> Download:
    """Wish for a model, and have it loaded to the end, good or bad."""
    services.downloads.wish(wish)

    def rests() -> bool:
        keeper.tick()
        return services.downloads.list()[0].state not in ("queued", "downloading")

    until(rests)
    return services.downloads.list()[0]


def code(download: Download) -> str:
    assert download.state == "failed" and download.error
    return download.error.code


@pytest.mark.parametrize("place", ["hf", "hf-mirror", "modelscope"])
def test_a_model_arrives_whole_and_once(services: Services, keeper: DownloadKeeper, hub: Hub, place: str) -> None:
    done = settled(services, keeper, DownloadWish(place, NAME))
    assert (done.state, done.done, done.total, done.error) == (
        "ready",
        *[sum(map(len, (CONFIG, WEIGHTS, b"# Small")))] * 2,
        None,
    )
    (model,) = services.models.list()
    assert (model.name, model.source, model.hub) == (NAME, "lectern", place)
    assert model.revision == ("master" if place == "modelscope" else COMMIT)
    left = sorted(path.name for path in model.path.rglob("*"))
    assert left == ["README.md", "config.json", "lectern.json", "model.safetensors"]
    assert (model.path / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.sent("pytorch_model.bin") == [] and not list((services.settings.layout.models / ".loading").iterdir())


def test_a_connection_that_breaks_goes_on_where_it_was(services: Services, keeper: DownloadKeeper, hub: Hub) -> None:
    hub.breaks["model.safetensors"] = [3_000_000]
    assert settled(services, keeper, DownloadWish("hf", NAME)).state == "ready"
    first, second = hub.sent("model.safetensors")
    assert first == "" and 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 3_000_000


@pytest.mark.parametrize("place", ["hf", "modelscope"])
def test_what_was_loaded_before_a_pause_is_not_loaded_again(
    services: Services, keeper: DownloadKeeper, hub: Hub, place: str
) -> None:
    hub.stall_at = "model.safetensors"
    wished = services.downloads.wish(DownloadWish(place, NAME))
    keeper.tick()
    assert hub.stalled.wait(60)
    until(lambda: services.downloads.find(wished.id).kept_bytes > 1_000_000)
    until(lambda: services.downloads.find(wished.id).step.file == "model.safetensors")
    begin = time.monotonic()
    paused = services.downloads.pause(wished.id)
    until(all_idle)
    assert time.monotonic() - begin < 1.5  # within a second, and what the looking takes
    assert paused.state == "paused" and paused.kept_bytes > 1_000_000
    hub.stall_at = ""
    hub.released.set()
    services.downloads.resume(NAME)
    assert settled(services, keeper, DownloadWish(place, NAME)).state == "ready"
    assert hub.sent("config.json") == [""]
    begun = int(hub.sent("model.safetensors")[-1].removeprefix("bytes=").rstrip("-"))
    assert begun > 1_000_000


def loading(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those among some processes that load a model; multiprocessing's own tracker may stay."""
    return [process for process, words in command_lines(processes).items() if "spawn_main" in " ".join(words)]


def all_idle() -> bool:
    """Whether no child of ours loads any more."""
    return not loading(psutil.Process().children())


def test_a_server_that_knows_no_ranges_sends_it_all_again(services: Services, keeper: DownloadKeeper, hub: Hub) -> None:
    hub.ranges, hub.breaks["model.safetensors"] = False, [3_000_000]
    assert settled(services, keeper, DownloadWish("hf", NAME)).state == "ready"
    assert (services.models.find(NAME).path / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("place", "name"), [("hf", "model.safetensors"), ("hf", "config.json"), ("modelscope", "model.safetensors")]
)
def test_what_is_not_what_was_promised_is_discarded(
    services: Services, keeper: DownloadKeeper, hub: Hub, place: str, name: str
) -> None:
    right = hub.models[NAME][name]
    hub.swapped[name] = right[:-1] + bytes([right[-1] ^ 1])
    assert code(settled(services, keeper, DownloadWish(place, NAME))) == "hash_mismatch"
    assert services.models.list() == []
    hub.swapped.clear()
    services.downloads.resume(NAME)
    assert settled(services, keeper, DownloadWish(place, NAME)).state == "ready"


@pytest.mark.parametrize("place", ["hf", "modelscope"])
def test_a_model_that_nobody_has_is_said_not_to_be_there(
    services: Services, keeper: DownloadKeeper, place: str
) -> None:
    assert code(settled(services, keeper, DownloadWish(place, "Org/Nothing"))) == "model_not_found"


def test_a_revision_that_does_not_exist_is_said_so(services: Services, keeper: DownloadKeeper) -> None:
    failed = settled(services, keeper, DownloadWish("hf", NAME, revision="v9"))
    assert code(failed) == "model_not_found" and "Org/Small@v9" in str(failed.error)


def test_a_gated_model_says_where_to_ask(services: Services, keeper: DownloadKeeper, hub: Hub) -> None:
    hub.gated = True
    failed = settled(services, keeper, DownloadWish("hf", NAME))
    assert code(failed) == "model_gated" and failed.error
    assert f"{hub.url}/{NAME}" in failed.error.render().remedy


@pytest.mark.parametrize("place", ["hf", "modelscope"])
def test_a_token_opens_what_is_closed_and_goes_nowhere_else(
    services: Services, keeper: DownloadKeeper, hub: Hub, place: str
) -> None:
    hub.token = TOKEN
    assert code(settled(services, keeper, DownloadWish(place, NAME))) in ("token_refused", "model_not_found")
    services.downloads.tokens.keep(place, TOKEN)
    services.downloads.resume(NAME)
    assert settled(services, keeper, DownloadWish(place, NAME)).state == "ready"
    assert set(hub.keys_at_the_store) <= {""}
    kept = [path for path in services.settings.home.rglob("*") if path.is_file() and path.name != "tokens.json"]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


def test_a_mirror_is_not_told_the_token_of_another_hub(services: Services, keeper: DownloadKeeper, hub: Hub) -> None:
    services.downloads.tokens.keep("hf", TOKEN)
    hub.token = TOKEN
    assert code(settled(services, keeper, DownloadWish("hf-mirror", NAME))) == "token_refused"


@pytest.mark.parametrize("place", ["hf", "modelscope", "ollama"])
def test_a_hub_that_does_not_answer_is_named(services: Services, keeper: DownloadKeeper, place: str) -> None:
    services.choose(**{f"{place.replace('-', '_')}_endpoint": "http://127.0.0.1:9"})
    failed = settled(services, keeper, DownloadWish(place, "small:1b" if place == "ollama" else NAME))
    assert code(failed) == "hub_unreachable" and "http://127.0.0.1:9" in str(failed.error)


def test_what_would_be_loaded_is_told_before(services: Services, hub: Hub) -> None:
    offer = services.downloads.offer(DownloadWish("hf", NAME))
    assert offer and offer.bytes == len(CONFIG) + len(WEIGHTS) + 7 and offer.free_bytes > 0
    assert {file.path for file in offer.chosen} == {"config.json", "README.md", "model.safetensors"}
    assert hub.asked == []


@pytest.fixture
def small_disk(services: Services) -> Iterator[Path]:
    """A file system below the models' folder that has room for the model, but not for the reserve beside it."""
    folder = services.settings.layout.models / ".loading"
    folder.mkdir()
    options = f"size={files.RESERVE_BYTES + 2_000_000}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_room_is_looked_for_before_anything_is_loaded(
    services: Services, keeper: DownloadKeeper, hub: Hub, small_disk: Path
) -> None:
    failed = settled(services, keeper, DownloadWish("hf", NAME))
    assert code(failed) == "disk_full" and str(small_disk) in str(failed.error) and hub.asked == []


def test_a_disk_that_fills_up_meanwhile_is_named_and_what_was_loaded_is_kept(
    services: Services, keeper: DownloadKeeper, hub: Hub, small_disk: Path
) -> None:
    hub.models[NAME]["model.safetensors"] = WEIGHTS[:1_500_000]
    hub.stall_at = "model.safetensors"
    services.downloads.wish(DownloadWish("hf", NAME))
    keeper.tick()
    assert hub.stalled.wait(60)
    with (small_disk / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, files.RESERVE_BYTES + 1_000_000)
        hub.released.set()
        failed = settled(services, keeper, DownloadWish("hf", NAME))
    assert code(failed) == "disk_full" and failed.kept_bytes > 0
    (small_disk / "ballast").unlink()


def test_what_is_here_already_is_not_loaded_again_and_a_newer_one_takes_its_place(
    services: Services, keeper: DownloadKeeper, hub: Hub
) -> None:
    settled(services, keeper, DownloadWish("hf", NAME))
    asked, path = list(hub.asked), services.models.find(NAME).path
    before = (path / "model.safetensors").stat().st_ino
    assert settled(services, keeper, DownloadWish("hf", NAME)).state == "ready"
    assert hub.asked == asked and (path / "model.safetensors").stat().st_ino == before
    hub.commit = "d00d" + "0" * 36
    hub.models[NAME]["model.safetensors"] = WEIGHTS[::-1]
    assert settled(services, keeper, DownloadWish("hf", NAME)).state == "ready"
    assert services.models.find(NAME).revision == hub.commit
    assert (path / "model.safetensors").read_bytes() == WEIGHTS[::-1]


def test_what_is_forgotten_while_it_is_loaded_leaves_nothing(
    services: Services, keeper: DownloadKeeper, hub: Hub
) -> None:
    hub.stall_at = "model.safetensors"
    wished = services.downloads.wish(DownloadWish("hf", NAME))
    keeper.tick()
    assert hub.stalled.wait(60)
    services.downloads.forget(wished.id)
    keeper.close()
    assert all_idle() and not list((services.settings.layout.models / ".loading").iterdir())


def test_a_cancelled_download_stops_says_what_it_keeps_and_can_be_forgotten(
    services: Services, keeper: DownloadKeeper, hub: Hub
) -> None:
    hub.stall_at = "model.safetensors"
    wished = services.downloads.wish(DownloadWish("hf", NAME))
    keeper.tick()
    assert hub.stalled.wait(60)
    until(lambda: services.downloads.find(wished.id).kept_bytes > 1_000_000)
    cancelled = services.downloads.cancel(wished.id)
    until(all_idle)
    assert cancelled.state == "cancelled" and cancelled.kept_bytes > 1_000_000
    assert services.downloads.forget(wished.id) == cancelled.kept_bytes
    assert services.downloads.list() == [] and not list((services.settings.layout.models / ".loading").iterdir())


def test_ollama_pulls_and_reports(services: Services, keeper: DownloadKeeper, hub: Hub) -> None:
    hub.add("small:1b", model=WEIGHTS)
    hub.stall_at = "model"
    wished = services.downloads.wish(DownloadWish("ollama", "small:1b"))
    keeper.tick()
    until(lambda: services.downloads.find(wished.id).done == len(WEIGHTS) // 2)
    hub.released.set()
    done = settled(services, keeper, DownloadWish("ollama", "small:1b"))
    assert (done.state, done.done, done.total) == ("ready", len(WEIGHTS), len(WEIGHTS))
    assert code(settled(services, keeper, DownloadWish("ollama", "nothing:1b"))) == "model_not_found"


def test_a_killed_worker_takes_its_children_along_and_the_next_one_goes_on(services: Services, hub: Hub) -> None:
    hub.stall_at = "model.safetensors"
    wished = services.downloads.wish(DownloadWish("hf", NAME))
    worker = start(services.settings.home)
    assert hub.stalled.wait(90)
    until(lambda: services.downloads.find(wished.id).kept_bytes > 1_000_000)
    children = loading(psutil.Process(worker.pid).children(recursive=True))
    assert len(children) == 1
    worker.kill()
    worker.wait()
    until(lambda: not loading(children))
    assert services.downloads.find(wished.id).state == "downloading"
    hub.stall_at = ""
    hub.released.set()
    with working(services.settings.home):
        until(lambda: services.downloads.find(wished.id).state == "ready")
    assert int(hub.sent("model.safetensors")[-1].removeprefix("bytes=").rstrip("-")) > 1_000_000
    assert (services.models.find(NAME).path / "model.safetensors").read_bytes() == WEIGHTS
