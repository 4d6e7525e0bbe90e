"""Keys that stand in files, in systemd's credentials, or are printed by programs."""

import json
import os
import sys
from pathlib import Path

import pytest

from mcsync.config import load_config
from mcsync.errors import ConfigError

KEY = "0123456789abcdef0123456789abcdef-us11"


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def load(folder: Path, source: str, **environ: str) -> str:
    """CiviCRM's key, as a config in this folder has it."""
    content = {
        "civicrm": {"url": "https://crm.example.org", "apiKey": source},
        "lists": {"aaaaaaaaaa": {"subscriptionGroup": "111", "apiKey": KEY}},
    }
    write(folder / "config.json", json.dumps(content))
    return load_config(folder / "config.json", environ).civicrm.api_key.reveal()


def problem_of(folder: Path, source: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, source, **environ)
    [(path, text)] = caught.value.problems
    assert path == "civicrm.apiKey"
    return text


def test_the_first_line_of_a_file_beside_the_config(tmp_path: Path):
    write(tmp_path / "civi.key", "yabbadabbadoo\r\nand more\n")
    assert load(tmp_path, "${file:civi.key}") == "yabbadabbadoo"
    assert load(tmp_path, f"${{file:{tmp_path}/civi.key}}") == "yabbadabbadoo"


def test_a_part_of_a_text(tmp_path: Path):
    write(tmp_path / "half", "dabba")
    assert load(tmp_path, "yabba${file:half}${MORE}", MORE="doo") == "yabbadabbadoo"


def test_a_credential_of_systemd(tmp_path: Path):
    write(tmp_path / "civicrm-key", "yabbadabbadoo", 0o400)
    found = load(tmp_path, "${credential:civicrm-key}", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert found == "yabbadabbadoo"


def test_what_a_program_prints(tmp_path: Path):
    program = f"{sys.executable} -c 'print(\"yabba dabba\".split()[0]); print(2)'"
    assert load(tmp_path, f"${{command:{program}}}") == "yabba"


def test_a_program_gets_no_shell(tmp_path: Path):
    assert load(tmp_path, "${command:echo a;b$HOME}") == "a;b$HOME"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("${file:nowhere}", "${file:nowhere} cannot be read: No such file or directory"),
        ("${file:.}", "cannot be read: Is a directory"),
        ("${file:pipe}", "${file:pipe} is not a file"),
        ("${command: }", "expected a variable"),
        ("${file:empty}", "its first line is empty"),
        ("${file:latin}", "not UTF-8"),
        ("${credential:key}", "LoadCredential=key:"),
        ("${command:no-such-program at all}", "cannot be run: No such file or directory"),
        ("${command:false}", "${command:false} ended with exit code 1"),
        ("${command:true}", "its first line is empty"),
        ("${command:'}", "cannot be run: not a command"),
        ("${NOWHERE}", "${NOWHERE} is not set in the environment"),
        ("${fiel:x}", 'expected a variable such as "${NAME}"'),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, source: str, told: str):
    write(tmp_path / "empty", "\nsecond")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"\xff\xfe\xfd")
    assert told in problem_of(tmp_path, source)


def test_a_credential_is_a_name_and_no_path(tmp_path: Path):
    told = problem_of(tmp_path, "${credential:../config.json}", CREDENTIALS_DIRECTORY="/tmp")
    assert "no slash" in told


@pytest.mark.skipif(os.name == "nt", reason="there are no modes of POSIX")
def test_a_key_file_that_others_may_write_is_refused_d9(tmp_path: Path):
    write(tmp_path / "civi.key", "yabbadabbadoo", 0o666)
    told = problem_of(tmp_path, "${file:civi.key}")
    assert "can be written by others (mode 0666)" in told
    assert f"chmod go-w {tmp_path / 'civi.key'}" in told
    assert "yabba" not in told


@pytest.mark.skipif(os.name == "nt", reason="there are no modes of POSIX")
def test_a_key_file_in_a_folder_that_everybody_may_write_is_refused_d9(tmp_path: Path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    write(shared / "real.key", "yabbadabbadoo")
    (tmp_path / "civi.key").symlink_to(shared / "real.key")
    for name in ("civi.key", "shared/real.key"):
        told = problem_of(tmp_path, f"${{file:{name}}}")
        assert f"${{file:{name}}}: {shared}, the folder of {name[-8:]}, can be" in told
        assert "yabba" not in told


def test_a_key_file_that_is_too_large_is_refused(tmp_path: Path):
    write(tmp_path / "civi.key", "y" * (64 * 1024 + 1))
    assert problem_of(tmp_path, "${file:civi.key}") == (
        "${file:civi.key} is too large: it has more than 64 KiB"
    )


def test_a_key_from_a_file_is_never_shown(tmp_path: Path):
    write(tmp_path / "civi.key", "yabba dabba doo")
    assert "dabba" not in problem_of(tmp_path, "${file:civi.key}")


def test_what_a_program_is_given_is_not_shown(tmp_path: Path):
    told = problem_of(tmp_path, "${command:no-such-program --token yabbadabbadoo}")
    assert told == "${command:no-such-program} cannot be run: No such file or directory"
