"""The samples at work: real nginx and Apache before a real `mcsync serve`, and systemd's verdict.

The samples run as they are but for ports, paths and certificates. What must never happen: that
the secret of a webhook's URL stands in any log, not even while `serve` is down.
"""

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import pytest

from mcsync.docs import SAMPLES, read_sample
from tests.cli.conftest import GIVE_UP_S, LIST, SCRIPT, Office
from tests.cli.deliveries import SECRET, payload, settle, waiting
from tests.cli.test_serve import serving, wait_for

DEBIAN = Path("/etc/apache2")
UNITS = [name for name in SAMPLES if name.endswith((".service", ".timer"))]
SERVICES = [name for name in UNITS if name.endswith(".service")]
HOOK = "/mailchimp/webhook"
LOCATION = re.compile(r"^    location /mailchimp/ \{\n.*?^    \}\n", re.MULTILINE | re.DOTALL)


def has(*programs: str) -> bool:
    return all(map(shutil.which, programs))


needs_nginx = pytest.mark.skipif(not has("nginx", "openssl"), reason="no nginx here")
needs_apache = pytest.mark.skipif(
    not (has("apache2", "openssl") and (DEBIAN / "apache2.conf").exists()),
    reason="no Apache of Debian's here",
)
needs_systemd = pytest.mark.skipif(not has("systemd-analyze"), reason="no systemd-analyze here")


def adapt(text: str, changes: Mapping[str, str]) -> str:
    """A sample with other ports and paths; each of the old ones must stand in it."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


# --- a web server ---------------------------------------------------------------------------------


class Front:
    """A web server before mcsync, in a folder of its own; its logs are in `logs`."""

    def __init__(self, folder: Path, backend: int) -> None:
        self.folder, self.logs, self.backend = folder, folder / "logs", backend
        self.port = free_port()
        self.logs.mkdir(parents=True)
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.environ = dict(os.environ)
        make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hooks.example.org -out"
        subprocess.run(  # noqa: S603
            ["openssl", *make.split(), self.certificate, "-keyout", self.key],  # noqa: S607
            check=True,
            capture_output=True,
        )

    def changes(self) -> dict[str, str]:
        """What is put in instead of what stands in any of the samples."""
        at = "/etc/letsencrypt/live/hooks.example.org"
        return {
            f"{at}/fullchain.pem": str(self.certificate),
            f"{at}/privkey.pem": str(self.key),
            "http://127.0.0.1:8080": f"http://127.0.0.1:{self.backend}",
        }

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """The server, from when it answers until it is stopped; what it says is a log, too."""
        with (self.logs / "said").open("wb") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, env=self.environ)  # noqa: S603
            try:
                assert wait_for(lambda: process.poll() is not None or self.answers())
                assert process.poll() is None, (self.logs / "said").read_text()
                yield
            finally:
                process.terminate()
                process.wait(GIVE_UP_S)

    def answers(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        return False

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl._create_unverified_context()  # noqa: S323  # it has just signed for itself
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=GIVE_UP_S, context=context
        )

    def ask(self, method: str, path: str, body: bytes = b"") -> int:
        """Send a request with the secret in its URL; the status of the answer."""
        with closing(self.connect()) as connection:
            connection.putrequest(method, f"{path}?secret={SECRET}", skip_host=True)
            connection.putheader("Host", "hooks.example.org")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return connection.getresponse().status

    def misbehave(self) -> None:
        """Send too much, and go away in the middle of a request."""
        assert self.ask("POST", HOOK, bytes(2 << 20)) >= 400  # by whoever notices first
        with closing(self.connect()) as connection:
            connection.putrequest("POST", f"{HOOK}?secret={SECRET}")
            connection.putheader("Content-Length", "1000")
            connection.endheaders(b"type=")

    def all_logs(self) -> str:
        return "\n".join(path.read_text("utf-8") for path in self.logs.rglob("*") if path.is_file())


@contextmanager
def nginx(folder: Path, backend: int, *, inside: str | None = None) -> Iterator[Front]:
    """nginx with the sample, in a set-up that logs all it can.

    `inside`: only the sample's location, or this text in its place, in a server that is there
    already, with logs and error pages of its own.
    """
    front = Front(folder, backend)
    sample = adapt(
        read_sample("nginx.conf"),
        {
            "listen 443 ssl": f"listen 127.0.0.1:{front.port} ssl",
            "    listen [::]:443 ssl;\n": "",
            "/var/log/nginx/": f"{front.logs}/",
            **front.changes(),
        },
    )
    if inside is not None:
        (found,) = LOCATION.findall(sample)
        block = (inside or found).replace("BACKEND", str(backend))
        head, server = sample.split("server {", 1)
        beginning = server.split("    access_log", 1)[0]
        pages = "    error_page 502 503 504 413 /50x.html;\n"
        sample = f"{head}server {{{beginning}{pages}{block}}}\n"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "sample.conf").write_text(sample)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {front.logs}/error.log info; events {{}}"
        f" http {{ access_log {front.logs}/access.log; {temporary} include {folder}/sample.conf; }}"
    )
    error_log = str(front.logs / "first.log")
    with front.running(
        "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", error_log
    ):
        yield front


@contextmanager
def apache(folder: Path, backend: int) -> Iterator[Front]:
    """Debian's Apache as it is set up there, with the sample among its sites."""
    front = Front(folder, backend)
    at = folder / "apache2"
    shutil.copytree(DEBIAN, at, symlinks=True)
    (at / "ports.conf").write_text(f"Listen 127.0.0.1:{front.port}\n")
    changes = {"*:443": f"*:{front.port}", **front.changes()}
    sample = adapt(read_sample("apache.conf"), changes)
    (at / "sites-enabled" / "mcsync.conf").write_text(sample)
    for module in ("ssl", "socache_shmcb", "proxy", "proxy_http"):
        for end in ("load", "conf"):
            link = at / "mods-enabled" / f"{module}.{end}"
            if not link.exists() and (at / "mods-available" / link.name).exists():
                link.symlink_to(f"../mods-available/{link.name}")
    for name, value in {
        "APACHE_LOG_DIR": front.logs,
        "APACHE_RUN_DIR": folder,
        "APACHE_LOCK_DIR": folder,
        "APACHE_PID_FILE": folder / "pid",
        "APACHE_RUN_USER": "www-data",
        "APACHE_RUN_GROUP": "www-data",
    }.items():
        front.environ[name] = str(value)
    main = ("-d", str(at), "-f", str(at / "apache2.conf"))
    checked = subprocess.run(  # noqa: S603
        ["apache2", *main, "-t"],  # noqa: S607
        env=front.environ,
        capture_output=True,
        text=True,
    )
    assert "Syntax OK" in checked.stderr, checked.stderr
    with front.running("apache2", *main, "-DFOREGROUND"):
        yield front


