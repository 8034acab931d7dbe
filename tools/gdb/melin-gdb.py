# SPDX-License-Identifier: BSD-3-Clause
"""Commands for gdb that show what melin knows in a process: its descriptors, sockets, connections,
epoll instances, waiting threads and device. They only read memory: they work on a core file as well
as on a live process, and call nothing in it. Not for what the kernel knows (ss, /proc).

    gdb -p PID -ex 'source tools/gdb/melin-gdb.py' -ex 'melin descriptors'

"help melin" lists the commands. The libraries need their debugging information (-g, the default).
"""

import socket
import struct

import gdb


class Melin(gdb.Command):
    """Shows what melin knows in this process."""

    def __init__(self):
        super().__init__("melin", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class MelinCommand(gdb.Command):
    """A command below "melin", named by its class, that tells errors without a trace."""

    def __init__(self, name):
        super().__init__("melin " + name, gdb.COMMAND_DATA, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        try:
            self.show(gdb.string_to_argv(argument))
        except gdb.error as error:
            raise gdb.GdbError(f"melin: {error} (is libmelin.so loaded, with -g?)") from error


# ---- reading ----------------------------------------------------------------------------------

def plain(value):
    """The value without _Atomic and const, as a number; an enumeration by its name."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_ENUM:
        return str(value)
    return int(value)


def variable(name):
    """A global variable, static ones included; None if its library is not loaded."""
    symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    return symbol.value() if symbol else None


def needed(name):
    value = variable(name)
    if value is None:
        raise gdb.GdbError(f"melin: there is no {name} here: is the library loaded, with -g?")
    return value


def cast(value, type_name):
    """A pointer to another structure, whose type may exist in one of the libraries only."""
    return value.cast(gdb.lookup_type(type_name).pointer())


def chain(first, member="next"):
    """The elements of a linked list; ends at a loop."""
    seen = set()
    while int(first) and int(first) not in seen:
        seen.add(int(first))
        yield first.dereference()
        first = first[member]


def queue(head, entry_name):
    """The elements of a list of <sys/queue.h>."""
    seen = head["lh_first"]
    while int(seen):
        yield seen.dereference()
        seen = seen[entry_name]["le_next"]


def address(ip, port):
    """lwIP's ip_addr_t and a port, as people write them."""
    words = ip["u_addr"]["ip6"]["addr"]
    if int(ip["type"]) == 6:
        packed = b"".join(struct.pack("=I", int(words[i])) for i in range(4))
        return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port)}"
    packed = struct.pack("=I", int(ip["u_addr"]["ip4"]["addr"]))
    return f"{socket.inet_ntop(socket.AF_INET, packed)}:{int(port)}"


EVENTS = [(0x1, "in"), (0x2, "pri"), (0x4, "out"), (0x8, "err"), (0x10, "hup"), (0x2000, "rdhup"),
          (1 << 30, "oneshot"), (1 << 31, "edge")]


def events(bits):
    names = [name for bit, name in EVENTS if bits & bit]
    return "+".join(names) or "none"


def flags(value, names):
    """Those of the boolean members that are set."""
    return " ".join(name for name in names if int(value[name])) or "-"


# ---- what preload/ knows ----------------------------------------------------------------------

KINDS = {"OBJECT_SOCKET": "struct socket", "OBJECT_EPOLL": "struct epoll"}


def entries():
    """All (descriptor, object) of the table; the object is None for melin's own descriptors."""
    table = needed("descriptor_table")
    for number in range(int(needed("highest_known")) + 1):
        pointer = table[number]
        if int(pointer) & 1:
            continue  # a thread is closing it
        if int(pointer):
            kind = plain(pointer["kind"])
            yield number, kind, cast(pointer, KINDS[kind]) if kind in KINDS else None


def entry(words, kind):
    """The object of the descriptor that the command names."""
    if len(words) != 1:
        raise gdb.GdbError("melin: which descriptor? (one number)")
    for number, found, pointer in entries():
        if number == int(words[0]):
            if found != kind:
                raise gdb.GdbError(f"melin: descriptor {number} is {found}, not {kind}")
            return pointer.dereference()
    raise gdb.GdbError(f"melin: descriptor {words[0]} is not known to melin: it is the kernel's")


