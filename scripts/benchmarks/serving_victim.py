"""A client that is killed in the middle of its requests: python serving_victim.py PORT < REQUEST

Some connections ask and ask again and read no more than they must; the others stop in the middle of a request.
"""

import socket
import sys
import threading
import time

ASK, STOP = 2, 4
"""Connections of either kind."""
LIVES = 30.0
"""Seconds at most, should nobody kill it."""


def ask(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            connection.sendall(request)
            connection.recv(1 << 16)
            time.sleep(0.05)


def stop(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request[: len(request) // 2])
        time.sleep(LIVES)


if __name__ == "__main__":
    asked = sys.stdin.buffer.read()
    for kind in [ask] * ASK + [stop] * STOP:
        threading.Thread(target=kind, args=(int(sys.argv[1]), asked), daemon=True).start()
    time.sleep(LIVES)
