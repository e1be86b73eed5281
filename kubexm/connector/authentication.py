"""Getting in: which credentials to offer, in which order, and what a refusal means.

What the endpoint names comes first; the agent and the default keys are asked only when it names
no key. sshd counts failures (MaxAuthTries), so nothing is offered in vain.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kubexm.connector.agent import KeyAgent
from kubexm.connector.dial import lost
from kubexm.connector.known_hosts import HostKey
from kubexm.connector.private_key import PrivateKeyFile
from kubexm.errors import AuthenticationError, ConnectError, DialTimeoutError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from paramiko import PKey, Transport

    from kubexm.connector.endpoint import Endpoint
    from kubexm.secret import Secret

DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_ACCEPTED = "accepted"
_REFUSED = "refused"
_INTERACTIVE = "keyboard-interactive"
_HINT = "check --user, --private-key and --ask-pass, or what the inventory says of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """One way in. `attempt` returns the methods that the host wants besides, if any."""

    method: str
    label: str
    attempt: Callable[[Transport], Sequence[str]] = field(repr=False)


class Authentication:
    """One login; paramiko calls `authenticate` once the host key has been checked.

    Args:
        endpoint: The credentials, and how long to wait for each answer.
        user: Who logs in.
        place: What messages call the host.
        key_files: From ssh_config; used when the endpoint names neither key nor password.
        only_key_files: No key of the agent that is not among them (IdentitiesOnly).

    Raises:
        AuthenticationError: The endpoint's private key cannot be used.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        user: str,
        place: str,
        key_files: Iterable[str] = (),
        only_key_files: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._user = user
        self._place = place
        self._key_files = tuple(key_files)
        self._only_key_files = only_key_files
        self._agent = KeyAgent()
        self._answers: dict[str, str] = {}
        self._wanted: Sequence[str] = ()
        self._unused: list[str] = []
        try:
            self._named = tuple(self._name_offers())
        except AuthenticationError as error:
            self.close()
            raise error.on(endpoint.name) from error.__cause__

    def close(self) -> None:
        """Leave the agent."""
        self._agent.close()

    def authenticate(self, transport: Transport) -> None:
        """Log in.

        Raises:
            AuthenticationError: Every credential was refused, or there is none.
            UnreachableError: The host stopped answering.
        """
        if self._try(transport, self._named):
            return
        if not self._endpoint.private_key:
            found = tuple(self._find_offers())
            nothing = () if found or self._named else (self._no_offer(),)
            if self._try(transport, (*self._named, *found, *nothing)):
                return
        raise self._refused()

    def _try(self, transport: Transport, offers: Sequence[_Offer]) -> bool:
        """Go through the offers, again from the start after each that led half the way in."""
        accepted: set[str] = set()
        position = 0
        while position < len(offers):
            offer = offers[position]
            position += 1
            if offer.label in accepted or not self._is_worthwhile(offer):
                continue
            answer, wanted = self._attempt(transport, offer)
            self._answers[offer.label] = answer
            self._wanted = self._wanted if wanted is None else wanted
            if answer == _ACCEPTED:
                if not wanted:
                    return True
                accepted.add(offer.label)
                position = 0
        return False

    def _is_worthwhile(self, offer: _Offer) -> bool:
        if self._wanted and offer.method not in self._wanted:
            return False
        # What is wrong as a password is wrong as an answer too, and counts as another failure.
        same = ("password", offer.label) if offer.method == _INTERACTIVE else (offer.label,)
        return not any(self._answers.get(label, "").startswith(_REFUSED) for label in same)

    def _attempt(self, transport: Transport, offer: _Offer) -> tuple[str, Sequence[str] | None]:
        from paramiko import BadAuthenticationType, SSHException

        began = time.monotonic()
        try:
            return _ACCEPTED, offer.attempt(transport)
        except BadAuthenticationType as error:
            return "not permitted by the host", error.allowed_types
        except (SSHException, OSError, EOFError, ValueError, TypeError) as error:
            if not transport.is_active():
                raise self._dropped(error, offer) from error
            if time.monotonic() - began > 0.9 * self._endpoint.connect_timeout_s:
                message = (
                    f"{self._place} did not answer the {offer.method} login within "
                    f"{self._endpoint.connect_timeout_s:g} s"
                )
                raise DialTimeoutError(
                    message,
                    host=self._endpoint.name,
                    hint="the host hangs (PAM, LDAP, DNS)",
                ) from error
            return _REFUSED, None

    def _name_offers(self) -> Iterator[_Offer]:
        """What the endpoint names."""
        if self._endpoint.private_key:
            path = Path(self._endpoint.private_key).expanduser()
            yield self._key_offer(f"key {path}", self._named_key(PrivateKeyFile.read(path)))
        password = self._endpoint.password
        if password is not None:
            yield _Offer(
                method="password",
                label="password",
                attempt=lambda transport: transport.auth_password(
                    self._user, password.reveal(), fallback=False
                ),
            )
            yield _Offer(
                method=_INTERACTIVE,
                label=_INTERACTIVE,
                attempt=lambda transport: transport.auth_interactive(
                    self._user, _Interview(password, self._unused).answer
                ),
            )

    def _named_key(self, file: PrivateKeyFile) -> PKey:
        """The key itself or, when no passphrase was given for it, the agent's hold on it."""
        if file.is_encrypted and self._endpoint.passphrase is None:
            held = self._agent.keys().get(file.public_blob or b"")
            if held is not None:
                return held
        return file.load(self._endpoint.passphrase)

    def _find_offers(self) -> Iterator[_Offer]:
        """Keys that both the agent and a file hold, the agent's others, the files' others."""
        files: dict[bytes, PrivateKeyFile] = {}
        for name in self._key_files or DEFAULT_KEYS:
            with contextlib.suppress(AuthenticationError):
                file = PrivateKeyFile.read(Path(name).expanduser())
                files[file.public_blob or bytes(file.path)] = file
        held = self._agent.keys()
        for blob, key in sorted(held.items(), key=lambda pair: pair[0] not in files):
            if blob in files or not self._only_key_files:
                shown = HostKey(algorithm=key.get_name(), blob=blob)
                yield self._key_offer(f"agent's key {shown.fingerprint}", key)
        for blob, file in files.items():
            if blob not in held:
                try:
                    loaded = file.load(self._endpoint.passphrase)
                except AuthenticationError as error:
                    self._unused.append(error.message)
                else:
                    yield self._key_offer(f"key {file.path}", loaded)

    def _key_offer(self, label: str, key: PKey) -> _Offer:
        return _Offer(
            method="publickey",
            label=label,
            attempt=lambda transport: transport.auth_publickey(self._user, key),
        )

    def _no_offer(self) -> _Offer:
        """Some hosts let the network vouch for who comes in; the others say what they want."""
        return _Offer(
            method="none",
            label="no credential",
            attempt=lambda transport: transport.auth_none(self._user),
        )

    def _refused(self) -> AuthenticationError:
        wanted = f"; it wants {' or '.join(self._wanted)}" if self._wanted else ""
        return AuthenticationError(
            f"{self._place} refused the login; tried: {self._summary()}{wanted}",
            host=self._endpoint.name,
            hint=_HINT,
        )

    def _dropped(self, error: Exception, offer: _Offer) -> ConnectError:
        """The connection ended in the middle of a login."""
        host = self._endpoint.name
        refusals = sum(answer.startswith(_REFUSED) for answer in self._answers.values())
        if isinstance(error, (OSError, EOFError)):
            return lost(host, error)
        if "transport shut down" not in str(error):
            return AuthenticationError(
                f"{self._place}: the {offer.label} could not be used: {error}",
                host=host,
                hint=_HINT,
            )
        if not refusals:
            return UnreachableError(
                f"{self._place} ended the connection during the login",
                host=host,
                hint="its own log says why: journalctl -u ssh",
            )
        return AuthenticationError(
            f"{self._place} ended the connection after {refusals} refusals; "
            f"tried: {self._summary()}",
            host=host,
            hint="it allows only so many (MaxAuthTries): name one key with --private-key",
        )

    def _summary(self) -> str:
        said = [f"{label} ({answer})" for label, answer in self._answers.items()]
        return "; ".join((*said, *self._unused))


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
