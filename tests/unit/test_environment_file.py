"""The file of variables that a config names: as systemd reads it, and whose it must be."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.config import Config, ConfigUse, load_config
from mcsync.config.environment_file import Misread, parse_environment
from mcsync.errors import ConfigError

KEY = "0123456789abcdef0123456789abcdef-us11"
PLAIN = "MCSYNC_CIVICRM_API_KEY=civi-secret\nMAILCHIMP_API_KEY=" + KEY + "\n"

READ = {
    "nothing": ("", {}),
    "plain": ("A=b", {"A": "b"}),
    "several": ("A=b\nB=c\n", {"A": "b", "B": "c"}),
    "the last one counts": ("A=b\nA=c\n", {"A": "c"}),
    "Windows' ends of lines": ("A=b\r\nB='c'\r\n", {"A": "b", "B": "c"}),
    "a mark in front": ("\ufeffA=b\n", {"A": "b"}),
    "comments and empty lines": ("# a=b\n\n  ; c=d\n \t\nA=b\n", {"A": "b"}),
    "a comment that goes on": ("# a \\\nB=c\nA=b\n", {"A": "b"}),
    "no comment after a value": ("A=b # c\n", {"A": "b # c"}),
    "blanks around": ("  A = b c \t\nB=d", {"A": "b c", "B": "d"}),
    "empty": ("A=\nB=''\nC=d", {"A": "", "B": "", "C": "d"}),
    "an equals sign": ("A=b=c==", {"A": "b=c=="}),
    "single quotes": (r"A='b\"c\\ # ' " + "\n", {"A": r"b\"c\\ # "}),
    "double quotes": (r'A="b\"c\\d\$e\xf"', {"A": r'b"c\d$e\xf'}),
    "quotes over lines": ("A='b\nc'\nB=\"d\ne\"", {"A": "b\nc", "B": "d\ne"}),
    "a quoted line that goes on": ('A="b\\\nc"', {"A": "bc"}),
    "a plain line that goes on": ("A=b\\\nc\nB=d", {"A": "bc", "B": "d"}),
    "quotes inside": ('A=it\'s "so"', {"A": 'it\'s "so"'}),
    "quoted and plain": ("A='b' \"c\"d", {"A": "bcd"}),
    "a backslash": (r"A=b\ c\\ \ ", {"A": "b c\\  "}),
    "a comment that ends in a backslash": ("A=b\n# c\\", {"A": "b"}),
    "as for a shell": ("export A='b'\n export  B=c", {"A": "b", "B": "c"}),
}


@pytest.mark.parametrize("name", READ)
def test_it_is_read_as_systemd_reads_it(name: str) -> None:
    text, found = READ[name]
    assert parse_environment(text) == found


WRONG = {
    "no equals sign": ("A=b\nhush\n", 2),
    "no name": ("=hush", 1),
    "a name with a blank": ("A B=hush", 1),
    "a name that is none": ("\n\n1A=hush", 3),
    "a quote that is open": ("A=b\nB='hush\nC=d\n", 2),
    "a double one": ('A="hush\\"', 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_none_is_told_by_its_line(name: str) -> None:
    text, line = WRONG[name]
    with pytest.raises(Misread) as caught:
        parse_environment(text)
    assert f"line {line}:" in str(caught.value)
    assert "hush" not in str(caught.value)


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]*", fullmatch=True), st.text()))
def test_what_is_in_single_quotes_is_as_it_stands(found: dict[str, str]) -> None:
    found = {name: text.replace("'", "") for name, text in found.items()}
    lines = [f"{name}='{text}'" for name, text in found.items()]
    assert parse_environment("\n".join(lines)) == found


# --- in a config ----------------------------------------------------------------------------------


def place(folder: Path, text: str | None = PLAIN, mode: int = 0o600, **changes: object) -> Path:
    """A config with variables for all keys, and the file that has them."""
    blob = {
        "environmentFile": "keys.env",
        "civicrm": {"url": "https://crm.example.org"},
        "lists": {"aaaaaaaaaa": {"subscriptionGroup": 111, "apiKey": "${MAILCHIMP_API_KEY}"}},
        **changes,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(blob), encoding="utf-8")
    path.chmod(0o600)
    if text is not None:
        (folder / "keys.env").write_text(text, encoding="utf-8")
        (folder / "keys.env").chmod(mode)
    return path


def keys(config: Config) -> list[str]:
    return [config.civicrm.api_key.reveal(), *(a.key.reveal() for a in config.accounts.values())]


def problems(path: Path, use: ConfigUse = ConfigUse.RUN) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, {}, use)
    return dict(caught.value.problems)


def test_it_lies_beside_the_config_and_fills_in_the_variables(tmp_path: Path) -> None:
    config = load_config(place(tmp_path), {})
    assert keys(config) == ["civi-secret", KEY]
    assert config.warnings == ()


def test_it_may_lie_elsewhere(tmp_path: Path) -> None:
    path = place(tmp_path, environmentFile="${WHERE}/keys.env")
    assert keys(load_config(path, {"WHERE": str(tmp_path)})) == ["civi-secret", KEY]


def test_the_real_environment_wins(tmp_path: Path) -> None:
    config = load_config(place(tmp_path), {"MCSYNC_CIVICRM_API_KEY": "other"})
    assert keys(config) == ["other", KEY]


@pytest.mark.parametrize("nothing", [None, ""])
def test_none_is_none(tmp_path: Path, nothing: object) -> None:
    path = place(tmp_path, environmentFile=nothing)
    assert "civicrm.apiKey" in problems(path)


@pytest.mark.parametrize("value", [5, ["keys.env"], "keys\n.env"])
def test_it_is_the_name_of_a_file(tmp_path: Path, value: object) -> None:
    assert "expected" in problems(place(tmp_path, environmentFile=value))["environmentFile"]


def test_a_missing_one_is_told_with_what_is_missing(tmp_path: Path) -> None:
    told = problems(place(tmp_path, None))
    assert told["environmentFile"] == (
        f"{tmp_path / 'keys.env'} cannot be read: No such file or directory"
    )
    assert "${MAILCHIMP_API_KEY} is not set" in told["lists.aaaaaaaaaa.apiKey"]


def test_what_is_wrong_in_it_is_told(tmp_path: Path) -> None:
    told = problems(place(tmp_path, "A=b\nhush\n"))["environmentFile"]
    assert told == f"{tmp_path / 'keys.env'}, line 2: expected NAME=value"
    (tmp_path / "keys.env").write_bytes(b"A=\xff")
    told = problems(tmp_path / "config.json")["environmentFile"]
    assert told == f"{tmp_path / 'keys.env'}: not UTF-8"


@pytest.mark.parametrize("use", [ConfigUse.LOOK, ConfigUse.NAME])
@pytest.mark.parametrize("text", [None, "hush"])
def test_who_only_looks_can_do_without(tmp_path: Path, text: str | None, use: ConfigUse) -> None:
    assert load_config(place(tmp_path, text), {}, use).audiences


def test_who_only_looks_has_what_it_says(tmp_path: Path) -> None:
    path = place(tmp_path, "STATE=/srv/mcsync\n", cache="${STATE}/mcsync.db")
    assert load_config(path, {}, ConfigUse.LOOK).cache == Path("/srv/mcsync/mcsync.db")
    (tmp_path / "keys.env").unlink()
    assert list(problems(path, ConfigUse.LOOK)) == ["environmentFile", "cache"]


@pytest.mark.skipif(os.name == "nt", reason="there are no modes of POSIX")
def test_one_that_others_can_read_is_told_d9(tmp_path: Path) -> None:
    (warning,) = load_config(place(tmp_path, mode=0o640), {}).warnings
    there = tmp_path / "keys.env"
    assert warning == (
        f'{there} holds keys, but others can read it (mode 0640); run "chmod 600 {there}"'
    )


@pytest.mark.skipif(os.name == "nt", reason="there are no modes of POSIX")
def test_one_that_others_can_write_is_refused_d9(tmp_path: Path) -> None:
    told = problems(place(tmp_path, mode=0o666))["environmentFile"]
    assert "can be written by others (mode 0666)" in told
    assert f"chmod go-w {tmp_path / 'keys.env'}" in told
    path = place(tmp_path, "STATE=/tmp", 0o666, cache="${STATE}/mcsync.db")
    assert list(problems(path, ConfigUse.LOOK)) == ["environmentFile", "cache"]


def test_one_that_is_too_large_is_refused_not_cut(tmp_path: Path) -> None:
    filled = "#" * (64 * 1024 - len(PLAIN) - 1) + "\n" + PLAIN
    assert keys(load_config(place(tmp_path, filled), {})) == ["civi-secret", KEY]
    told = problems(place(tmp_path, "#" + filled))["environmentFile"]
    assert told == f"{tmp_path / 'keys.env'} is too large: it has more than 64 KiB"


@pytest.mark.skipif(os.name == "nt", reason="there are no modes of POSIX")
def test_a_link_into_a_folder_that_everybody_may_write_is_refused_d9(tmp_path: Path) -> None:
    path, there = place(tmp_path), tmp_path / "keys.env"
    shared = tmp_path / "shared"
    shared.mkdir()
    there.rename(shared / "real.env")
    there.symlink_to(shared / "real.env")
    assert keys(load_config(path, {})) == ["civi-secret", KEY]
    shared.chmod(0o777)
    told = problems(path)["environmentFile"]
    assert f"{shared}, the folder of keys.env, can be written by everybody (mode 0777)" in told
    assert f'run "chmod o-w {shared}"' in told


@pytest.mark.skipif(os.name == "nt", reason="there are no modes of POSIX")
def test_a_link_of_a_stranger_is_refused_d9(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, there = place(tmp_path), tmp_path / "keys.env"
    there.rename(tmp_path / "real.env")
    there.symlink_to(tmp_path / "real.env")
    lstat = os.lstat

    def lstat_of_stranger(name: str | os.PathLike[str]) -> os.stat_result:
        found = list(lstat(name))
        if os.fspath(name) == str(there):
            found[4] = 4321
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", lstat_of_stranger)
    told = problems(path)["environmentFile"]
    assert "keys.env belongs to user 4321, not to" in told
    assert f'{there}"' in told
    assert 'run "chown -h ' in told, "else the file would be given away, not the link"


def test_what_it_says_is_never_shown(tmp_path: Path) -> None:
    path = place(tmp_path, PLAIN + "HUSH=yabbadabbadoo\n", cache=5, backups="${HUSH}")
    assert "yabba" not in str(problems(path))