class Descriptors(MelinCommand):
    """melin descriptors: the table of descriptors that melin knows, and whose each one is."""

    def show(self, _):
        needed("descriptor_table")
        print(f"{'number':>6} {'what':<16} {'state':<18} {'references':>10}  {'connection'}")
        for number, kind, pointer in entries():
            if pointer is None:
                print(f"{number:6} {kind}")
                continue
            state = plain(pointer["state"]) if kind == "OBJECT_SOCKET" else ""
            names = ""
            if kind == "OBJECT_SOCKET" and int(pointer["handle"]):
                names = ends(cast(pointer["handle"], "struct stack_socket"))
            print(f"{number:6} {kind:<16} {state:<18} "
                  f"{plain(pointer['object']['references']):10}  {names}")


class Socket(MelinCommand):
    """melin socket DESCRIPTOR: a socket of the program, and the stack's half of it."""

    def show(self, words):
        known = entry(words, "OBJECT_SOCKET")
        print(f"state {plain(known['state'])}, domain {int(known['domain'])}, "
              f"twin {plain(known['reach'])}, "
              f"flags: {flags(known, ['v6only', 'nonblocking', 'failed'])} "
              f"{flags(known['listener'], ['dual', 'shared'])}")
        print(f"references {plain(known['object']['references'])}, "
              f"descriptors {plain(known['object']['descriptors'])}, "
              f"watches {sum(1 for _ in chain(known['object']['source']['watches']))}")
        if not int(known["handle"]):
            print("no half in the stack: the kernel's, or not decided yet")
            return
        show_connection(cast(known["handle"], "struct stack_socket").dereference())


class Epoll(MelinCommand):
    """melin epoll DESCRIPTOR: the items of an epoll instance that melin serves."""

    def show(self, words):
        epoll = entry(words, "OBJECT_EPOLL")
        print(f"{plain(epoll['served'])} items served by melin, "
              f"kernel items: {'yes' if int(epoll['kernel_items']) else 'no'}, "
              f"threads in libc's epoll_wait: {plain(epoll['kernel_waiters'])}")
        for name in "items", "mixed":
            for item in queue(epoll[name], "every"):
                print(f"  descriptor {int(item['descriptor'])}: {plain(item['form'])}, "
                      f"wants {events(int(item['events']) & 0xffffffff)}, data "
                      f"{int(item['data']):#x}, "
                      f"{flags(item, ['queued', 'disabled', 'kernel_ready', 'pending'])}")


class Waiters(MelinCommand):
    """melin waiters: the threads that sleep in a call of melin's, and who watches the device."""

    def show(self, _):
        waiters = list(queue(needed("sleepers"), "sleeping"))
        for waiter in waiters:
            print(f"waiter {int(waiter.address):#x}: woken {plain(waiter['woken'])}, eventfd "
                  f"{int(waiter['descriptor'])}, {flags(waiter, ['watching'])}")
        print(f"{len(waiters)} threads sleep")


# ---- what stack/ knows ------------------------------------------------------------------------

def instance():
    pointer = variable("melin_instance")
    if pointer is None or not int(pointer):
        raise gdb.GdbError("melin: no stack runs in this process")
    return pointer.dereference()


def ends(pointer):
    return (f"{address(pointer['local'], pointer['local_port'])} -> "
            f"{address(pointer['remote'], pointer['remote_port'])}")


def state_of(connection):
    """The stack's own state, and lwIP's while there is a PCB."""
    state = plain(connection["state"])
    if int(connection["pcb"]):
        state += " " + plain(connection["pcb"]["state"])
    return state


class Connections(MelinCommand):
    """melin connections: all sockets of the stack, with their queues (bytes unread and unsent)."""

    def show(self, _):
        count = 0
        print(f"{'socket':<14} {'state':<30} {'unread':>8} {'unsent':>8}  {'connection'}")
        for connection in queue(instance()["sockets"], "every"):
            print(f"{int(connection.address):#014x} {state_of(connection):<30} "
                  f"{plain(connection['readiness']['readable_bytes']):8} "
                  f"{plain(connection['readiness']['unsent_bytes']):8}  {ends(connection)}")
            count += 1
        print(f"{count} sockets")


