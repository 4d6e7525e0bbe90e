"""The manual's pages and the ready files: what `mcsync help` and `mcsync sample` print.

A page is a `TOPIC.md` in this folder, its first line is its title, and its place is in `TOPICS`. A
ready file lies in `samples/` and has a line in `SAMPLES`.
"""

from importlib.resources import files

# In the order in which somebody needs them.
TOPICS = (
    *("setting-up", "first-sync", "running", "webhooks", "commands", "config", "data", "cache"),
    *("undo", "speed", "troubleshooting", "moving", "security", "changes"),
)
SAMPLES = {
    "config.json": "every key of the config, with its default or an example",
    "schema.json": "the config's JSON Schema, for editors that complete and check by one",
    "cron.d": "for /etc/cron.d: a sync every five minutes, and mail when something is wrong",
    "mcsync.service": "systemd: one sync, with as few rights as it needs",
    "mcsync.timer": "systemd: starts mcsync.service every five minutes",
    "mcsync@.service": "systemd: one sync for one of many customers",
    "mcsync@.timer": "systemd: starts mcsync@.service every five minutes",
    "mcsync-webhooks.service": "systemd: mcsync serve, which receives webhooks",
    "webhook.cgi": "a CGI script that receives webhooks, where no server can be run",
    "nginx.conf": "nginx in front of mcsync serve; keeps the secret out of the logs",
    "apache.conf": "Apache in front of mcsync serve; keeps the secret out of the logs",
    "notify-mail": "a program for notify.command that mails what it is told",
    "Dockerfile": "a container that syncs every five minutes, not as root",
}


def find_sample(word: str) -> str | None:
    """The ready file that is meant by its name, or by its name's beginning: "nginx".

    None when there is none, or more than one.
    """
    wanted = word.lower()
    whole = [name for name in SAMPLES if name.lower() == wanted]
    begun = [name for name in SAMPLES if name.lower().startswith(f"{wanted}.")]
    found = whole or begun
    return found[0] if len(found) == 1 else None


def name_samples() -> list[str]:
    """Every word that `find_sample` understands: to tell which one was meant."""
    words = [word for name in SAMPLES for word in (name, name.partition(".")[0])]
    return [word for word in dict.fromkeys(words) if find_sample(word)]


def read_sample(name: str) -> str:
    """The text of a ready file; `name` is a key of SAMPLES."""
    return (files(__name__) / "samples" / name).read_text(encoding="utf-8")


def list_topics() -> dict[str, str]:
    """The manual's pages by name, with their titles, in the order of `TOPICS`."""
    return {topic: read_topic(topic).partition("\n")[0].lstrip("# ") for topic in TOPICS}


def read_topic(topic: str) -> str:
    """A page of the manual, as Markdown; `topic` is one of `TOPICS`."""
    return (files(__name__) / f"{topic}.md").read_text(encoding="utf-8")
