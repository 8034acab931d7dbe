#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sends frames that no kernel would send, for tests/device.bats.

frames.py INTERFACE sums ADDRESS      TCP segments with each form of checksum
frames.py INTERFACE cut ADDRESS       a TCP segment, cut at every length
frames.py INTERFACE long6 ADDRESS     large segments of more than 64 KB over IPv6, cut by others
frames.py INTERFACE vlan ID ADDRESS SECONDS
                                      a tagged ping; prints the tag of the answer, if one comes
"""
import ipaddress
import socket
import struct
import sys

interface = sys.argv[1]
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind((interface, 0))
own_mac = link.getsockname()[4]


def fold(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo(target, length):
    if target.version == 4:
        return peer(target).packed + target.packed + struct.pack("!HH", 6, length)
    return peer(target).packed + target.packed + struct.pack("!IHH", length, 0, 6)


def peer(target):
    return ipaddress.ip_address(int(target) + 100)


def packet(target, payload, protocol):
    if target.version == 4:
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
        header += peer(target).packed + target.packed
        header = header[:10] + struct.pack("!H", 0xFFFF ^ fold(header)) + header[12:]
    else:
        header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        header += peer(target).packed + target.packed
    return header + payload


def send(kind, content, tag=b""):
    link.send(b"\xff" * 6 + own_mac + tag + struct.pack("!H", kind) + content)


def kind_of(target):
    return 0x0800 if target.version == 4 else 0x86DD


def segment(target, form):
    text = b"an odd number of bytes."
    bare = struct.pack("!HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x10, 100, 0, 0) + text
    start = fold(pseudo(target, len(bare)))
    whole = 0xFFFF ^ fold(pseudo(target, len(bare)) + bare)
    value = {"finished": whole, "unfinished": start, "wrong": whole ^ 1,
             "complement": 0xFFFF ^ start, "zero": 0}[form]
    return bare[:16] + struct.pack("!H", value) + bare[18:]


def sums(target):
    for form in "finished", "unfinished", "wrong", "complement", "zero":
        send(kind_of(target), packet(target, segment(target, form), 6))


def cut(target):
    whole = packet(target, segment(target, "finished"), 6)
    for length in range(len(whole)):
        send(kind_of(target), whole[:length])


def long6(target):
    """With the length in a jumbo option, as Linux has made them, and with none at all."""
    PACKET_VNET_HDR = 15
    link.setsockopt(263, PACKET_VNET_HDR, 1)
    size = 100000
    checksum = struct.pack("!H", fold(pseudo(target, 20 + size)))
    bare = struct.pack("!HHIIBBH", 1, 2, 3, 4, 0x50, 0x11, 100) + checksum + b"\0\0" + bytes(size)
    jumbo = struct.pack("!BBBBI", 6, 0, 0xC2, 4, 8 + len(bare))
    for options in jumbo, b"":
        header = struct.pack("!IHBB", 6 << 28, 0, 0 if options else 6, 64)
        start = 14 + 40 + len(options)
        offload = struct.pack("=BBHHHH", 1, 4, start + 20, 1400, start, 16)
        link.send(offload + b"\xff" * 6 + own_mac + struct.pack("!H", 0x86DD) + header +
                  peer(target).packed + target.packed + options + bare)


def vlan(number, target, seconds):
    ping = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"hello"
    ping = ping[:2] + struct.pack("!H", 0xFFFF ^ fold(ping)) + ping[4:]
    send(0x0800, packet(target, ping, 1), struct.pack("!HH", 0x8100, number))
    link.settimeout(seconds)
    try:
        while True:
            # The kernel takes the tag out of the frame and tells it aside.
            frame, aside, _, _ = link.recvmsg(2000, 200)
            if frame[6:12] == own_mac or frame[12:14] not in (b"\x81\0", b"\x08\0"):
                continue
            tags = [struct.unpack_from("=IIIHHHH", data)[5] for _, kind, data in aside if kind == 8]
            if frame[12:14] == b"\x81\0":
                tags = [struct.unpack("!H", frame[14:16])[0]]
            print("answer", tags[0] if tags else "without a tag")
            return
    except TimeoutError:
        print("no answer")


if sys.argv[2] == "vlan":
    PACKET_AUXDATA = 8
    link.setsockopt(263, PACKET_AUXDATA, 1)
    vlan(int(sys.argv[3]), ipaddress.ip_address(sys.argv[4]), float(sys.argv[5]))
else:
    {"sums": sums, "cut": cut, "long6": long6}[sys.argv[2]](ipaddress.ip_address(sys.argv[3]))
