"""`hostname` on every host by Fabric's ThreadingGroup; reads settings.json."""

import json
from pathlib import Path

from fabric import Connection, ThreadingGroup

settings = json.loads(Path("settings.json").read_text("utf-8"))
options = {"key_filename": settings["key"], "look_for_keys": False, "allow_agent": False}
ThreadingGroup.from_connections(
    [
        Connection(address, user="root", port=settings["port"], connect_kwargs=options)
        for address in settings["addresses"]
    ]
).run("hostname")
