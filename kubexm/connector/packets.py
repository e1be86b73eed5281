"""paramiko's packets, with those of AES-GCM made here: a burst of content is one write.

paramiko copies a packet six times on its way through the cipher to the socket, and lets other
threads in several times for each. AES-GCM (RFC 5647) needs no code and no count beside the packet,
so that a packet can be made in the buffer that it is sent from, and many behind each other; and
what comes, for the most part word that there is room again, is read with few steps.
"""

from __future__ import annotations

import os
import struct
import threading
from typing import TYPE_CHECKING, Any, Protocol, cast

from cryptography.exceptions import InvalidTag
from paramiko import Message, SSHException
from paramiko.packet import Packetizer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from paramiko import Channel

_AHEAD_BYTES = 1 << 14
_BURST_BYTES = 1 << 19
_BUFFER_BYTES = _BURST_BYTES + (1 << 14)
_BLOCK_BYTES = 16
_LENGTH_BYTES = 4
_MOST_PACKET_BYTES = 1 << 18
"""As for OpenSSH: what claims to be longer is no packet."""
_LEAST_PADDING_BYTES = 4
_TAG_BYTES = 16
_LENGTH = struct.Struct(">I")
_LAST_INVOCATION = (1 << 64) - 1
_LAST_SEQUENCE = (1 << 32) - 1
_NOT_CONTENT_BYTES = 64
"""What paramiko leaves of the other side's largest packet for all that is not content."""
_DATA = 94
"""SSH_MSG_CHANNEL_DATA (RFC 4254, 5.2)."""
_BYTE = [bytes([number]) for number in range(256)]
_spare: list[bytearray] = []
"""Buffers that nobody sends from just now: as many as have been needed at once."""


class _Stream(Protocol):
    """What a Packetizer wants of a socket."""

    @property
    def recv(self) -> Callable[[int], bytes]: ...
    @property
    def send(self) -> Callable[[bytes], int]: ...
    @property
    def close(self) -> Callable[[], None]: ...


class _ReadAhead:
    """A stream that is asked for all there is, because packets are read in two parts."""

    def __init__(self, stream: _Stream) -> None:
        self._recv = stream.recv
        self.send = stream.send
        self.close = stream.close
        self._ahead = b""

    def recv(self, size: int) -> bytes:
        """As for a socket."""
        ahead = self._ahead or self._recv(max(size, _AHEAD_BYTES))
        self._ahead = ahead[size:]
        return ahead[:size]


class _Way:
    """One direction under one key: the cipher, the nonce of the next packet, what there was."""

    def __init__(self, cipher: AESGCM, nonce: bytes) -> None:
        self.cipher = cipher
        self._fixed = nonce[:4]
        self._invocation = int.from_bytes(nonce[4:], "big")
        self.packets = 0
        self.bytes = 0

    def nonce(self) -> bytes:
        """The nonce of the next packet (RFC 5647, 7.1)."""
        nonce = self._fixed + self._invocation.to_bytes(8, "big")
        self._invocation = (self._invocation + 1) & _LAST_INVOCATION
        return nonce


