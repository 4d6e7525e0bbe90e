"""The import arrows of `mcsync/__init__.py`, read from the source itself."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from mcsync.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "mcsync").rglob("*.py"))

# The arrows of the map: a room may import itself and whatever an arrow leads to, however
# many arrows that takes. The adapters have the ports' shape and do not import it.
ARROWS: dict[str, set[str]] = {
    "cli": {
        "assemble",
        "answers",
        "check",
        "docs",
        "pipeline",
        "webhooks",
        "config",
        "logs",
        "lock",
        "notify",
        "errors",
    },
    "assemble": {"pipeline", "check", "config", "lock"},
    "answers": {"pipeline", "cache"},
    "check": {"pipeline", "cache"},
    "pipeline": {"reconcile", "cache", "text"},
    "reconcile": {"decision", "name_tags", "safety"},
    "cache": {"reconcile", "model", "lock", "errors", "ownership"},
    "mailchimp": {"http", "model", "errors", "text"},
    "civicrm": {"http", "model", "errors", "text"},
    "webhooks": {"assemble", "pipeline", "lock"},
    "plugins": {"model", "name_tags"},
    "sandbox": {"model", "errors", "text"},
    "notify": {"http", "logs", "errors"},
    "http": {"clock", "errors", "exchange", "text"},
    "exchange": set(),
    "config": {"name_tags", "safety", "model", "errors", "ownership", "text"},
    "docs": set(),
    "lock": {"clock", "errors", "ownership", "text"},
    "ownership": {"errors"},
    "clock": set(),
    "logs": {"text"},
    "model": set(),
    "name_tags": set(),
    "decision": {"model"},
    "safety": set(),
    "errors": set(),
    "text": set(),
    "": set(),  # the package itself, which holds the version
}
# "builds the adapters and hands them to a stage", and the sandbox's own commands
DOORS = {
    "mcsync/assemble.py": {"mailchimp", "civicrm", "plugins"},
    "mcsync/cli/demo.py": {"sandbox"},
    "mcsync/cli/sandbox.py": {"sandbox"},
    "mcsync/cli/sandbox_act.py": {"sandbox"},
}
FORBIDDEN = {
    "requests",
    "sqlite3",
    "sqlite_utils",
    "click",
    "rich",
    "logging",
    "os",
    "time",
    "socket",
    "pathlib",
    "random",
    "subprocess",
    "threading",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_modules(path: Path) -> Iterator[str]:
    """Every module a file imports, inside functions and for type checking too, in full."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            if module == "mcsync":  # from mcsync import http
                yield from (f"mcsync.{a.name}" if is_room(a.name) else module for a in node.names)
            else:
                yield module


def is_room(name: str) -> bool:
    return (ROOT / "mcsync" / name).is_dir() or (ROOT / "mcsync" / f"{name}.py").exists()


def room_of(module: str) -> str:
    """The room of `mcsync.cache.store` is `cache`."""
    return module.split(".")[1] if "." in module else ""


def room_of_file(path: Path) -> str:
    parts = path.relative_to(ROOT / "mcsync").with_suffix("").parts
    return "" if parts[0] == "__init__" else parts[0]


PURE_ROOMS = {"reconcile", "model", "name_tags", "decision", "safety"}
PURE = [path for path in MODULES if room_of_file(path) in PURE_ROOMS]


def reachable(room: str) -> set[str]:
    found, ahead = {room, ""}, [room]
    while ahead:
        for following in ARROWS[ahead.pop()] - found:
            found.add(following)
            ahead.append(following)
    return found


def rooms_imported(path: Path) -> set[str]:
    return {room_of(m) for m in imported_modules(path) if m.partition(".")[0] == "mcsync"}


def test_there_is_something_to_look_at():
    assert len(MODULES) > 50
    rooms = {"agree.py", "enforce.py", "observe.py", "people.py", "model.py"}
    assert rooms <= {path.name for path in PURE}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_belongs_to_a_room(path: Path):
    assert room_of_file(path) in ARROWS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_only_along_the_arrows(path: Path):
    allowed = reachable(room_of_file(path)) | DOORS.get(name_of(path), set())
    assert rooms_imported(path) - allowed == set()


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_room_imports_the_standard_library_and_itself_only(path: Path):
    for module in imported_modules(path):
        top = module.partition(".")[0]
        if top == "mcsync":
            assert room_of(module) in PURE_ROOMS, module
        else:
            assert top in sys.stdlib_module_names, module


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_room_does_no_io(path: Path):
    assert {module.partition(".")[0] for module in imported_modules(path)} & FORBIDDEN == set()


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_room_asks_no_clock_and_opens_nothing(path: Path):
    calls = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    assert calls & {"now", "utcnow", "today", "open", "print", "input", "getenv"} == set()


def test_the_sandbox_is_imported_only_by_its_own_commands():
    importers = {
        name_of(path)
        for path in MODULES
        if room_of_file(path) != "sandbox" and "sandbox" in rooms_imported(path)
    }
    assert importers <= DOORS.keys()


def test_the_adapters_are_built_in_one_place():
    importers = {
        name_of(path)
        for path in MODULES
        for adapter in ("mailchimp", "civicrm")
        if room_of_file(path) != adapter and adapter in rooms_imported(path)
    }
    assert importers == {"mcsync/assemble.py"}


def test_model_and_errors_stand_at_the_bottom():
    assert rooms_imported(ROOT / "mcsync/model.py") == set()
    assert rooms_imported(ROOT / "mcsync/errors.py") == set()


def test_no_two_files_import_each_other():
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {name: set(imported_files(path, names)) - {name} for name, path in names.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, and names the files


def imported_files(path: Path, names: Mapping[str, Path]) -> Iterator[str]:
    """The files of ours that a file imports, `from mcsync.cache import rows` included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found = full if full in names else node.module
                yield from [found] if found in names else []
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)


def test_every_file_name_occurs_once():
    """But for the commands, which are called as what they do, and what simulates the services."""
    commands = {f"mcsync/cli/{name}.py" for name in COMMANDS.values()}
    files = [p for p in MODULES if room_of_file(p) != "sandbox" and name_of(p) not in commands]
    seen = Counter(path.name for path in files if path.name != "__init__.py")
    assert [name for name, count in seen.items() if count > 1] == []


def test_the_top_level_of_the_repository_holds_nothing_unexpected():
    expected = {"mcsync", "tests", "pyproject.toml", "config.example.json", "README.md", "LICENSE"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - {"dist", "build", "uv.lock"} <= expected