def show_connection(connection):
    print(f"connection {int(connection.address):#x}: {ends(connection)}")
    print(f"  {state_of(connection)}, {plain(connection['phase'])}, ready: "
          f"{events(plain(connection['readiness']['ready']))}, error {int(connection['error'])}, "
          f"shutdown {int(connection['shutdown'])}")
    received = connection["received"]
    print(f"  received, unread: {int(received['bytes'])} bytes in {int(received['buffers'])} "
          f"buffers; out of order: {int(connection['segments']['out_of_order'])} segments")
    if plain(connection["state"]) == "SOCKET_LISTENING":
        queue = connection["accept_queue"]
        print(f"  backlog {int(queue['backlog'])}, accept queue "
              f"{int(queue['established_count'])}, embryos {int(queue['embryo_count'])}")
        return
    pcb = connection["pcb"]
    if not int(pcb):
        print("  no PCB: the connection is over, or has not begun")
        return
    pcb = pcb.dereference()
    in_flight = (int(pcb["snd_nxt"]) - int(pcb["lastack"])) & 0xffffffff
    print(f"  sending: next {int(pcb['snd_nxt'])}, acknowledged {int(pcb['lastack'])} "
          f"({in_flight} in flight), window {int(pcb['snd_wnd'])}, congestion window "
          f"{int(pcb['cwnd'])}, segment {int(pcb['mss'])}")
    print(f"  receiving: next {int(pcb['rcv_nxt'])}, window {int(pcb['rcv_wnd'])}")
    counts = connection["info"]
    print(f"  retransmitted {int(counts['retransmitted'])}, segments in "
          f"{int(counts['segments_in'])}, out {int(counts['segments_out'])}")


class Connection(MelinCommand):
    """melin connection ADDRESS: one of "melin connections", by the address in its first column."""

    def show(self, words):
        if len(words) != 1:
            raise gdb.GdbError("melin: which socket? (its address)")
        pointer = cast(gdb.Value(int(words[0], 0)), "struct stack_socket")
        show_connection(pointer.dereference())


class Locks(MelinCommand):
    """melin locks: who holds the stack's lock and preload's (docs/LOCKING.md)."""

    NAMES = ["start_lock", "listeners_lock", "pending_lock", "wait_lock", "free_lock",
             "action_lock", "streams_lock"]

    def show(self, _):
        for name in self.NAMES:
            lock = variable(name)
            if lock is not None:
                owner = int(lock["__data"]["__owner"])
                print(f"{name}: {f'held by thread {owner}' if owner else 'free'}")
        pointer = variable("melin_instance")
        if pointer is not None and int(pointer):
            lock = pointer["lock"]
            words = {0: "free", 1: "held", 2: "held, and somebody sleeps"}
            print(f"stack->lock: {words[plain(lock['word'])]}, owner {plain(lock['owner']):#x}")


# ---- what dpdk/ knows -------------------------------------------------------------------------

class Link(MelinCommand):
    """melin link: the device, its rings and the frames that wait to be sent."""

    def show(self, _):
        stack = instance()
        if not int(stack["link"]):
            print("device loop: no link")
            return
        link = cast(stack["link"], "struct device_link").dereference()
        info = link["info"]
        print(f"device {link['device']['name'].string()}, driver {link['driver'].string()}, "
              f"MTU {int(info['mtu'])}, descriptor to sleep on {int(info['wait_descriptor'])}")
        print(f"queues {int(link['queues'])}, receive ring {int(link['rxd'])}, transmit ring "
              f"{int(link['txd'])}, next queue {int(link['next_queue'])}")
        print(f"buffers held by lwIP {int(link['held'])}, frames queued to be sent "
              f"{int(link['queued'])}")
        counters = link["counters"]
        print("counters: " + ", ".join(f"{field.name} {int(counters[field.name])}"
                                       for field in counters.type.fields()))
        if int(link["packet"]):
            packet = link["packet"].dereference()
            print(f"packet socket {int(packet['socket'])}, {int(packet['frames'])} slots")


Melin()
for each in (Descriptors, Socket, Epoll, Waiters, Connections, Connection, Locks, Link):
    each(each.__name__.lower())
