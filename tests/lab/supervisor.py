"""The process that stands by one host: `python -m tests.lab.supervisor DIRECTORY`."""

import sys
from pathlib import Path

from tests.lab.machine import Machine, supervise

if __name__ == "__main__":
    sys.exit(supervise(Machine.read(Path(sys.argv[1]))))
