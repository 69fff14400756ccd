# tests/e2e/support/wire.py -- DNS messages, dnstap payloads and Frame Streams, from scratch.
# SPDX-License-Identifier: Apache-2.0
#
# Written apart from the program under test, so that the two do not share a mistake. It makes what
# senders make and reads what captures hold; it trusts its input and is no model for a receiver.
#
# Numbers: RFC 1035 (messages), RFC 9460 (HTTPS), dnstap.proto (payloads), fstrm/control.h (frames).

import ipaddress
import socket
import struct

CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5

AUTH_QUERY, AUTH_RESPONSE = 1, 2
CLIENT_QUERY, CLIENT_RESPONSE = 5, 6
FORWARDER_QUERY, FORWARDER_RESPONSE = 7, 8

A, CNAME, SRV, AAAA, HTTPS = 1, 5, 33, 28, 65
QTYPES = {"A": A, "CNAME": CNAME, "AAAA": AAAA, "SRV": SRV, "HTTPS": HTTPS}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


# --- DNS messages -----------------------------------------------------------------------------

def name_wire(name):
    """The uncompressed wire form of a name in text form; no escapes."""
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(qname, qtype, ident=0, edns=True):
    """A recursive query; with EDNS (1232 octets) unless told otherwise."""
    head = struct.pack(">6H", ident, 0x0100, 1, 0, 0, 1 if edns else 0)
    body = name_wire(qname) + struct.pack(">2H", qtype, 1)
    return head + body + (b"\0" + struct.pack(">2HIH", 41, 1232, 0, 0) if edns else b"")


def rdata(rtype, value):
    """RDATA of an A, AAAA or CNAME record from its text."""
    if rtype in (A, AAAA):
        return ipaddress.ip_address(value).packed
    return name_wire(value)


def response(qname, qtype, records=(), rcode=NOERROR, ident=0):
    """A response; records are (owner, type, ttl, text). Nothing is compressed."""
    head = struct.pack(">6H", ident, 0x8180 | rcode, 1, len(records), 0, 0)
    body = name_wire(qname) + struct.pack(">2H", qtype, 1)
    for owner, rtype, ttl, value in records:
        data = rdata(rtype, value)
        body += name_wire(owner) + struct.pack(">2HIH", rtype, 1, ttl, len(data)) + data
    return head + body


def read_name(message, at):
    """(name as text, offset after it)."""
    labels, after = [], None
    while True:
        size = message[at]
        if size >= 0xC0:
            after = at + 2 if after is None else after
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
        elif size == 0:
            return ".".join(labels) or ".", at + 1 if after is None else after
        else:
            labels.append(message[at + 1:at + 1 + size].decode("latin-1"))
            at += 1 + size


def parse_message(message):
    """A dict: id, rcode, tc, qname, qtype, and answers as (owner, type, ttl, text)."""
    ident, flags, qdcount, ancount, _, _ = struct.unpack_from(">6H", message)
    out = {"id": ident, "rcode": flags & 15, "tc": bool(flags & 0x0200), "answers": []}
    at = 12
    for _ in range(qdcount):
        out["qname"], at = read_name(message, at)
        out["qtype"] = struct.unpack_from(">H", message, at)[0]
        at += 4
    for _ in range(ancount):
        owner, at = read_name(message, at)
        rtype, _, ttl, size = struct.unpack_from(">2HIH", message, at)
        at += 10
        data = message[at:at + size]
        if rtype in (A, AAAA):
            value = str(ipaddress.ip_address(data))
        elif rtype == CNAME:
            value = read_name(message, at)[0]
        else:
            value = data.hex()
        out["answers"].append((owner, rtype, ttl, value))
        at += size
    return out


# --- dnstap payloads --------------------------------------------------------------------------

def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """One protobuf field: an int becomes a varint, bytes a length-delimited field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed32(number, value):
    return varint(number << 3 | 5) + struct.pack("<I", value)


def dnstap_frame(kind, client, message, time_us, identity=b"sender-1", port=40000,
                 version=b"CoreDNS-1.12.1", tcp=False, extra=b""):
    """One payload as CoreDNS makes it. `message` is a response for an even `kind`, else a query."""
    packed = ipaddress.ip_address(client).packed
    seconds, nanoseconds = time_us // 1000000, time_us % 1000000 * 1000
    inner = field(1, kind) + field(2, 1 if len(packed) == 4 else 2) + field(3, 2 if tcp else 1)
    inner += field(4, packed) + field(6, port)
    inner += field(8, seconds) + fixed32(9, nanoseconds)
    if kind % 2:
        inner += field(10, message)
    else:
        inner += field(12, seconds) + fixed32(13, nanoseconds) + field(14, message)
    outer = field(1, identity) + field(2, version) + (field(3, extra) if extra else b"")
    return outer + field(14, inner) + field(15, 1)


def fields(data):
    """The fields of a protobuf message, as (number, wire type, value, offset of the value)."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, kind = key >> 3, key & 7
        start = at
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind == 2:
            size, at = read_varint(data, at)
            start = at
            value, at = data[at:at + size], at + size
        else:
            size = 4 if kind == 5 else 8
            value, at = int.from_bytes(data[at:at + size], "little"), at + size
        yield number, kind, value, start


