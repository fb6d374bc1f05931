"""The error numbers that kernel SCTP sockets give: provokes each error by system calls, and says 'errno NAME NUMBER'. The
table in socketapi/tests/errno.rs has the same names. Changes the network: to be run in a namespace of its own.
"""
import ctypes
import os
import socket
import struct
import time

SCTP = 132
LIBC = ctypes.CDLL(None, use_errno=True)
ANY, HERE, SILENT = "0.0.0.0", "127.0.0.1", "10.77.0.2"
# Numbers of <linux/sctp.h>.
RTOINFO, INITMSG, SET_PEER_PRIMARY, PRIMARY_ADDR, DISABLE_FRAGMENTS = 0, 2, 5, 6, 8
PEER_ADDR_PARAMS, STATUS, DELAYED_SACK, AUTH_CHUNK, HMAC_IDENT, AUTH_KEY, AUTH_ACTIVE_KEY = 9, 14, 16, 21, 22, 23, 24
AUTH_DELETE_KEY, ASSOC_IDS, AUTH_DEACTIVATE_KEY, REUSE_PORT = 25, 29, 35, 36
BINDX_ADD, BINDX_REM, PEELOFF, CONNECTX = 100, 101, 102, 110
PR_STREAM_STATUS, RECONFIG_SUPPORTED, ENABLE_STREAM_RESET, RESET_STREAMS, ADD_STREAMS = 116, 117, 118, 119, 121
SCHEDULER_VALUE, AUTH_SUPPORTED, MAXSEG = 124, 129, 13
SNDINFO, AUTHINFO, MSG_ABORT, MSG_EOF = 2, 6, 4, 0x200
HB_DEMAND = 4
SO_SNDBUFFORCE = 32
next_port = 30000


def port():
    global next_port
    next_port += 1
    return next_port


def inet(ip, number=0):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", number, socket.inet_aton(ip))


def storage(ip, number=0):
    return inet(ip, number).ljust(128, b"\0")


def opened(style, ip=None, number=0, listening=False, **options):
    made = socket.socket(socket.AF_INET, style, SCTP)
    impatient(made)
    for name, value in options.items():
        made.setsockopt(SCTP, globals()[name], value)
    if ip:
        made.bind((ip, number))
    if listening:
        made.listen(5)
    return made


def one(*args, **options):
    return opened(socket.SOCK_STREAM, *args, **options)


def many(*args, **options):
    return opened(socket.SOCK_SEQPACKET, *args, **options)


def impatient(made):
    made.setsockopt(SCTP, RTOINFO, struct.pack("=iIII", 0, 20, 100, 20))
    made.setsockopt(SCTP, INITMSG, struct.pack("=HHHH", 10, 10, 2, 0))


def on(value=1):
    return struct.pack("=iI", 0, value)


def ids(made):
    raw = made.getsockopt(SCTP, ASSOC_IDS, 404)
    count, = struct.unpack_from("=I", raw)
    return struct.unpack_from(f"={count}i", raw, 4)


def send(made, data=b"x", assoc=0, stream=0, flags=0, to=None, key=None, wait=0):
    control = [(SCTP, SNDINFO, struct.pack("=HHIIi", stream, flags, 0, 0, assoc))]
    if key is not None:
        control.append((SCTP, AUTHINFO, struct.pack("=H", key)))
    return made.sendmsg([data], control, wait, *([to] if to else []))


class Many:
    """An association of a one-to-many socket with a one-to-one socket."""

    def __init__(self, **options):
        self.listener = one(HERE, 0, True, **options)
        self.here = many(HERE, 0, **options)
        self.here.connect(self.listener.getsockname())
        self.peer, _ = self.listener.accept()
        self.assoc, = ids(self.here)

    def ended(self):
        self.here.setblocking(True)
        send(self.here, b"", self.assoc, flags=MSG_EOF)
        while ids(self.here):
            time.sleep(0.01)
            self.peer.setblocking(False)
            try:
                self.peer.recv(100)
            except OSError:
                pass
        return self.here, self.assoc


def streams(**options):
    listener = one(HERE, 0, True, **options)
    here = one(HERE, 0, **options)
    here.connect(listener.getsockname())
    there, _ = listener.accept()
    return here, there


def aborted():
    here, there = streams()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    there.close()
    time.sleep(0.05)
    return here


def getopt(made, name, value):
    """Options whose input is their output, which Python cannot say."""
    buffer = ctypes.create_string_buffer(value, len(value))
    length = ctypes.c_uint(len(value))
    if LIBC.getsockopt(made.fileno(), SCTP, name, buffer, ctypes.byref(length)) < 0:
        raise OSError(ctypes.get_errno(), "getsockopt")
    return buffer.raw


