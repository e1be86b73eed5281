"""The least that two round trips cost over paramiko: connect, and two execs of recorded scripts."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko

settings = json.loads(Path("settings.json").read_text("utf-8"))
loop = Path("loop").read_text("utf-8")
scripts = [Path(f"script{number}").read_bytes() for number in (1, 2)]
key = paramiko.PKey.from_path(settings["key"])


def work(address: str) -> int:
    """Talk to one host; how much it answered."""
    stream = socket.create_connection((address, settings["port"]), 30)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answered = 0
    transport = paramiko.Transport(stream)
    transport.connect(username="root", pkey=key)
    for script in scripts:
        channel = transport.open_session()
        channel.exec_command(loop)
        channel.sendall(script)
        channel.shutdown_write()
        while data := channel.recv(1 << 16):
            answered += len(data)
        channel.close()
    transport.close()
    return answered


with ThreadPoolExecutor(settings["forks"]) as pool:
    least = min(pool.map(work, settings["addresses"]))
if least < 1000:
    message = f"a host answered {least} bytes only"
    raise SystemExit(message)
