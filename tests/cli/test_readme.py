"""README.md is the front page: it is short, its commands work, and it leads into the manual."""

import re
from pathlib import Path

from mcsync.docs import list_topics

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_blocks_to_see_it_work_and_to_test_it_are_there():
    blocks = re.findall(r"^```(sh[^\n]*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert [text for kind, text in blocks if kind == "sh" and text.rstrip().endswith("mcsync demo")]
    (test,) = [text for kind, text in blocks if kind == "sh test"]
    assert "pytest" in test
    assert (ROOT / ".ci" / "run").exists()


def test_it_is_one_page():
    assert len(README.splitlines()) <= 180


def test_cron_and_monitoring_are_told():
    for words in ("MAILTO=", "*/5 * * * *", "mcsync status --max-age 1h", "mcsync sample"):
        assert words in README


def test_every_page_of_the_manual_is_linked_in_its_order():
    rows = re.findall(r"^\| \[([\w-]+)\]\((\S+)\) \| (.*) \|$", README, re.MULTILINE)
    titles = {topic: title.partition(": ")[2] for topic, title in list_topics().items()}
    assert [(topic, about) for topic, _, about in rows] == list(titles.items())


def test_its_links_lead_to_files():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not (ROOT / link).is_file()] == []
