"""The manual and the ready files: what `help` and `sample` print, and that it fits the program."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.markdown import Markdown

from mcsync.cli.main import GROUPS, app
from mcsync.docs import SAMPLES, TOPICS, find_sample, list_topics, name_samples, read_topic
from tests.cli.conftest import GIVE_UP_S, SCRIPT, Said

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "mcsync" / "docs"
TEXTS = [*DOCS.glob("*.md"), *(DOCS / "samples").iterdir()]


def run(*args: str) -> Said:
    found = CliRunner().invoke(app, list(args), prog_name="mcsync")
    return Said(found.exit_code, found.stdout, found.stderr)


def text_of(name: str) -> str:
    return (DOCS / "samples" / name).read_text(encoding="utf-8")


# --- mcsync sample --------------------------------------------------------------------------------


def test_every_sample_has_a_line_and_every_line_a_sample():
    assert {path.name for path in (DOCS / "samples").iterdir()} == set(SAMPLES)
    said = run("sample")
    assert (said.code, said.err) == (0, "")
    table, _, more = said.out.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == ["name", *SAMPLES]
    assert more == '"mcsync sample NAME" prints one.\n'


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_printed_as_it_is(name: str):
    assert run("sample", name) == Said(0, text_of(name), "")
    assert run("sample", name, "--json").document["text"] == text_of(name)


def test_the_beginning_of_a_name_will_do_where_it_means_one():
    words = {"nginx": "nginx.conf", "CRON": "cron.d", "dockerfile": "Dockerfile"}
    assert {word: find_sample(word) for word in words} == words
    assert find_sample("mcsync") is None
    assert {"nginx", "apache", "config", "mcsync-webhooks"} <= set(name_samples())


def test_an_unknown_sample_is_a_usage_error():
    said = run("sample", "ngnix")
    assert said.code == 2
    assert said.err == (
        'error: there is no sample "ngnix"; did you mean "nginx"?\n\nhint: mcsync sample\n'
    )
    assert run("sample", "ngnix", "--json").document["error"]["kind"] == "usage-error"


def test_the_config_is_the_one_at_the_top():
    assert text_of("config.json") == (ROOT / "config.example.json").read_text(encoding="utf-8")


# --- mcsync help ----------------------------------------------------------------------------------


def test_help_lists_the_pages():
    said = run("help")
    assert (said.code, said.err) == (0, "")
    assert [line.split()[0] for line in said.out.splitlines()[1:][: len(TOPICS)]] == list(TOPICS)
    listed = run("help", "--json").document["topics"]
    assert {each["name"]: each["about"] for each in listed} == list_topics()
    assert set(list_topics()) == {path.stem for path in DOCS.glob("*.md")}


@pytest.mark.parametrize("topic", list_topics())
def test_a_page_is_markdown_off_a_terminal(topic: str):
    page = (DOCS / f"{topic}.md").read_text(encoding="utf-8")
    assert run("help", topic) == Said(0, page, "")
    assert run("help", topic, "--json").document["text"] == page


@pytest.mark.skipif(os.name == "nt", reason="no terminals to play here")
def test_a_page_is_laid_out_on_a_terminal():
    import pty  # which Windows has not

    ours, its = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "70"}
    with subprocess.Popen([SCRIPT, "help", "security"], stdout=its, env=environ) as process:  # noqa: S603
        os.close(its)
        shown = b""
        try:
            while piece := os.read(ours, 10_000):
                shown += piece
        except OSError:  # how Linux tells that the other end is closed
            pass
        assert process.wait(GIVE_UP_S) == 0
    os.close(ours)
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", shown).decode()
    assert "Security" in plain
    assert "\n## " not in plain
    assert max(map(len, plain.splitlines())) <= 70


@pytest.mark.parametrize("topic", TOPICS)
def test_no_word_of_a_table_is_cut_off_on_a_terminal(topic: str):
    """Rich cuts what is longer than its column."""
    page = read_topic(topic)
    console = Console(width=80, file=StringIO())
    with console.capture() as shown:
        console.print(Markdown(page))
    rows = "".join(line for line in page.splitlines() if line.startswith("| ")).replace("\\|", "|")
    words = {word for code in re.findall("`([^`]+)`", rows) for word in code.split()}
    assert [word for word in words if word not in shown.get()] == []


def test_help_of_a_command_is_what_the_command_tells():
    for name in ("sync", "help", "serve"):
        assert run("help", name) == run(name, "--help")


def test_the_help_lists_every_command_in_its_group_with_a_short_summary():
    lines = run("--help").out.splitlines()
    for title, names in GROUPS.items():
        begin = lines.index(f"{title}:") + 1
        shown = [line.split(maxsplit=1) for line in lines[begin : begin + len(names)]]
        assert tuple(name for name, _ in shown) == names
        for _, summary in shown:
            assert len(summary) < 55
            assert not summary.endswith("...")


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["snyc"], 'there is no command "snyc"', "did you mean mcsync sync?"),
        (["frobnicate"], 'there is no command "frobnicate"', "mcsync --help"),
        (
            ["init", "--keys", "fiel"],
            "invalid value for '--keys': \"fiel\" is not file, environment or keys.env;"
            ' did you mean "file"?',
            "mcsync init --help",
        ),
    ],
    ids=["a slip", "nothing like it", "a choice"],
)
def test_a_mistyped_word_is_told_with_the_one_that_was_meant(
    args: list[str], message: str, hint: str
):
    assert run(*args) == Said(2, "", f"error: {message}\n\nhint: {hint}\n")
    error = run(*args, "--json").document["error"]
    assert error == {"kind": "usage-error", "message": message, "hint": hint}


def test_an_unknown_topic_is_a_usage_error():
    said = run("help", "securty")
    assert said.code == 2
    assert said.err == (
        'error: there is no page and no command "securty"; did you mean "security"?\n\n'
        "hint: mcsync help\n"
    )


def test_neither_is_imported_for_anything_else():
    code = (
        "import sys\nfrom mcsync.cli.main import app\n"
        "import atexit; atexit.register(lambda: print([m for m in sys.modules"
        " if m.startswith(('mcsync.docs', 'mcsync.cli.show_docs', 'rich'))]))\n"
        "app.main()"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, "--version"],
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
    )
    assert done.stdout.splitlines()[-1] == "[]", done


# --- what they name exists ------------------------------------------------------------------------


def test_whatever_they_have_run_exists():
    """Commands with their options, as in "mcsync status --max-age 1h"."""
    context = click.Context(app)
    found = 0
    for path in [*TEXTS, ROOT / "README.md"]:
        text = path.read_text(encoding="utf-8")
        for name, rest in re.findall(
            r"\bmcsync (?!mcsync|sh\b)([a-z][a-z-]+)((?: -{1,2}\S+| [^\s`&|-]\S*)*)", text
        ):
            command = app.get_command(context, name)
            options = re.findall(r" (--?[a-z][a-z-]*)", rest)
            if command is None:
                assert not options, f"{path.name}: mcsync {name} {rest}"
                continue
            known = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)}
            assert set(options) <= known, f"{path.name}: mcsync {name}{rest}"
            found += bool(options)
    assert found > 5


def test_pages_that_are_named_exist():
    """In the manual, in README, and in what the program itself says."""
    known = {"TOPIC", "NAME", "COMMAND", *list_topics(), *app.list_commands(click.Context(app))}
    known.add("mcsync")  # another line of examples
    sources = (ROOT / "mcsync").rglob("*.py")
    found = 0
    for path in [*TEXTS, ROOT / "README.md", *sources]:
        for word in re.findall(r"\bmcsync help\s+([\w-]+)", path.read_text("utf-8")):
            assert word in known, f"{path.name}: {word}"
            found += 1
    assert found > 20


def test_samples_that_are_named_exist():
    for path in [*TEXTS, ROOT / "README.md"]:
        for word in re.findall(r"mcsync sample ([a-z][\w@.-]*\w)", path.read_text("utf-8")):
            assert find_sample(word), f"{path.name}: {word}"


# --- what linters say -----------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck here")
@pytest.mark.parametrize("sample", ["webhook.cgi", "cron.d", "Dockerfile"])
def test_shellcheck_finds_nothing(sample: str):
    text = text_of(sample)
    scripts = [text] if text.startswith("#!") else []
    if sample == "cron.d":
        scripts = [line.split(maxsplit=6)[6] for line in cron_lines()]
    elif sample == "Dockerfile":
        scripts = [json.loads(docker("CMD")[0])[2]]
    assert scripts
    for script in scripts:
        found = subprocess.run(
            ["shellcheck", "-s", "sh", "-"],  # noqa: S607
            input=script + "\n",
            capture_output=True,
            text=True,
        )
        assert found.stdout == ""


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint here")
def test_hadolint_finds_nothing():
    found = subprocess.run(
        ["hadolint", "-"],  # noqa: S607
        input=text_of("Dockerfile"),
        capture_output=True,
        text=True,
    )
    assert found.stdout == ""


# --- cron and Docker ------------------------------------------------------------------------------


def cron_lines() -> list[str]:
    """The lines of the crontab that run something."""
    return [line for line in text_of("cron.d").splitlines() if line and line[0] not in "#SM"]


def test_cron_lines_have_a_time_a_user_and_a_command_that_is_shell():
    lines = cron_lines()
    assert len(lines) == 2
    for line in lines:
        *times, user, command = line.split(maxsplit=6)
        assert len(times) == 5
        assert user == "mcsync"
        assert "%" not in command  # which cron takes for the end of a line
        subprocess.run(["sh", "-n", "-c", command], check=True)  # noqa: S603, S607
    assert "MAILTO=" in text_of("cron.d")


def docker(instruction: str) -> list[str]:
    """What follows an instruction, once for each time it stands there."""
    text = text_of("Dockerfile").replace("\\\n", " ")
    return re.findall(rf"^{instruction}\s+(.*)$", text, re.MULTILINE)


def test_the_container_is_not_roots_and_keeps_its_cache():
    assert docker("USER") == ["10001"]
    assert docker("VOLUME") == ["/var/lib/mcsync"]
    (health,) = docker("HEALTHCHECK")
    assert health.endswith("CMD mcsync status --max-age 1h")
    copied = [word for line in docker("COPY") for word in line.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.skipif(os.name == "nt", reason="no signals of this kind")
def test_the_container_ends_a_run_in_peace(tmp_path: Path):
    """By the shell of its CMD, with an mcsync that takes its time."""
    fake = tmp_path / "mcsync"
    fake.write_text(
        f"#!{sys.executable}\nimport signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "print('began', *sys.argv[1:], flush=True)\n"
        "signal.sigwait({signal.SIGTERM})\n"
        "print('ended')\nsys.exit(143)\n"
    )
    fake.chmod(0o755)
    (command,) = docker("CMD")
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(  # noqa: S603
        json.loads(command), stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "began sync -v\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=GIVE_UP_S)
    assert (out, process.returncode) == ("ended\n", 143)
