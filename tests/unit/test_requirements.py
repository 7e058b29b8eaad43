"""The pinned files: complete, exact, consistent, and true to what was asked for."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.sources import ROOT, at, imported, modules
from tools.lock_requirements import CORE, FULL, INPUTS, LOCKS

DEV = ROOT / "requirements-dev.txt"
NEEDS_TORCH = {"torch", "transformers", "sentence-transformers", "vllm", "accelerate", "torchvision"}


def pins(path: Path) -> dict[str, str]:
    """Package -> version of a pinned file; every line must be an exact pin."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines), "a package stands there twice"
    return found


def asked(path: Path) -> list[Requirement]:
    """The requirements that people wrote into an input file, and into those that it includes."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("-r "):
            found += asked(path.parent / line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


@pytest.mark.parametrize(("source", "target"), [(INPUTS / source, target) for source, target, _ in LOCKS])
def test_a_pinned_file_gives_what_its_input_asks_for(source: Path, target: Path) -> None:
    pinned = pins(target)
    for requirement in asked(source):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)], prereleases=True)


@pytest.mark.parametrize("target", [target for _, target, _ in LOCKS])
def test_a_pinned_file_names_only_versions(target: Path) -> None:
    for line in target.read_text("utf-8").splitlines():
        assert line.startswith("# Made by") or re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9a-z.]*", line), line


def test_a_machine_has_one_build_of_faiss() -> None:
    for path in (CORE, FULL):
        assert len({"faiss-cpu", "faiss-gpu"} & pins(path).keys()) == 1
    assert "faiss-cpu" in pins(CORE)
    assert "faiss-gpu" in pins(FULL)


def test_a_machine_without_a_gpu_needs_nothing_of_torch_or_cuda() -> None:
    cuda = {name for name in pins(CORE) if name.startswith(("nvidia-", "cuda-", "triton"))} - {"nvidia-ml-py"}
    assert (NEEDS_TORCH & pins(CORE).keys()) | cuda == set()


def test_the_sets_agree_on_every_version_that_they_share() -> None:
    core, full, dev = pins(CORE), pins(FULL), pins(DEV)
    assert {name: core[name] for name in core.keys() & dev.keys()} == {
        name: dev[name] for name in core.keys() & dev.keys()
    }
    assert core.keys() - full.keys() == {"faiss-cpu"}
    assert [name for name in core.keys() & full.keys() if core[name] != full[name]] == []


def test_vllm_stays_out_of_our_virtual_environment() -> None:
    assert "vllm" in pins(INPUTS / "engines/vllm.txt")
    for path in (CORE, FULL, DEV):
        assert "vllm" not in pins(path)


def engine_environment(path: Path) -> set[str]:
    """What was asked for in the environment that an engine's own program runs in; nothing for all other modules."""
    inputs = INPUTS / "engines" / f"{path.stem.removesuffix('_server')}.in"
    is_program = path.parent.name == "engines" and path.stem.endswith("_server") and inputs.exists()
    return {canonicalize_name(requirement.name) for requirement in asked(inputs)} if is_program else set()


def test_every_library_that_the_code_imports_was_asked_for() -> None:
    """A package that only comes with another one may leave with it."""
    distributions = packages_distributions()
    direct = {
        canonicalize_name(requirement.name) for requirement in asked(INPUTS / "core.in") + asked(INPUTS / "gpu.in")
    }
    own = {"services", "ui", "pages"}
    found = {}
    for path in modules():
        beside = direct | engine_environment(path)
        for node, name in imported(path):
            top = name.split(".", maxsplit=1)[0]
            if isinstance(node, ast.ImportFrom) and node.level:
                continue
            if top in own or top in sys.stdlib_module_names:
                continue
            # What is not installed here goes by its own name.
            if not beside & {canonicalize_name(package) for package in distributions.get(top, [top])}:
                found[at(path, node)] = top
    assert found == {}
