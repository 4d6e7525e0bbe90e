"""Run the quick part of the tests at the oldest dependencies that pyproject.toml allows.

A floor that nobody ever installed is a guess: the oldest tenacity once allowed broke every command.
Usage: .venv/bin/python .ci/floors.py FOLDER [TESTS…]; in FOLDER a virtual environment is made, or
used again.
"""

import re
import subprocess
import sys
import tomllib
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


def main() -> None:
    """Make the environment, and run the tests in it."""
    folder = Path(sys.argv[1])
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    constraints = folder / "floors.txt"
    constraints.write_text("\n".join(read_floors()) + "\n", encoding="utf-8")
    install = [python, "-m", "pip", "install", "-q", "-c", constraints, "-e", ROOT, *TOOLS]
    subprocess.run(install, check=True)
    tests = sys.argv[2:] or TESTS
    done = subprocess.run([python, "-m", "pytest", "-n", "auto", *tests], cwd=ROOT, check=False)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
