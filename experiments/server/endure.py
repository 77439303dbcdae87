#!/usr/bin/env python3
"""Ten minutes past saturation, with a server that is killed and clients that misbehave; memory once a second.

    SORDINO=target/release/sordino LOAD=target/release/examples/load python3 experiments/server/endure.py OUT [MINUTES]

Every protocol is asked more than the machine answers. Beside it one client uploads an evaluation key at 1 KB/s, one sends garbage, and
eight connections ask for the client half again and again and read nothing. After a third and after two thirds of the time the server is
killed with SIGKILL and started again on the same keys. OUT gets `load.csv` (what became of the queries, minute by minute), `memory.csv`
(resident memory of the server, each second), `memory-25s.csv` (its least and most in 25 s, for the figure) and `misbehaved.json` (what the
others were told). Python alone is enough.
"""

import collections
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HOST, PORT, METRICS = "127.0.0.1", 7670, 7671
MODEL = os.environ.get("MODEL", "models/composed")
NAME = Path(MODEL).name
# More than two cores answer, all three together: queries a second.
RATES = {"flat": 150, "routed": 20, "decided": 1.5}
SERVE = [MODEL, "--listen", f"{HOST}:{PORT}", "--metrics", f"{HOST}:{METRICS}", "--budget", "none", "--queue-a-client", "96", "--deadline", "20"]
QUERIES = f"/v1/models/{NAME}/protocols/flat/queries"

over = threading.Event()
told = collections.defaultdict(collections.Counter)


def ask(method, path, body=None, headers={}, port=PORT):
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def start(out):
    log = open(out / "server.log", "ab")
    server = subprocess.Popen([os.environ["SORDINO"], "serve", *SERVE, "--store", str(out / "keys")], stdout=log, stderr=log)
    while True:
        try:
            if ask("GET", "/readyz")[0] == 200:
                return server
        except OSError:
            time.sleep(0.1)


def slow_upload(length):
    """An evaluation key, or what has its length, at 1 KB/s."""
    while not over.is_set():
        try:
            with socket.create_connection((HOST, PORT), timeout=60) as line:
                name = random.randbytes(32).hex()
                head = f"PUT /v1/keys/{name} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a-client-on-a-slow-line\r\n"
                line.sendall(f"{head}content-length: {length}\r\n\r\n".encode())
                line.settimeout(1)
                while not over.is_set():
                    line.sendall(random.randbytes(1_000))
                    try:
                        reply = line.recv(12)
                        told["slow upload"][reply.decode() or "closed"] += 1
                        break
                    except TimeoutError:
                        continue
        except OSError as error:
            told["slow upload"][type(error).__name__] += 1
            time.sleep(1)


def garbage():
    """Bytes that are no HTTP, and bodies that are no query."""
    while not over.is_set():
        try:
            if random.random() < 0.5:
                told["garbage as a query"][ask("POST", QUERIES, random.randbytes(random.randrange(20_000)))[0]] += 1
            else:
                with socket.create_connection((HOST, PORT), timeout=20) as line:
                    line.sendall(random.randbytes(random.randrange(1, 2_000)) + b"\r\n\r\n")
                    told["garbage as HTTP"][line.recv(12).decode(errors="replace") or "closed"] += 1
        except (OSError, http.client.HTTPException) as error:
            told["garbage"][type(error).__name__] += 1
        time.sleep(0.2)


def never_reads():
    """Asks for the client half over and over on one connection, reads none of it, and notes when the server has had enough."""
    question = f"GET /v1/models/{NAME}/client HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    while not over.is_set():
        try:
            with socket.socket() as line:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                line.settimeout(5)
                line.connect((HOST, PORT))
                begun = time.monotonic()
                line.sendall(question * 50)
                # Until the server has taken it, nobody owns its end.
                while not over.is_set() and not held_by_server(line) and time.monotonic() < begun + 10:
                    time.sleep(0.1)
                while not over.is_set() and held_by_server(line):
                    time.sleep(1)
                if not over.is_set():
                    told["never reads"][f"let go after {5 * round((time.monotonic() - begun) / 5)} s"] += 1
        except OSError as error:
            told["never reads"][type(error).__name__] += 1
            time.sleep(1)


def held_by_server(line):
    """Whether the server's end of a connection still belongs to a process. Data that nobody reads hides the end of a connection from us."""
    ends = f":{PORT:04X}", f":{line.getsockname()[1]:04X}"
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any((row[1][-5:], row[2][-5:]) == ends and row[9] != "0" for row in rows)


def resident(process):
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kilobytes[0]) * 1.024e-3 if kilobytes else None


def summarise(out):
    held = collections.defaultdict(list)
    for row in (out / "memory.csv").read_text().splitlines()[1:]:
        second, megabytes = row.split(",")
        held[int(second) // 25 * 25].append(float(megabytes))
    rows = [f"{second},{what},{of(found)}" for what, of in (("most", max), ("least", min)) for second, found in held.items()]
    (out / "memory-25s.csv").write_text("\n".join(["second,what,server_mb", *rows]) + "\n")


def main():
    out, minutes = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    out.mkdir(parents=True)
    server = start(out)
    models = json.loads(ask("GET", f"/v1/models/{NAME}")[1])
    length = next(p["evaluation_key_bytes"] for p in models["protocols"] if p["evaluation_key_bytes"])
    loads = {}
    for protocol, rate in RATES.items():
        plan = f"{protocol}:" + ",".join([str(rate)] * minutes)
        command = [os.environ["LOAD"], f"http://{HOST}:{PORT}", NAME, MODEL, "-", "60", plan]
        loads[protocol] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(out / f"{protocol}.log", "w"), text=True)
    bad = [threading.Thread(target=slow_upload, args=[length]), threading.Thread(target=garbage)]
    bad += [threading.Thread(target=never_reads) for _ in range(8)]
    for thread in bad:
        thread.start()
    begun, kills = time.monotonic(), [minutes * 20, minutes * 40]
    with open(out / "memory.csv", "w") as memory:
        print("second,server_mb", file=memory)
        while any(load.poll() is None for load in loads.values()):
            second = time.monotonic() - begun
            held = resident(server.pid)
            if held is not None:
                print(f"{second:.0f},{held:.1f}", file=memory, flush=True)
            if kills and second > kills[0]:
                kills.pop(0)
                server.kill()
                server.wait()
                server = start(out)
            time.sleep(max(0, begun + round(second) + 1 - time.monotonic()))
    over.set()
    summarise(out)
    rows = [load.stdout.read().splitlines() for load in loads.values()]
    (out / "load.csv").write_text("\n".join(rows[0][:1] + [row for found in rows for row in found[1:]]) + "\n")
    told["afterwards"][f"/readyz {ask('GET', '/readyz')[0]}"] += 1
    metrics = ask("GET", "/metrics", port=METRICS)[1].decode()
    keep = ("sordino_keys_in_memory", "sordino_key_memory", "sordino_queries_", "sordino_seats", "sordino_key_")
    told["metrics"] = {line.split()[0]: float(line.split()[1]) for line in metrics.splitlines() if line.startswith(keep)}
    for thread in bad:
        thread.join(90)
    (out / "misbehaved.json").write_text(json.dumps(told, indent=2, default=str) + "\n")
    server.terminate()
    print("the server ended with", server.wait(100))


if __name__ == "__main__":
    main()
