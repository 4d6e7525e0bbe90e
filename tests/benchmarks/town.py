"""A town of new people, at a CiviCRM that takes its time: `python -m tests.benchmarks.town`.

Prints its config as one line, then a line of counts for each line that it reads.
"""

import argparse
import json
import sys

from mcsync.sandbox.civicrm.tempo import Tempo
from mcsync.sandbox.town import Town

LIST, GROUP = "aaaaaaaaaa", 111
LIMITS = ("maxUnsubscribes", "maxRemovals", "maxAdditions", "maxNewContacts", "maxAddressChanges")


def main() -> None:
    """Serve the town until its standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, required=True)
    people = parser.parse_args().people
    with Town() as town:
        town.add_audience(LIST, "Main audience", GROUP, {})
        for number in range(people):
            town.mailchimp.import_member(
                LIST, f"person{number}@example.org", first_name="Gravel", last_name=f"Berry{number}"
            )
        town.civicrm.tempo = tempo = Tempo()
        config = {**town.make_config(), "safety": dict.fromkeys(LIMITS)}
        _tell(config)
        for _ in sys.stdin:
            _tell(
                {
                    "busy_s": dict(tempo.busy_s),
                    "most": dict(tempo.most),
                    "contacts": len(town.civicrm.contacts(source="mailchimpsync")),
                    "group": len(town.civicrm.group_members(GROUP)),
                    "requests": len(town.civicrm_server.requests),
                }
            )


def _tell(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