def peel(made, assoc):
    return getopt(made, PEELOFF, struct.pack("=ii", assoc, 0))


CASES = []


def case(function):
    """Something that makes what is needed, and returns what fails, beside what must be kept meanwhile."""
    CASES.append(function)
    return function


@case
def bind_port_in_use():
    number = port()
    kept = many(HERE, number)
    return lambda: many(HERE, number), kept


@case
def listen_port_in_use():
    number = port()
    kept = one(HERE, number, True)
    return lambda: one(HERE, number, True), kept


@case
def bind_beside_who_shares_the_port():
    number = port()
    kept = one(HERE, number, True, REUSE_PORT=1)
    return lambda: many(HERE, number), kept


@case
def share_the_port_of_many():
    return lambda: many(REUSE_PORT=1)


@case
def bind_address_of_another_host():
    return lambda: many("192.0.2.1")


@case
def connect_where_nobody_listens():
    return lambda: one().connect((HERE, port()))


@case
def connect_many_where_nobody_listens():
    return lambda: many(HERE).connect((HERE, port()))


@case
def connect_where_nobody_answers():
    return lambda: one().connect((SILENT, 7))


@case
def connect_many_where_nobody_answers():
    return lambda: many().connect((SILENT, 7))


@case
def connect_to_a_connected_peer():
    pair = Many()
    return lambda: pair.here.connect(pair.listener.getsockname()), pair


@case
def connect_to_the_peer_of_a_peeled_off_association():
    pair = Many()
    kept = peel(pair.here, pair.assoc)
    return lambda: pair.here.connect(pair.listener.getsockname()), pair, kept


@case
def connect_to_the_peer_of_who_shares_the_port():
    number = port()
    listener = one(HERE, 0, True)
    kept, here = one(HERE, number, REUSE_PORT=1), one(HERE, number, REUSE_PORT=1)
    kept.connect(listener.getsockname())
    return lambda: here.connect(listener.getsockname()), listener, kept


@case
def connect_to_a_peer_that_is_being_connected():
    here = many()
    here.setblocking(False)
    try:
        here.connect((SILENT, 7))
    except BlockingIOError:
        pass
    return lambda: here.connect((SILENT, 7)), here


@case
def connect_to_port_zero():
    return lambda: many(HERE).connect((HERE, 0))


@case
def connect_to_the_wildcard():
    return lambda: many(HERE).connect((ANY, 7))


@case
def connect_to_a_multicast_group():
    return lambda: many(HERE).connect(("224.0.0.1", 7))


@case
def connect_to_another_family():
    return lambda: many(HERE).setsockopt(SCTP, CONNECTX, struct.pack("=H", socket.AF_INET6) + struct.pack(
        "!HI16sI", 7, 0, socket.inet_pton(socket.AF_INET6, "::1"), 0))


@case
def connect_to_several_ports():
    return lambda: many(HERE).setsockopt(SCTP, CONNECTX, inet(HERE, 7) + inet("127.0.0.2", 8))


@case
def send_more_than_the_buffer_holds():
    pair = Many()
    pair.here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
    return lambda: send(pair.here, bytes(200_000), pair.assoc), pair


@case
def send_more_than_a_packet_holds():
    pair = Many()
    pair.here.setsockopt(SCTP, DISABLE_FRAGMENTS, 1)
    return lambda: send(pair.here, bytes(100_000), pair.assoc), pair


@case
def send_on_no_such_stream():
    pair = Many()
    return lambda: send(pair.here, assoc=pair.assoc, stream=5000), pair


@case
def send_nothing():
    pair = Many()
    return lambda: send(pair.here, b"", pair.assoc), pair


@case
def send_with_no_such_key():
    pair = Many(AUTH_SUPPORTED=on(), AUTH_CHUNK=b"\0")
    return lambda: send(pair.here, assoc=pair.assoc, key=9), pair


@case
def send_while_the_buffer_is_full():
    pair = Many()
    pair.here.setblocking(False)

    def fill():
        for _ in range(100_000):
            send(pair.here, bytes(1000), pair.assoc)
    return fill, pair


@case
def send_to_nobody():
    here = many(HERE)
    return lambda: send(here)


@case
def send_to_somebody_else_from_a_stream():
    here, there = streams()
    return lambda: send(here, to=("127.0.0.9", 9)), there


@case
def send_on_an_ended_association():
    here, assoc = Many().ended()
    return lambda: send(here, assoc=assoc)


@case
def send_after_a_shutdown():
    here, there = streams()
    here.shutdown(socket.SHUT_WR)
    return lambda: send(here), there


