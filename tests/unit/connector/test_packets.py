"""Packets as they go out, opened again by the book: RFC 4253 (6) and RFC 5647 (7.3)."""

from __future__ import annotations

import os
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from paramiko import Message

from kubexm.connector.packets import Packets

LAST = (1 << 64) - 1
payloads = st.lists(st.binary(min_size=1, max_size=70_000), min_size=1, max_size=4)


class Wire:
    """A stream that keeps what is sent and has nothing to read."""

    def __init__(self) -> None:
        self.sent = b""

    def send(self, data: bytes) -> int:
        taken = data[:50_000]  # a socket takes what it has room for
        self.sent += bytes(taken)
        return len(taken)

    def recv(self, size: int) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def encrypting(invocation: int = 0) -> tuple[Packets, Wire, AESGCM, bytes]:
    """Packets with a key and a nonce, as after a key exchange."""
    wire = Wire()
    packets = Packets(wire)
    key, fixed = AESGCM(os.urandom(16)), os.urandom(4)
    packets.set_outbound_cipher(
        block_engine=key,
        block_size=16,
        mac_engine=None,
        mac_size=16,
        mac_key=None,
        aead=True,
        iv_out=fixed + invocation.to_bytes(8, "big"),
    )
    return packets, wire, key, fixed


def opened(data: bytes, key: AESGCM, fixed: bytes, invocation: int = 0) -> list[bytes]:
    """The payloads of all packets."""
    found = []
    while data:
        (size,) = struct.unpack(">I", data[:4])
        nonce = fixed + invocation.to_bytes(8, "big")
        plain = key.decrypt(nonce, data[4 : 4 + size + 16], data[:4])
        assert size % 16 == 0
        assert 4 <= plain[0] <= 255
        found.append(plain[1 : size - plain[0]])
        data = data[4 + size + 16 :]
        invocation = (invocation + 1) & LAST
    return found


@given(payloads, st.sampled_from([0, 7, LAST]))
def test_a_message_is_a_packet(messages: list[bytes], invocation: int) -> None:
    packets, wire, key, fixed = encrypting(invocation)
    for each in messages:
        packets.send_message(Message(each))
    assert opened(wire.sent, key, fixed, invocation) == messages


@given(st.binary(min_size=1, max_size=600_000), st.integers(1000, 100_000))
def test_content_is_packets_of_one_channel_in_order(content: bytes, most: int) -> None:
    packets, wire, key, fixed = encrypting()
    packets.send_content(7, memoryview(content), most)
    arrived = b""
    for payload in opened(wire.sent, key, fixed):
        kind, channel, size = struct.unpack(">BII", payload[:9])
        assert (kind, channel, size) == (94, 7, len(payload) - 9)
        assert size <= most
        arrived += payload[9:]
    assert arrived == content


def test_new_keys_are_asked_for_in_time() -> None:
    packets, *_ = encrypting()
    packets.REKEY_BYTES = 100_000
    packets.send_content(1, memoryview(bytes(99_000)), 32_000)
    assert not packets.need_rekey()
    packets.send_content(1, memoryview(bytes(2_000)), 32_000)
    assert packets.need_rekey()