FRONTS = [
    pytest.param(nginx, 502, marks=needs_nginx, id="nginx"),
    pytest.param(apache, 503, marks=needs_apache, id="apache"),
]


@pytest.fixture
def shop(office: Office) -> Office:
    settle(office)
    civicrm = office.town.make_config()["civicrm"]
    assert isinstance(civicrm, dict)
    office.write_config(civicrm={**civicrm, "hookSecret": SECRET})
    assert office.run("sync", "--wait").code == 0
    return office


def deliver_all(front: Front, office: Office) -> tuple[list[int], list[int], int]:
    """All sorts of requests while `serve` runs, while it is down, and when it is back."""
    bind, ask = ("-v", "--bind", f"127.0.0.1:{front.backend}"), front.ask
    with serving(office, *bind) as served:
        up = [
            ask("POST", HOOK, payload()),
            ask("GET", HOOK),
            ask("POST", "/mailchimp/nowhere"),
            ask("POST", "/mailchimp/civicrm-hook", b"contact_id=7"),
        ]
        front.misbehave()
        assert wait_for(lambda: waiting(office) == 0)
        assert "1 webhook handled" in served.stop().err
    down = [ask("POST", HOOK, payload()), ask("GET", HOOK)]
    front.misbehave()
    with serving(office, *bind) as served:
        back = ask("POST", HOOK, payload())
        served.stop()
    return up, down, back


@pytest.mark.parametrize(("web_server", "when_down"), FRONTS)
def test_webhooks_arrive_and_no_log_has_the_secret_d8(
    web_server: Callable[[Path, int], AbstractContextManager[Front]],
    when_down: int,
    shop: Office,
    tmp_path: Path,
):
    with web_server(tmp_path / "front", free_port()) as front:
        up, down, back = deliver_all(front, shop)
    assert (up, down, back) == ([200, 200, 404, 200], [when_down, when_down], 200)
    logged = front.all_logs()
    assert SECRET not in logged
    assert HOOK not in logged
    lines = (front.logs / "mcsync.log").read_text().splitlines()
    for status in (200, when_down):
        assert any(re.search(rf"POST {status}\b", line) for line in lines), lines