@case
def send_behind_an_eof():
    pair = Many()
    # What the peer does not receive holds the shutdown up.
    pair.here.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4_000_000)
    for _ in range(40):
        send(pair.here, bytes(10_000), pair.assoc)
    send(pair.here, b"", pair.assoc, flags=MSG_EOF)
    return lambda: send(pair.here, assoc=pair.assoc), pair


@case
def send_after_the_peer_has_shut_down():
    here, there = streams()
    there.shutdown(socket.SHUT_WR)
    here.recv(100)
    return lambda: send(here), there


@case
def send_after_an_abort_of_the_peer():
    here = aborted()
    return lambda: send(here)


@case
def receive_after_an_abort_of_the_peer():
    here = aborted()
    return lambda: here.recv(100)


@case
def receive_when_nothing_is_there():
    here, there = streams()
    here.setblocking(False)
    return lambda: here.recv(100), there


@case
def receive_when_nothing_is_there_many():
    here = many(HERE)
    here.setblocking(False)
    return lambda: here.recv(100)


@case
def accept_when_nobody_is_there():
    here = one(HERE, 0, True)
    here.setblocking(False)
    return lambda: here.accept()


@case
def abort_nobody():
    here = many(HERE)
    return lambda: send(here, b"", flags=MSG_ABORT, to=(HERE, port()))


@case
def shut_down_nobody():
    here = many(HERE)
    return lambda: send(here, b"", flags=MSG_EOF, to=(HERE, port()))


@case
def shut_down_an_ended_association():
    here, assoc = Many().ended()
    return lambda: send(here, b"", assoc, flags=MSG_EOF)


@case
def abort_an_ended_association():
    here, assoc = Many().ended()
    return lambda: send(here, b"", assoc, flags=MSG_ABORT)


@case
def peel_off_an_ended_association():
    here, assoc = Many().ended()
    return lambda: peel(here, assoc)


@case
def peel_off_twice():
    pair = Many()
    peel(pair.here, pair.assoc)
    return lambda: peel(pair.here, pair.assoc), pair


@case
def status_of_an_ended_association():
    here, assoc = Many().ended()
    return lambda: getopt(here, STATUS, struct.pack("=i172x", assoc))


@case
def option_of_an_ended_association():
    here, assoc = Many().ended()
    return lambda: getopt(here, RTOINFO, struct.pack("=i12x", assoc))


@case
def set_option_of_an_ended_association():
    here, assoc = Many().ended()
    return lambda: here.setsockopt(SCTP, RTOINFO, struct.pack("=iIII", assoc, 200, 300, 100))


@case
def rto_bounds_out_of_order():
    return lambda: many(HERE).setsockopt(SCTP, RTOINFO, struct.pack("=iIII", 0, 100, 50, 200))


@case
def sack_delay_too_long():
    return lambda: many(HERE).setsockopt(SCTP, DELAYED_SACK, struct.pack("=iII", 0, 501, 2))


@case
def fragments_too_small():
    return lambda: many(HERE).setsockopt(SCTP, MAXSEG, struct.pack("=iI", 0, 1))


@case
def primary_address_of_another_host():
    pair = Many()
    value = struct.pack("=i", pair.assoc) + storage("127.0.0.9", pair.listener.getsockname()[1])
    return lambda: pair.here.setsockopt(SCTP, PRIMARY_ADDR, value), pair


def path(pair, ip, flags=0, interval=0):
    address = storage(ip, pair.listener.getsockname()[1])
    return struct.pack("=i", pair.assoc) + address + struct.pack("=IHIIIIBx", interval, 0, 0, 0, flags, 0, 0)


@case
def heartbeat_to_another_host():
    pair = Many()
    return lambda: pair.here.setsockopt(SCTP, PEER_ADDR_PARAMS, path(pair, "127.0.0.9", HB_DEMAND)), pair


@case
def path_settings_of_another_host():
    pair = Many()
    return lambda: getopt(pair.here, PEER_ADDR_PARAMS, path(pair, "127.0.0.9")), pair


@case
def primary_address_of_ours_that_was_not_negotiated():
    pair = Many()
    value = struct.pack("=i", pair.assoc) + storage(HERE, pair.here.getsockname()[1])
    return lambda: pair.here.setsockopt(SCTP, SET_PEER_PRIMARY, value), pair


@case
def bindx_address_of_another_host():
    here = many(HERE)
    return lambda: here.setsockopt(SCTP, BINDX_ADD, inet("192.0.2.1", here.getsockname()[1]))


@case
def bindx_to_a_socket_of_all_addresses():
    here = many(ANY)
    return lambda: here.setsockopt(SCTP, BINDX_ADD, inet(HERE, here.getsockname()[1]))