def read_varint(data, at):
    number = shift = 0
    while True:
        octet = data[at]
        number |= (octet & 127) << shift
        shift, at = shift + 7, at + 1
        if octet < 128:
            return number, at


def parse_payload(payload):
    """A dict of one payload: kind, client, times in us, wire message, identity, version."""
    out = {"kind": 0, "client": None, "time_us": None, "message": None, "identity": b""}
    top = {number: value for number, _, value, _ in fields(payload)}
    out["identity"], out["version"] = top.get(1, b""), top.get(2, b"")
    inner = {number: value for number, _, value, _ in fields(top[14])}
    out["kind"] = inner[1]
    out["tcp"] = inner.get(3) == 2
    if 4 in inner:
        address = ipaddress.ip_address(inner[4])
        out["client"] = str(getattr(address, "ipv4_mapped", None) or address)
    seconds = 12 if 12 in inner else 8
    if seconds in inner:
        out["time_us"] = inner[seconds] * 1000000 + inner.get(seconds + 1, 0) // 1000
    out["message"] = inner.get(14) or inner.get(10)
    return out


def shift_times(payload, seconds):
    """The same payload with all its times moved by whole seconds; its length does not change."""
    out = bytearray(payload)
    for number, _, value, start in fields(payload):
        if number == 14:
            for inner, kind, stamp, at in fields(value):
                if inner in (8, 12) and kind == 0:
                    moved = varint(stamp + seconds)
                    if len(moved) != len(varint(stamp)):
                        raise ValueError("the time %d cannot be moved in place" % stamp)
                    out[start + at:start + at + len(moved)] = moved
    return bytes(out)


# --- Frame Streams ----------------------------------------------------------------------------

def data_frame(payload):
    return struct.pack(">I", len(payload)) + payload


def control_frame(kind, content_types=()):
    body = struct.pack(">I", kind)
    for content_type in content_types:
        body += struct.pack(">2I", 1, len(content_type)) + content_type
    return struct.pack(">2I", 0, len(body)) + body


def capture_file(payloads, content_type=CONTENT_TYPE, stop=True):
    """A unidirectional stream, as fstrm_capture writes it."""
    body = b"".join(data_frame(payload) for payload in payloads)
    return (control_frame(START, [content_type]) + body
            + (control_frame(STOP) if stop else b""))


def read_capture(path):
    """The payloads of a capture file; a cut last frame is left out."""
    with open(path, "rb") as file:
        data = file.read()
    payloads, at = [], 0
    while at + 4 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        at += 4
        if size == 0:
            size = struct.unpack_from(">I", data, at)[0]
            at += 4 + size
            continue
        if at + size > len(data):
            break
        payloads.append(data[at:at + size])
        at += size
    return payloads


def connect(address, timeout=5.0):
    """A connected socket to `unix:PATH` or `tcp:HOST:PORT`."""
    kind, rest = address.split(":", 1)
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(rest)
        return sock
    host, port = rest.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the peer closed after %d of %d octets" % (len(data), size))
        data += chunk
    return data


def read_control(sock):
    """(control type, its raw fields) of the next frame, which must be a control frame."""
    escape, size = struct.unpack(">2I", read_exactly(sock, 8))
    if escape != 0:
        raise ValueError("a data frame of %d octets where a control frame was due" % escape)
    body = read_exactly(sock, size)
    return struct.unpack_from(">I", body)[0], body[4:]


class Sender:
    """The writing end of a bidirectional stream: READY, ACCEPT and START when it is made."""

    def __init__(self, address, timeout=5.0, content_type=CONTENT_TYPE):
        self.sock = connect(address, timeout)
        self.sock.sendall(control_frame(READY, [content_type]))
        kind, _ = read_control(self.sock)
        if kind != ACCEPT:
            raise ValueError("READY was answered with control type %d" % kind)
        self.sock.sendall(control_frame(START, [content_type]))

    def send(self, payloads):
        self.sock.sendall(b"".join(data_frame(payload) for payload in payloads))

    def finish(self):
        """STOP, then wait for FINISH and close."""
        self.sock.sendall(control_frame(STOP))
        kind, _ = read_control(self.sock)
        self.close()
        if kind != FINISH:
            raise ValueError("STOP was answered with control type %d" % kind)

    def close(self):
        self.sock.close()
