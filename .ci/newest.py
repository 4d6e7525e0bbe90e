"""Run the quick part of the tests on the newest Python that the machine has beside this one.

What a new Python takes away or deprecates would else be found by whoever upgrades first.
Usage: .venv/bin/python .ci/newest.py [--make] FOLDER [TESTS…]; in FOLDER a virtual environment is
made, or used again as it is. With --make that is all.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from floors import TESTS, make, read_arguments, run

# What leans most on Python's own library.
MORE = (
    "tests/unit/test_config.py",
    "tests/unit/test_exchange.py",
    "tests/unit/test_text.py",
    "tests/unit/test_webhook_payload.py",
    "tests/cache/test_migrations.py",
    "tests/cache/test_store.py",
    "tests/cli/test_logs.py",
)
LAST_MINOR = 30


def find_newest() -> str | None:
    """The newest Python 3 that works and is newer than this one; None if there is none."""
    for minor in range(LAST_MINOR, sys.version_info.minor, -1):
        for path in candidates(minor):
            if works(path, minor):
                return path
    return None


def candidates(minor: int) -> Iterator[str]:
    """Where a Python 3 of this minor version may be: on the path, or kept by pyenv."""
    found = shutil.which(f"python3.{minor}")
    if found:
        yield found
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for path in sorted(kept.glob(f"3.{minor}.*/bin/python3")):
        yield str(path)


def works(path: str, minor: int) -> bool:
    """Whether it starts, and has what mcsync needs; a shim of pyenv's may lead nowhere."""
    code = "import sys, sqlite3, ssl, venv; print(*sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.split() == ["3", str(minor)]


def main() -> None:
    """Make the environment, and run the tests in it."""
    asked = read_arguments()
    newest = find_newest()
    if newest is None:
        here = f"3.{sys.version_info.minor}"
        sys.stdout.write(f"there is no Python newer than {here} on this machine: none is tried\n")
        return
    make(newest, asked.folder)
    if asked.make:
        return
    sys.stdout.write(f"with {newest}\n")
    sys.stdout.flush()
    raise SystemExit(run(asked.folder, asked.tests or (*TESTS, *MORE)))


if __name__ == "__main__":
    main()
