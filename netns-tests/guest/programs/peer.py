"""A kernel SCTP socket that does what it is told on standard input, one command a line. What it prints:
'done COMMAND' when a command is through, 'failed COMMAND: WHY' when it is not, and what the commands say.

  listen PORT ADDRESS...          accepts on these own addresses
  connect PORT ADDRESS... from PORT ADDRESS...     to the peer's addresses from own ones
  accept                          takes the next association
  send COUNT SIZE [NAME=VALUE]... messages 0 to COUNT-1, on streams 0 to streams-1 in turn; streams=1 unordered=0
                                  ttl=MS, rtx=TIMES or prio=NUMBER for partial reliability, gap=SECONDS between them, first=0
  expect COUNT SIZE [streams=1]   receives just these messages, each stream in order; says 'received COUNT ssn=LAST'
  await EVENT                     receives such a notification, and no message before it
  collect                         receives until the peer has shut down; says 'collected INDEX...'
  echo                            sends everything back until the peer has shut down
  set NAME VALUE...               a socket option, also for sockets that are opened later
  streams in|out|both [STREAM...] begins sequence numbers anew (RFC 6525)
  tsns                            begins all sequence numbers anew (RFC 6525)
  add OUT IN                      adds streams (RFC 6525)
  status                          says 'status NAME=VALUE...'
  bind add|remove ADDRESS         changes the own addresses (RFC 5061)
  primary ADDRESS                 asks the peer to send to this own address (RFC 5061)
  shutdown, abort, close          ends the association
  reset                           closes all sockets, and forgets the options that were set

Notifications that come while it receives are said as 'event NAME NAME=VALUE...'.
"""
import socket
import struct
import sys
import time

SCTP = 132
# Numbers of <linux/sctp.h>.
RTOINFO, ASSOCINFO, INITMSG, NODELAY, SET_PEER_PRIMARY, EVENTS, STATUS = 0, 1, 2, 3, 5, 11, 14
FRAGMENT_INTERLEAVE, RECVRCVINFO, INTERLEAVING_SUPPORTED = 18, 32, 125
AUTH_CHUNK, AUTH_KEY, AUTH_ACTIVE_KEY, AUTH_DELETE_KEY, AUTH_DEACTIVATE_KEY = 21, 23, 24, 25, 35
BINDX_ADD, BINDX_REM, CONNECTX, PEER_ADDRS = 100, 101, 110, 108
ENABLE_STREAM_RESET, RESET_STREAMS, RESET_ASSOC, ADD_STREAMS = 118, 119, 120, 121
CMSG_SNDINFO, CMSG_RCVINFO, CMSG_PRINFO = 2, 3, 5
SND_UNORDERED = 1
PR_POLICIES = {"ttl": 0x10, "rtx": 0x20, "prio": 0x30}
MSG_NOTIFICATION = 0x8000
ALL = bytes(range(256))
SEVENS = bytes(low * 7 & 255 for low in range(256))
# Byte number N is 7 N + N / 256, made 256 at a time.
PATTERN = b"".join(SEVENS.translate(ALL[high:] + ALL[:high]) for high in range(256)) * 2


def content(index, size):
    shift = index % 256
    return struct.pack(">I", index) + PATTERN[shift:shift + size - 4]


def index_of(message):
    index, = struct.unpack(">I", message[:4])
    if message != content(index, len(message)):
        raise ValueError(f"message {index} has other bytes")
    return index


def options(words, **values):
    for word in words:
        name, _, value = word.partition("=")
        if name not in values:
            raise ValueError(f"no option {name}")
        values[name] = type(values[name])(value)
    return values


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def packed(address, port):
    if family(address) == socket.AF_INET6:
        head = struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", port, 0)
        return head + socket.inet_pton(socket.AF_INET6, address) + bytes(4)
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(address) + bytes(8)


def unpacked(data):
    kind, = struct.unpack_from("=H", data)
    if kind == socket.AF_INET6:
        return socket.inet_ntop(kind, data[8:24])
    return socket.inet_ntoa(data[4:8])


