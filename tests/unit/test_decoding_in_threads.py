"""Several threads decode answers of one shape for the first time at once; the process lives on."""

import subprocess
import sys

SCRIPT = """
import sys, threading, msgspec
from mcsync.http import decode_json

sys.setswitchinterval(1e-6)

def make(number):
    here = {"__module__": __name__}
    fields = [(f"a{i}", "int | None", None) for i in range(8)]
    globals()[f"Inner{number}"] = msgspec.defstruct(f"Inner{number}", fields, namespace=here)
    some = msgspec.field(default_factory=list)
    fields = [(f"f{i}", f"list[Inner{number}]", some) for i in range(8)]
    return msgspec.defstruct(f"Outer{number}", fields, namespace=here)

def decode(shape, met):
    met.wait()
    assert decode_json(b'{"f0": [{"a1": "1"}]}', shape).f0[0].a1 == 1

for number in range(60):
    given = make(number), threading.Barrier(6)
    threads = [threading.Thread(target=decode, args=given) for _ in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print("alive")
"""


def test_a_shape_may_be_met_by_several_threads_at_once():
    found = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "alive\n", "")
