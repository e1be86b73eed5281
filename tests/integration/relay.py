"""A program like netcat: its standard input and output become a TCP connection.

Usage: relay.py HOST PORT
"""

import os
import socket
import sys
import threading

if __name__ == "__main__":
    link = socket.create_connection((sys.argv[1], int(sys.argv[2])))

    def receive() -> None:
        while data := link.recv(1 << 16):
            os.write(1, data)
        os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    while sent := os.read(0, 1 << 16):
        link.sendall(sent)
