"""Ways in: the credentials that there are, in the order in which they are offered."""

from __future__ import annotations

import base64
import contextlib
import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector.agent import KeyAgent
from kubexm.connector.certificate import Certificate
from kubexm.connector.known_hosts import HostKey
from kubexm.connector.private_key import PrivateKey
from kubexm.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from paramiko import PKey, Transport

    from kubexm.connector.agent import Held
    from kubexm.connector.endpoint import Endpoint
    from kubexm.connector.ssh_settings import SshSettings
    from kubexm.secret import Secret

INTERACTIVE = "keyboard-interactive"
DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way in. `attempt` returns the methods that the host wants besides, if any."""

    method: str
    label: str
    attempt: Callable[[Transport], Sequence[str]] = field(repr=False)


class Offers:
    """What one login can offer.

    Args:
        endpoint: The credentials that it names; `named` are made from them.
        user: Who logs in.
        settings: What ssh_config says of key files.

    Raises:
        AuthenticationError: The endpoint's private key or certificate cannot be used.
    """

    def __init__(self, endpoint: Endpoint, *, user: str, settings: SshSettings) -> None:
        self._endpoint = endpoint
        self._user = user
        self._settings = settings
        self._agent = KeyAgent()
        self.unused: list[str] = []
        """What was not offered, or not answered, and why: for the message when nothing helps."""
        try:
            self.named = tuple(self._name())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the agent."""
        self._agent.close()

    def found(self) -> Iterator[Offer]:
        """Keys that both the agent and a file hold, the agent's others, the files' others.

        When there is nothing at all, one that says what the host wants: some let the network
        vouch for who comes in.
        """
        offers = list(self._find())
        yield from offers
        if not offers and not self.named:
            yield Offer(
                method="none",
                label="no credential",
                attempt=lambda transport: transport.auth_none(self._user),
            )

    def _name(self) -> Iterator[Offer]:
        key = self._named_key()
        if key is not None:
            yield from self._with_certificate(key, self._sign_with(key), self._endpoint.certificate)
        password = self._endpoint.password
        if password is not None:
            yield Offer(
                method="password",
                label="password",
                attempt=lambda transport: transport.auth_password(
                    self._user, password.reveal(), fallback=False
                ),
            )
            yield Offer(
                method=INTERACTIVE,
                label=INTERACTIVE,
                attempt=lambda transport: transport.auth_interactive(
                    self._user, _Interview(password, self.unused).answer
                ),
            )

    def _named_key(self) -> PrivateKey | None:
        if self._endpoint.private_key_content:
            return PrivateKey.given(self._endpoint.private_key_content)
        if self._endpoint.private_key:
            return PrivateKey.read(Path(self._endpoint.private_key).expanduser())
        return None

    def _sign_with(self, file: PrivateKey) -> PKey:
        """The key itself or, when no passphrase was given for it, the agent's hold on it."""
        if file.is_encrypted and self._endpoint.passphrase is None:
            for held in self._agent.held():
                if held.blob == file.public_blob and not held.certificate:
                    return held.key
        return file.load(self._endpoint.passphrase)

    def _find(self) -> Iterator[Offer]:
        files: dict[bytes, PrivateKey] = {}
        for name in self._settings.key_files or DEFAULT_KEYS:
            with contextlib.suppress(AuthenticationError):
                file = PrivateKey.read(Path(name).expanduser())
                files[file.public_blob or file.path.encode()] = file
        held = self._agent.held()
        # The sort is stable: otherwise the agent's order, a certificate before its bare key.
        for entry in sorted(held, key=lambda each: (each.blob not in files, not each.certificate)):
            if entry.blob in files or not self._settings.only_key_files:
                yield self._held_offer(entry)
        blobs = {each.blob for each in held}
        for blob, file in files.items():
            if blob not in blobs:
                try:
                    key = file.load(self._endpoint.passphrase)
                except AuthenticationError as error:
                    self.unused.append(error.message)
                else:
                    yield from self._with_certificate(
                        file, key, self._endpoint.certificate or self._settings.certificate_file
                    )

    def _held_offer(self, entry: Held) -> Offer:
        shown = HostKey(algorithm=entry.algorithm, blob=entry.blob).fingerprint
        kind = "certificate of" if entry.certificate else "key"
        return self._key_offer(f"agent's {kind} {shown}", entry.key)

    def _with_certificate(self, file: PrivateKey, key: PKey, named: str) -> Iterator[Offer]:
        """The key's certificate, when it has one, and then the key without it."""
        path = Path(named or f"{file.path}-cert.pub").expanduser()
        if named or (file.path and path.is_file()):
            try:
                certified = _certified(key, path)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                message = f"the certificate {path} cannot be used: {reason}"
                if named and named == self._endpoint.certificate:
                    raise AuthenticationError(message, hint=_NEW_CERTIFICATE) from error
                self.unused.append(message)
            else:
                yield self._key_offer(f"certificate {path}", certified)
        yield self._key_offer(f"key {file.place}", key)

    def _key_offer(self, label: str, key: PKey) -> Offer:
        return Offer(
            method="publickey",
            label=label,
            attempt=lambda transport: transport.auth_publickey(self._user, key),
        )


_NEW_CERTIFICATE = "have the key signed again, or take kubexm_certificate_file out"


def _certified(key: PKey, path: Path) -> PKey:
    """A copy of the key that presents the certificate in a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no certificate, is for another key, or does not hold now.
    """
    from paramiko import AgentKey

    fields = path.read_text("utf-8", "replace").split()
    blob = base64.b64decode(fields[1] if len(fields) > 1 else "", validate=True)
    certificate = Certificate.read(blob)
    if certificate.is_for_hosts:
        message = "it is a host's certificate"
        raise ValueError(message)
    if certificate.key.blob != key.asbytes():
        message = "it is for another key"
        raise ValueError(message)
    if lapse := certificate.lapse():
        raise ValueError(lapse)
    # An agent's key cannot be copied; another one for the same entry does as well.
    certified = AgentKey(key.agent, key.blob) if isinstance(key, AgentKey) else copy.copy(key)
    certified.load_certificate(" ".join(fields[:2]))
    return certified


class _Interview:
    """Answers keyboard-interactive questions; runs in paramiko's thread, so it never raises."""

    def __init__(self, password: Secret, unanswered: list[str]) -> None:
        self._password: Secret | None = password
        self._unanswered = unanswered

    def answer(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str]:
        """The password for the first hidden prompt; to anything else there is no answer."""
        del title, instructions
        answers = []
        for prompt, is_shown in prompts:
            if self._password is not None and not is_shown:
                answers.append(self._password.reveal())
                self._password = None
            else:
                answers.append("")
                self._unanswered.append(f"it also asked {prompt.strip()!r}")
        return answers
