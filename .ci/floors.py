"""Run the quick part of the tests at the oldest dependencies that pyproject.toml allows.

A floor that nobody ever installed is a guess: the oldest tenacity once allowed broke every command.
Usage: .venv/bin/python .ci/floors.py [--make] FOLDER [TESTS…]; in FOLDER a virtual environment is
made, or used again as it is. With --make that is all.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (  # some seconds; each dependency is at work in some of them
    "tests/unit/test_http.py",
    "tests/unit/test_plugins.py",
    "tests/cli/test_exit_codes.py",
    "tests/cli/test_prometheus.py",
    "tests/scenario/test_demo.py",
)
TOOLS = ("hypothesis", "pexpect", "pytest", "pytest-xdist", "PyYAML", "vcrpy")


def read_floors() -> list[str]:
    """Each dependency pinned to its floor, as `click==8.2.1`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floors = []
    for requirement in project["dependencies"]:
        found = re.fullmatch(r"([A-Za-z0-9._-]+)>=([0-9.]+)", requirement)
        if found is None:
            raise SystemExit(f'pyproject.toml: "{requirement}" is not NAME>=FLOOR')
        floors.append(f"{found[1]}=={found[2]}")
    return floors


def make(python: str | Path, folder: Path, floors: list[str] | None = None) -> None:
    """Make the environment, with what the tests need, unless it is there."""
    finished = folder / "finished"
    if finished.exists():
        return
    subprocess.run([python, "-m", "venv", folder], check=True)
    constraints = folder / "floors.txt"
    constraints.write_text("".join(f"{floor}\n" for floor in floors or ()), encoding="utf-8")
    # Most of what is installed is never imported, so it is compiled where it is.
    install = [python_of(folder), "-m", "pip", "install", "-q", "--no-compile"]
    subprocess.run([*install, "-c", constraints, "-e", ROOT, *TOOLS], check=True)
    finished.touch()


def python_of(folder: Path) -> Path:
    """Its Python."""
    return folder / "bin" / "python"


def run(folder: Path, tests: Sequence[str]) -> int:
    """Run the tests in it; pytest's exit code. Two at once: CI tries both environments together."""
    command = [python_of(folder), "-m", "pytest", "-n", "2", *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def read_arguments() -> argparse.Namespace:
    """The folder, whether to make it only, and which tests instead of the usual ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--make", action="store_true")
    parser.add_argument("folder", type=Path)
    parser.add_argument("tests", nargs="*")
    return parser.parse_args()


def main() -> None:
    """Make the environment, and run the tests in it."""
    asked = read_arguments()
    make(sys.executable, asked.folder, read_floors())
    if not asked.make:
        raise SystemExit(run(asked.folder, asked.tests or TESTS))


if __name__ == "__main__":
    main()
