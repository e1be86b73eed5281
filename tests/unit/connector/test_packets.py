"""Packets as they go out, opened again by the book: RFC 4253 (6) and RFC 5647 (7.3)."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from paramiko import Message, SSHException

from kubexm.connector.packets import Packets

LAST = (1 << 64) - 1
payloads = st.lists(st.binary(min_size=1, max_size=70_000), min_size=1, max_size=4)


class Wire:
    """A stream that keeps what is sent; what is read are the same bytes, few at a time."""

    def __init__(self) -> None:
        self.sent = b""
        self.read = 0

    def send(self, data: bytes) -> int:
        taken = data[:50_000]  # a socket takes what it has room for
        self.sent += bytes(taken)
        return len(taken)

    def recv(self, size: int) -> bytes:
        taken = self.sent[self.read : self.read + min(size, 1000)]
        self.read += len(taken)
        return taken

    def close(self) -> None:
        raise NotImplementedError


def encrypting(invocation: int = 0) -> tuple[Packets, Wire, AESGCM, bytes]:
    """Packets with a key and a nonce, as after a key exchange."""
    wire = Wire()
    packets = Packets(wire)
    key, fixed = AESGCM(os.urandom(16)), os.urandom(4)
    details: dict[str, Any] = {
        "block_engine": key,
        "block_size": 16,
        "mac_engine": None,
        "mac_size": 16,
        "mac_key": None,
        "aead": True,
    }
    nonce = fixed + invocation.to_bytes(8, "big")
    packets.set_outbound_cipher(**details, iv_out=nonce)
    packets.set_inbound_cipher(**details, iv_in=nonce)
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


@given(payloads, st.sampled_from([0, LAST]))
def test_what_was_sent_is_read_in_order_with_its_number(
    messages: list[bytes], invocation: int
) -> None:
    packets, *_ = encrypting(invocation)
    for each in messages:
        packets.send_message(Message(each))
    for number, each in enumerate(messages):
        kind, heard = packets.read_message()
        assert (kind, heard.asbytes(), heard.seqno) == (each[0], each[1:], number)


@pytest.mark.parametrize("place", [3, 4, 30, -1])
def test_a_packet_that_was_changed_on_its_way_is_refused(place: int) -> None:
    packets, wire, *_ = encrypting()
    packets.send_message(Message(b"m" * 100))
    changed = bytearray(wire.sent)
    changed[place] ^= 1
    wire.sent = bytes(changed) + bytes(16)
    with pytest.raises(SSHException, match="is not what the host sent"):
        packets.read_message()


def test_what_claims_to_be_huge_is_no_packet() -> None:
    packets, wire, *_ = encrypting()
    wire.sent = b"SSH-2.0-other banner"
    with pytest.raises(SSHException, match="is no packet: 1397966893 bytes"):
        packets.read_message()


def test_new_keys_are_asked_for_after_much_that_came() -> None:
    packets, *_ = encrypting()
    packets.send_content(1, memoryview(bytes(99_000)), 32_000)
    packets.REKEY_BYTES = 90_000
    for expected in (False, False, True):
        packets.read_message()
        assert packets.need_rekey() is expected


def test_compression_is_refused() -> None:
    packets, *_ = encrypting()
    with pytest.raises(SSHException, match="not supported"):
        packets.set_inbound_compressor(object())