class Peer:
    def __init__(self):
        self.socket = None
        self.listener = None
        self.pending = []
        self.events = []

    # Setting up.

    def open(self, port, addresses):
        kind = socket.AF_INET6 if any(family(address) == socket.AF_INET6 for address in addresses) else socket.AF_INET
        opened = socket.socket(kind, socket.SOCK_STREAM, SCTP)
        opened.setsockopt(SCTP, NODELAY, 1)
        # An association of an earlier test may still hold the port.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # All events but data_io, which would add its own control message; 13 flags in all.
        opened.setsockopt(SCTP, EVENTS, bytes([0] + [1] * 12))
        opened.setsockopt(SCTP, RECVRCVINFO, 1)
        for setting in self.pending:
            opened.setsockopt(*setting)
        # The first one has to be of the socket's own version.
        first, *others = sorted(addresses, key=lambda address: family(address) != kind)
        opened.bind((first, port))
        for address in others:
            opened.setsockopt(SCTP, BINDX_ADD, packed(address, port))
        return opened

    def listen(self, port, *addresses):
        self.listener = self.open(int(port), addresses)
        self.listener.listen(4)

    def accept(self):
        self.socket, peer = self.listener.accept()
        print("accepted", peer[0], peer[1])

    def connect(self, port, *words):
        at = words.index("from")
        peers, local_port, locals_ = words[:at], int(words[at + 1]), words[at + 2:]
        self.socket = self.open(local_port, locals_)
        self.socket.setsockopt(SCTP, CONNECTX, b"".join(packed(peer, int(port)) for peer in peers))

    # Data.

    def send(self, count, size, *words):
        values = options(words, streams=1, unordered=0, ttl=-1, rtx=-1, prio=-1, gap=0.0, first=0)
        flags = SND_UNORDERED if values["unordered"] else 0
        policies = [(number, values[name]) for name, number in PR_POLICIES.items() if values[name] >= 0]
        for index in range(values["first"], values["first"] + int(count)):
            stream = index % values["streams"]
            ppid = socket.htonl(0x50000000 + index)
            control = [(SCTP, CMSG_SNDINFO, struct.pack("=HHIII", stream, flags, ppid, 0, 0))]
            for policy, value in policies:
                control.append((SCTP, CMSG_PRINFO, struct.pack("=HxxI", policy, value)))
            self.socket.sendmsg([content(index, int(size))], control)
            if values["gap"]:
                time.sleep(values["gap"])

    def receive(self, event=None):
        """The next message whole, with its stream; None once the association ends, or the peer has shut down, or such a
        notification has come."""
        message = b""
        while True:
            data, control, flags, _ = self.socket.recvmsg(1 << 17, 256)
            if flags & MSG_NOTIFICATION:
                self.tell(data)
                # Linux does not always wake a reader up for more than this notification.
                if data[:2] == struct.pack("=H", 0x8001) and data[8:10] in (b"\1\0", b"\3\0"):
                    return None
                if event in self.events:
                    return None
                continue
            if not data:
                return None
            message += data
            if flags & socket.MSG_EOR:
                info = [value for level, kind, value in control if (level, kind) == (SCTP, CMSG_RCVINFO)]
                return message, *struct.unpack_from("=HH", info[0])

    def expect(self, count, size, *words):
        streams = options(words, streams=1)["streams"]
        wanted = [stream for stream in range(streams)]
        for _ in range(int(count)):
            received = self.receive()
            if received is None:
                raise ValueError(f"the end, instead of message {min(wanted)}")
            message, stream, ssn = received
            index = index_of(message)
            if len(message) != int(size) or index != wanted[stream]:
                raise ValueError(f"message {index} of {len(message)} bytes on stream {stream}")
            wanted[stream] += streams
        print(f"received {count} ssn={ssn}")

    def await_(self, event):
        if event not in self.events and self.receive(event):
            raise ValueError("a message")
        self.events.remove(event)

    def collect(self):
        indices = []
        while received := self.receive():
            indices.append(index_of(received[0]))
        print("collected", *indices)

    def echo(self):
        while received := self.receive():
            message, stream, _ = received
            control = [(SCTP, CMSG_SNDINFO, struct.pack("=HHIII", stream, 0, 0, 0, 0))]
            self.socket.sendmsg([message], control)

    # Settings and state.

    def set(self, name, *values):
        numbers = [int(value) for value in values]
        setting = {
            # RTO initial, maximum, minimum, in milliseconds
            "rto": lambda initial, high, low: (RTOINFO, struct.pack("=IIII", 0, initial, high, low)),
            # largest number of retransmissions of the association
            "retrans": lambda number: (ASSOCINFO, struct.pack("=IHHIII", 0, number, 0, 0, 0, 0)),
            "streams": lambda out, inward: (INITMSG, struct.pack("=HHHH", out, inward, 0, 0)),
            # which of the peer's requests are carried out: 1 streams, 2 association, 4 more streams (RFC 6525)
            "reconfig": lambda requests: (ENABLE_STREAM_RESET, struct.pack("=II", 0, requests)),
            # 2 and 1 together: I-DATA (RFC 8260)
            "interleave": lambda level: (FRAGMENT_INTERLEAVE, struct.pack("=i", level)),
            "idata": lambda on: (INTERLEAVING_SUPPORTED, struct.pack("=II", 0, on)),
            # a chunk type that is only taken with authentication, keys and which of them is used (RFC 4895)
            "auth-chunk": lambda kind: (AUTH_CHUNK, bytes([kind])),
            "key": lambda number, secret: (AUTH_KEY, struct.pack("=IHH", 0, number, 4) + struct.pack(">I", secret)),
            "active-key": lambda number: (AUTH_ACTIVE_KEY, struct.pack("=IHH", 0, number, 0)),
            "deactivated-key": lambda number: (AUTH_DEACTIVATE_KEY, struct.pack("=IHH", 0, number, 0)),
            "deleted-key": lambda number: (AUTH_DELETE_KEY, struct.pack("=IHH", 0, number, 0)),
        }[name](*numbers)
        setting = (SCTP, *setting)
        # Those that are set up later inherit it.
        self.pending.append(setting)
        for opened in (self.listener, self.socket):
            if opened:
                opened.setsockopt(*setting)

    def status(self):
        data = self.socket.getsockopt(SCTP, STATUS, 176)
        _, state, rwnd, unacked, pending, inward, out, fragmentation = struct.unpack_from("=iiIHHHHI", data)
        addresses = self.socket.getsockopt(SCTP, PEER_ADDRS, 1024)
        count, = struct.unpack_from("=I", addresses, 4)
        at, peers = 8, []
        for _ in range(count):
            kind, = struct.unpack_from("=H", addresses, at)
            peers.append(unpacked(addresses[at:at + 28]))
            at += 28 if kind == socket.AF_INET6 else 16
        print(f"status state={state} in={inward} out={out} unacked={unacked} pending={pending} peers={','.join(peers)}")

    def request(self, option, value):
        # The kernel refuses while something that it sent is not acknowledged.
        for _ in range(1000):
            try:
                return self.socket.setsockopt(SCTP, option, value)
            except BlockingIOError:
                time.sleep(0.01)
        raise TimeoutError("what was sent is not acknowledged")

    def streams(self, which, *streams):
        flags = {"in": 1, "out": 2, "both": 3}[which]
        numbers = [int(stream) for stream in streams]
        request = struct.pack(f"=IHH{len(numbers)}H", 0, flags, len(numbers), *numbers)
        self.request(RESET_STREAMS, request)

    def tsns(self):
        self.request(RESET_ASSOC, struct.pack("=I", 0))

    def add(self, out, inward):
        self.request(ADD_STREAMS, struct.pack("=IHH", 0, int(inward), int(out)))

    def primary(self, address):
        port = self.socket.getsockname()[1]
        storage = packed(address, port).ljust(128, b"\0")
        self.socket.setsockopt(SCTP, SET_PEER_PRIMARY, struct.pack("=I", 0) + storage)

    def bind(self, how, address):
        port = self.socket.getsockname()[1]
        self.socket.setsockopt(SCTP, BINDX_ADD if how == "add" else BINDX_REM, packed(address, port))

    def tell(self, data):
        kind, flags, _ = struct.unpack_from("=HHI", data)
        if kind == 0x8001:
            state, error, out, inward = struct.unpack_from("=HHHH", data, 8)
            name = ["COMM_UP", "COMM_LOST", "RESTART", "SHUTDOWN_COMP", "CANT_STR_ASSOC"][state]
            text = f"error={error} out={out} in={inward}"
        elif kind == 0x8002:
            state, error = struct.unpack_from("=ii", data, 8 + 128)
            name = "ADDRESS_" + ["AVAILABLE", "UNREACHABLE", "REMOVED", "ADDED", "MADE_PRIM", "CONFIRMED", "PF"][state]
            text = f"address={unpacked(data[8:])} error={error}"
        elif kind == 0x8005:
            name, text = "SHUTDOWN", ""
        elif kind == 0x8008:
            key, _, indication = struct.unpack_from("=HHI", data, 8)
            name = "AUTH_" + ["NEW_KEY", "FREE_KEY", "NO_AUTH"][indication]
            text = f"key={key}"
        elif kind == 0x8009:
            name, text = "SENDER_DRY", ""
        elif kind == 0x800a:
            streams = struct.unpack_from(f"={(len(data) - 12) // 2}H", data, 12)
            name, text = "STREAM_RESET", f"flags={flags} streams={','.join(map(str, streams))}"
        elif kind == 0x800b:
            name, text = "ASSOC_RESET", f"flags={flags}"
        elif kind == 0x800c:
            inward, out = struct.unpack_from("=HH", data, 12)
            name, text = "STREAM_CHANGE", f"flags={flags} out={out} in={inward}"
        else:
            name, text = f"{kind:#x}", f"flags={flags}"
        self.events.append(name)
        print("event", name, text)

    # Ends.

    def shutdown(self):
        """All that was sent arrives; the peer's messages are still taken."""
        self.socket.shutdown(socket.SHUT_WR)
        while self.receive():
            pass
        self.close()

    def abort(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.socket.close()
        self.socket = None

    def reset(self):
        """Forgets everything."""
        for opened in (self.listener, self.socket):
            if opened:
                opened.close()
        self.__init__()


def main():
    peer = Peer()
    for line in sys.stdin:
        command, *words = line.split()
        try:
            getattr(peer, {"await": "await_"}.get(command, command))(*words)
            print("done", command)
        except (OSError, ValueError, LookupError, TypeError, struct.error) as error:
            print(f"failed {command}: {error!r}")


main()