class Packets(Packetizer):
    """A Packetizer that does the packets of AES-GCM itself."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__(cast("socket.socket", _ReadAhead(stream)))
        self._sending = threading.RLock()  # guards the next one
        self._out: _Way | None = None
        self._in: _Way | None = None
        self._sequence = 0
        self._is_complete = False

    @property
    def is_ours(self) -> bool:
        """Whether outgoing packets are made here, and not by paramiko."""
        return self._out is not None

    def set_outbound_cipher(self, *, aead: bool = False, **details: Any) -> None:  # type: ignore[override] # paramiko names them all  # noqa: ANN401
        """See `Packetizer.set_outbound_cipher`."""
        super().set_outbound_cipher(aead=aead, **details)
        with self._sending:
            self._out = _Way(details["block_engine"], details["iv_out"]) if aead else None

    def set_inbound_cipher(self, *, aead: bool = False, **details: Any) -> None:  # type: ignore[override] # as above  # noqa: ANN401
        """See `Packetizer.set_inbound_cipher`."""
        super().set_inbound_cipher(aead=aead, **details)
        self._in = _Way(details["block_engine"], details["iv_in"]) if aead else None

    def set_outbound_compressor(self, compressor: object) -> None:
        """Refuse; kubexm does not offer compression.

        Raises:
            SSHException: Always.
        """
        del compressor
        message = "compressed packets are not supported"
        raise SSHException(message)

    set_inbound_compressor = set_outbound_compressor

    def complete_handshake(self) -> None:
        """See `Packetizer.complete_handshake`; paramiko calls it for each message."""
        if not self._is_complete:
            super().complete_handshake()
            self._is_complete = True

    def reset_seqno_in(self) -> None:
        """See `Packetizer.reset_seqno_in`."""
        super().reset_seqno_in()
        self._sequence = 0

    def read_message(self) -> tuple[int, Message]:
        """See `Packetizer.read_message`.

        Raises:
            SSHException: It is no packet, or not what was sent.
        """
        way = self._in
        if way is None:
            kind, message = super().read_message()
            self._sequence = message.seqno + 1
            return kind, message
        length = self.read_all(_LENGTH_BYTES, check_rekey=True)
        (size,) = _LENGTH.unpack(length)
        if size > _MOST_PACKET_BYTES:
            reason = f"the host sent what is no packet: {size} bytes"
            raise SSHException(reason)
        sealed = self.read_all(size + _TAG_BYTES)
        try:
            plain = way.cipher.decrypt(way.nonce(), sealed, length)
        except InvalidTag as error:
            reason = "a packet is not what the host sent"
            raise SSHException(reason) from error
        heard = Message(plain[2 : size - plain[0]])
        heard.seqno = self._sequence
        self._sequence = (self._sequence + 1) & _LAST_SEQUENCE
        self._count(way, 1, size)
        return plain[1], heard

    def send_message(self, data: Message) -> None:
        """See `Packetizer.send_message`."""
        if self.is_ours:
            self._send([(data.asbytes(), b"")])
        else:
            super().send_message(data)

    def send_content(self, channel: int, content: memoryview, most: int) -> None:
        """Content of a channel, in packets with at most so many bytes of it each.

        Raises:
            EOFError: The connection is gone.
        """
        parts = [content[start : start + most] for start in range(0, len(content), most)]
        self._send([(struct.pack(">BII", _DATA, channel, len(part)), part) for part in parts])

    def _send(self, payloads: Sequence[tuple[bytes, bytes | memoryview]]) -> None:
        """Seal the payloads, each a head and a body, and write all at once."""
        is_burst = len(payloads) > 1
        buffer = _buffer() if is_burst else bytearray()
        # random numbers are asked for once, because that lets other threads in
        noise = os.urandom(_LEAST_PADDING_BYTES + _BLOCK_BYTES)
        with self._sending:
            way = cast("_Way", self._out)
            size = _seal(way, payloads, noise, buffer)
            self.write_all(memoryview(buffer)[:size])
            self._count(way, len(payloads), size)
        if is_burst:
            _spare.append(buffer)

    def _count(self, way: _Way, packets: int, size: int) -> None:
        """Ask for new keys in time, as paramiko does."""
        way.packets += packets
        way.bytes += size
        is_much = way.packets >= self.REKEY_PACKETS or way.bytes >= self.REKEY_BYTES
        if is_much and not self.need_rekey():
            self._trigger_rekey()  # type: ignore[attr-defined] # not in the stubs


def _buffer() -> bytearray:
    try:
        return _spare.pop()
    except IndexError:
        return bytearray(_BUFFER_BYTES)


def _seal(
    way: _Way,
    payloads: Sequence[tuple[bytes, bytes | memoryview]],
    noise: bytes,
    buffer: bytearray,
) -> int:
    """Make packets (RFC 5647, 7.3) in the buffer, which grows as needed; how many bytes."""
    end = 0
    for head, body in payloads:
        size = 1 + len(head) + len(body)
        padding = _LEAST_PADDING_BYTES + -(size + _LEAST_PADDING_BYTES) % _BLOCK_BYTES
        begin, start = end, end + _LENGTH_BYTES
        end = start + size + padding + _TAG_BYTES
        if end > len(buffer):
            buffer.extend(bytes(end - len(buffer)))
        buffer[begin:start] = length = _LENGTH.pack(size + padding)
        plain = b"".join((_BYTE[padding], head, body, noise[:padding]))
        way.cipher.encrypt_into(way.nonce(), plain, length, memoryview(buffer)[start:end])
    return end


def send_content(channel: Channel, content: memoryview, *, reserve: int = 0) -> int:
    """Send the beginning of some content, as far as there is room for it; how many bytes that was.

    The caller holds off everyone else (`turn`). The `reserve` is what stays free of the channel's
    window.

    Raises:
        TimeoutError: There is no room in the channel's window.
        EOFError: The connection is gone.
        OSError: Likewise, or the channel is closed.
    """
    packets = channel.get_transport().packetizer
    most = channel.out_max_packet_size - _NOT_CONTENT_BYTES
    if not (isinstance(packets, Packets) and packets.is_ours):
        return channel.send(bytes(content[:most]))
    with channel.lock:
        if channel.closed or channel.eof_sent:
            return 0
        size = min(len(content), channel.out_window_size - reserve, _BURST_BYTES)
        if size <= 0:
            raise TimeoutError
        channel.out_window_size -= size
    packets.send_content(channel.remote_chanid, content[:size], most)
    return size
