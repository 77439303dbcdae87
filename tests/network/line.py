"""A line between two network namespaces that delays packets and loses some: python3 line.py NEAR FAR DELAY JITTER LOSS

NEAR and FAR are names of namespaces; each gets an interface `line`, with the address 10.77.0.1 and 10.77.0.2. DELAY and JITTER are
milliseconds each way, LOSS is a share such as 0.01. Prints `up`, forwards until it is killed, and then prints what it did. Needs root and
/dev/net/tun, and no module of the kernel that not every kernel has. Example: python3 line.py near far 20 5 0.01
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def end(space, address):
    """One end: an interface in a namespace, as a file that packets are read from and written to."""
    with open(f"/run/netns/{space}") as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), 0) != 0:
            sys.exit(f"line: cannot enter {space}: {os.strerror(ctypes.get_errno())}")
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", b"line", IFF_TUN | IFF_NO_PI))
    for words in (f"addr add {address}/24 dev line", "link set line mtu 1400 txqueuelen 1000 up"):
        subprocess.run(["ip", *words.split()], check=True)
    return file


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    near, far = sys.argv[1:3]
    delay, jitter, loss = (float(x) for x in sys.argv[3:])
    ends = [end(near, "10.77.0.1"), end(far, "10.77.0.2")]
    counts = {"carried": 0, "lost": 0}

    def stop(*_):
        print(f"the line carried {counts['carried']} packets and lost {counts['lost']}", flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    print("up", flush=True)
    under_way = []
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for file in select.select(ends, [], [], wait)[0]:
            packet, to = os.read(file, 65_536), ends[1 - ends.index(file)]
            if random.random() < loss:
                counts["lost"] += 1
                continue
            due = time.monotonic() + max(0.0, random.gauss(delay, jitter / 2)) / 1e3
            heapq.heappush(under_way, (due, random.random(), packet, to))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, packet, to = heapq.heappop(under_way)
            try:
                os.write(to, packet)
                counts["carried"] += 1
            except OSError:
                # An end that is full drops a packet, as any other does.
                counts["lost"] += 1


main()
