#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
#
# Options that only the kernel serves.
#
# option_flows.py connect HOST PORT   with each of them, connects to an echo server and exchanges a
#                                     byte; and with a value that asks for nothing
# option_flows.py later HOST PORT     sets each on a connection and prints what comes of it
# option_flows.py listen PORT first|later  sets one on a listener, before or after listen(), and
#                                     greets whoever comes
import ctypes
import errno
import socket
import struct
import sys

SO_TIMESTAMPING, SO_PEEK_OFF, SO_MAX_PACING_RATE, SO_ZEROCOPY = 37, 42, 47, 60
TCP_MD5SIG, TCP_FASTOPEN_CONNECT, TCP_TX_DELAY, TCP_RTO_MAX_MS = 14, 30, 37, 44
IP_LOCAL_PORT_RANGE, IPV6_FLOWINFO_SEND, IPV6_DSTOPTS = 51, 33, 59

padding = bytes((0, 0, 1, 4, 0, 0, 0, 0))
everything = (ctypes.c_ubyte * 8)(6, 0, 0, 0, 255, 255, 0, 0)  # BPF: return 65535


def filter_program():
    return struct.pack("HxxxxxxP", 1, ctypes.addressof(everything))


def key(host):
    """struct tcp_md5sig of linux/tcp.h"""
    v6 = ":" in host
    family = socket.AF_INET6 if v6 else socket.AF_INET
    packed = socket.inet_pton(family, host)
    name = struct.pack("=HHI16s" if v6 else "=HH4s", family, 0, *((0, packed) if v6 else (packed,)))
    return name.ljust(128, b"\0") + struct.pack("=BBHi", 0, 0, 3, 0) + b"key".ljust(80, b"\0")


def options(host):
    """name, level, number, a value that asks for something, one that does not"""
    yield "SO_DONTROUTE", socket.SOL_SOCKET, socket.SO_DONTROUTE, 1, 0
    yield "SO_ATTACH_FILTER", socket.SOL_SOCKET, 26, filter_program(), None
    yield "SO_MARK", socket.SOL_SOCKET, 36, 7, 0
    yield "SO_TIMESTAMPING", socket.SOL_SOCKET, SO_TIMESTAMPING, 2 | 16, 8 | 16
    yield "SO_PEEK_OFF", socket.SOL_SOCKET, SO_PEEK_OFF, 0, -1
    yield "SO_MAX_PACING_RATE", socket.SOL_SOCKET, SO_MAX_PACING_RATE, 1000000, -1
    yield "SO_ZEROCOPY", socket.SOL_SOCKET, SO_ZEROCOPY, 1, 0
    yield "SO_BINDTODEVICE", socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"other0", b"veth0"
    yield "SO_BINDTOIFINDEX", socket.SOL_SOCKET, 62, "other0", "veth0"
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as names:
        others = [name for name in names.read().split() if name not in ("cubic", "reno")]
    for name in others[:1]:
        yield "TCP_CONGESTION", socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode(), b"cubic"
    yield "TCP_FASTOPEN_CONNECT", socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, 0
    yield "TCP_TX_DELAY", socket.IPPROTO_TCP, TCP_TX_DELAY, 1000, 0
    yield "TCP_RTO_MAX_MS", socket.IPPROTO_TCP, TCP_RTO_MAX_MS, 5000, 120000
    if ":" in host:
        yield "IPV6_FLOWINFO_SEND", socket.IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1, 0
        yield "IPV6_DSTOPTS", socket.IPPROTO_IPV6, IPV6_DSTOPTS, padding, b""
    else:
        yield "IP_OPTIONS", socket.IPPROTO_IP, socket.IP_OPTIONS, b"\1\1\1\0", b""
        ports = struct.pack("HH", 40000, 41000)
        yield "IP_LOCAL_PORT_RANGE", socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, ports, 0


def set_option(s, level, number, value):
    if isinstance(value, str):
        value = socket.if_nametoindex(value)
    try:
        s.setsockopt(level, number, value)
        return "good"
    except OSError as error:
        return errno.errorcode[error.errno]


def new(host):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.settimeout(60)
    return s


def exchange(s):
    s.sendall(b"x")
    return "echo" if s.recv(1) == b"x" else "end"


def connect(host, port):
    for name, level, number, value, nothing in options(host):
        for asks, each in (True, value), (False, nothing):
            if each is None:
                continue
            with new(host) as s:
                done = set_option(s, level, number, each)
                # an interface that leads nowhere
                reached = name.startswith("SO_BINDTO") and asks
                if reached:
                    s.settimeout(0.1)
                try:
                    s.connect((host, port))
                    result = exchange(s)
                except OSError as error:
                    result = "nowhere" if reached else str(error)
                print(name, "asks" if asks else "asks nothing", done, result, flush=True)


def later(host, port):
    for name, level, number, value, nothing in options(host):
        with new(host) as s:
            s.connect((host, port))
            results = [set_option(s, level, number, value)]
            if nothing is not None:
                results.append(set_option(s, level, number, nothing))
            print(name, *results, exchange(s), flush=True)
    with new(host) as s:
        s.connect((host, port))
        results = [set_option(s, socket.IPPROTO_TCP, 14, key(host))]
        results.append(set_option(s, socket.IPPROTO_TCP, 31, b"tls"))
        print("TCP_MD5SIG and TCP_ULP", *results, exchange(s), flush=True)


def listen(port, when):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    if when == "first":
        print(set_option(listener, socket.SOL_SOCKET, 26, filter_program()), flush=True)
    try:
        listener.listen()
    except OSError as error:
        print("listen:", errno.errorcode[error.errno], flush=True)
        return
    if when == "later":
        print(set_option(listener, socket.SOL_SOCKET, 26, filter_program()), flush=True)
    print("ready", flush=True)
    while True:
        connection = listener.accept()[0]
        connection.sendall(b"hello\n")
        connection.close()


if sys.argv[1] == "listen":
    listen(int(sys.argv[2]), sys.argv[3])
else:
    globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