@case
def bindx_an_address_twice():
    here = many(HERE)
    return lambda: here.setsockopt(SCTP, BINDX_ADD, inet(HERE, here.getsockname()[1]))


@case
def bindx_remove_the_last_address():
    here = many(HERE)
    return lambda: here.setsockopt(SCTP, BINDX_REM, inet(HERE, here.getsockname()[1]))


@case
def bindx_remove_what_is_not_there():
    here = many(HERE)
    here.setsockopt(SCTP, BINDX_ADD, inet("127.0.0.2", here.getsockname()[1]))
    return lambda: here.setsockopt(SCTP, BINDX_REM, inet("127.0.0.3", here.getsockname()[1]))


@case
def keys_without_authentication():
    here = many(HERE)
    return lambda: here.setsockopt(SCTP, AUTH_KEY, struct.pack("=iHH", 0, 1, 3) + b"key")


@case
def authenticated_init():
    here = many(HERE, AUTH_SUPPORTED=on())
    return lambda: here.setsockopt(SCTP, AUTH_CHUNK, b"\x01")


@case
def hmacs_without_sha1():
    here = many(HERE, AUTH_SUPPORTED=on())
    return lambda: here.setsockopt(SCTP, HMAC_IDENT, struct.pack("=IH", 1, 3))


def key(assoc, number):
    return struct.pack("=iHxx", assoc, number)


@case
def activate_no_such_key():
    pair = Many(AUTH_SUPPORTED=on())
    return lambda: pair.here.setsockopt(SCTP, AUTH_ACTIVE_KEY, key(pair.assoc, 9)), pair


@case
def deactivate_the_active_key():
    pair = Many(AUTH_SUPPORTED=on())
    return lambda: pair.here.setsockopt(SCTP, AUTH_DEACTIVATE_KEY, key(pair.assoc, 0)), pair


@case
def delete_the_active_key():
    pair = Many(AUTH_SUPPORTED=on())
    return lambda: pair.here.setsockopt(SCTP, AUTH_DELETE_KEY, key(pair.assoc, 0)), pair


@case
def delete_no_such_key():
    pair = Many(AUTH_SUPPORTED=on())
    return lambda: pair.here.setsockopt(SCTP, AUTH_DELETE_KEY, key(pair.assoc, 9)), pair


def reset(pair, *numbers):
    return struct.pack(f"=iHH{len(numbers)}H", pair.assoc, 2, len(numbers), *numbers)


def reconfigurable():
    return {"RECONFIG_SUPPORTED": on(), "ENABLE_STREAM_RESET": on(7)}


@case
def reset_streams_that_was_not_negotiated():
    pair = Many(RECONFIG_SUPPORTED=on(0))
    return lambda: pair.here.setsockopt(SCTP, RESET_STREAMS, reset(pair)), pair


@case
def reset_no_such_stream():
    pair = Many(**reconfigurable())
    return lambda: pair.here.setsockopt(SCTP, RESET_STREAMS, reset(pair, 5000)), pair


@case
def add_no_streams():
    pair = Many(**reconfigurable())
    return lambda: pair.here.setsockopt(SCTP, ADD_STREAMS, struct.pack("=iHH", pair.assoc, 0, 0)), pair


@case
def add_too_many_streams():
    pair = Many(**reconfigurable())
    return lambda: pair.here.setsockopt(SCTP, ADD_STREAMS, struct.pack("=iHH", pair.assoc, 0, 65535)), pair


@case
def value_of_no_such_stream():
    pair = Many()
    return lambda: pair.here.setsockopt(SCTP, SCHEDULER_VALUE, struct.pack("=iHH", pair.assoc, 5000, 1)), pair


@case
def abandoned_messages_of_no_such_stream():
    pair = Many()
    value = struct.pack("=iHHQQ", pair.assoc, 5000, 0x80, 0, 0)
    return lambda: getopt(pair.here, PR_STREAM_STATUS, value), pair


@case
def receive_on_a_closed_socket():
    here = many(HERE)
    number = here.fileno()
    here.close()
    return lambda: os.read(number, 1)


def main():
    for words in ["link set lo up", "link add silence type dummy", "addr add 10.77.0.1/24 dev silence",
                  "link set silence up"]:
        os.system("ip " + words)
    for made in CASES:
        prepared = made()
        provoke, *kept = prepared if isinstance(prepared, tuple) else (prepared,)
        number = 0
        try:
            provoke()
        except OSError as error:
            number = error.errno
        del kept
        print("errno", made.__name__, number, flush=True)


main()