@needs_nginx
def test_the_location_alone_does_it_in_a_server_that_is_there_d8(shop: Office, tmp_path: Path):
    with nginx(tmp_path / "front", free_port(), inside="") as front:
        up, down, back = deliver_all(front, shop)
    assert (up, down, back) == ([200, 200, 404, 200], [502, 502], 200)
    assert SECRET not in front.all_logs()


@needs_nginx
def test_it_would_be_noticed_if_a_log_had_the_secret_d8(shop: Office, tmp_path: Path):
    """An access log that is off is not enough."""
    plain = "location /mailchimp/ { proxy_pass http://127.0.0.1:BACKEND; access_log off; }\n"
    with nginx(tmp_path / "front", free_port(), inside=plain) as front:
        deliver_all(front, shop)
    for name in ("access.log", "error.log"):
        assert SECRET in (front.logs / name).read_text()


# --- the manual's way to change the secret --------------------------------------------------------


def test_no_webhook_is_refused_while_the_secret_is_changed(office: Office):
    """Step by step as the page on security has it."""
    port = free_port()
    at, old, new = f"http://127.0.0.1:{port}{HOOK}?secret=", "old" * 12, "new" * 12
    bind = ("--bind", f"127.0.0.1:{port}")

    def registered() -> list[str]:
        return [hook.url for hook in office.town.mailchimp.audiences[LIST].webhooks.values()]

    settle(office, webhookUrl=at + old)
    with serving(office, *bind) as served:
        office.run("check", "--fix")
        assert registered() == [at + old]
        served.stop()
    settle(office, webhookUrl=at + new, webhookSecret=old)
    with serving(office, *bind) as served:
        settle(office, webhookUrl=at + new)
        office.run("check", "--fix")
        assert registered() == [at + new]
        assert [served.post(payload(), HOOK, each) for each in (old, new)] == [200, 200]
        served.stop()
    with serving(office, *bind) as served:
        assert [served.post(payload(), HOOK, each) for each in (old, new)] == [401, 200]
        served.stop()


# --- CGI ------------------------------------------------------------------------------------------


def test_the_cgi_script_takes_a_webhook(shop: Office, tmp_path: Path):
    """With the environment that a web server gives, and the keys in a file of the config's."""
    changes = {"/etc/mcsync/config.json": str(shop.config), "/usr/local/bin/mcsync": SCRIPT}
    script = tmp_path / "mailchimp.cgi"
    script.write_text(adapt(read_sample("webhook.cgi"), changes))
    script.chmod(0o755)
    body = payload()
    request = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/webhook",
        "QUERY_STRING": f"secret={SECRET}",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
    }
    answers = []
    for query in (request["QUERY_STRING"], "secret=wrong"):
        done = subprocess.run(  # noqa: S603
            [script],
            input=body,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", **request, "QUERY_STRING": query},
            timeout=GIVE_UP_S,
        )
        answers.append(done.stdout.decode().splitlines()[0])
    assert answers == ["Status: 200 OK", "Status: 401 Unauthorized"]


# --- systemd --------------------------------------------------------------------------------------


def settings(unit: str) -> list[tuple[str, str]]:
    """The settings of a unit, in their order."""
    lines = [line for line in read_sample(unit).splitlines() if line and line[0] not in "#["]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong(unit: str, tmp_path: Path):
    for name in UNITS:
        text = read_sample(name)
        if name in SERVICES:
            text = adapt(text, {"=/usr/local/bin/mcsync ": f"={SCRIPT} "})
        (tmp_path / name).write_text(text)
    verdict = subprocess.run(  # noqa: S603
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)],  # noqa: S607
        capture_output=True,
        text=True,
    )
    assert "mcsync" not in verdict.stdout + verdict.stderr
    assert verdict.returncode == 0, verdict.stderr


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(unit: str):
    wanted = {
        "User": "mcsync",
        "UMask": "0077",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
        "MemoryMax": "512M",
    }
    found = dict(settings(unit))
    assert {name: found.get(name) for name in wanted} == wanted
    assert found["StateDirectory"].startswith("mcsync")
    assert ("TimeoutStartSec" in found) == (found.get("Type") == "oneshot")
    # From here on all units say the same.
    shared = settings(unit)[settings(unit).index(("UMask", "0077")) :]
    assert [pair for pair in shared if pair[0] != "WantedBy"] == settings("mcsync.service")[
        settings("mcsync.service").index(("UMask", "0077")) :
    ]
