"""Getting in: which credentials to offer, in which order, and what a refusal means.

What the endpoint names comes first; the agent and the default keys are asked only when it names
no key. sshd counts failures (MaxAuthTries), so nothing is offered in vain.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubexm.connector.dial import lost
from kubexm.connector.offer import INTERACTIVE, Offer, Offers
from kubexm.errors import AuthenticationError, ConnectError, DialTimeoutError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paramiko import Transport

    from kubexm.connector.endpoint import Endpoint
    from kubexm.connector.ssh_settings import SshSettings

_ACCEPTED = "accepted"
_REFUSED = "refused"
_HINT = "check --user, --private-key and --ask-pass, or what the inventory says of them"


class Authentication:
    """One login; paramiko calls `authenticate` once the host key has been checked.

    Args:
        endpoint: The credentials, and how long to wait for each answer.
        user: Who logs in.
        place: What messages call the host.
        settings: What ssh_config says of key files.

    Raises:
        AuthenticationError: The endpoint's private key cannot be used.
    """

    def __init__(self, endpoint: Endpoint, *, user: str, place: str, settings: SshSettings) -> None:
        self._endpoint = endpoint
        self._user = user
        self._place = place
        self._answers: dict[str, str] = {}
        self._wanted: Sequence[str] = ()
        try:
            self._offers = Offers(endpoint, user=user, settings=settings)
        except AuthenticationError as error:
            raise error.on(endpoint.name) from error.__cause__

    def close(self) -> None:
        """Leave the agent."""
        self._offers.close()

    def authenticate(self, transport: Transport) -> None:
        """Log in.

        Raises:
            AuthenticationError: Every credential was refused, or there is none.
            UnreachableError: The host stopped answering.
        """
        named = self._offers.named
        if self._try(transport, named):
            return
        # A key that is named is offered alone: sshd counts what it refuses.
        alone = self._endpoint.private_key or self._endpoint.private_key_content
        if not alone and self._try(transport, (*named, *self._offers.found())):
            return
        raise self._refused()

    def _try(self, transport: Transport, offers: Sequence[Offer]) -> bool:
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

    def _is_worthwhile(self, offer: Offer) -> bool:
        if self._wanted and offer.method not in self._wanted:
            return False
        # What is wrong as a password is wrong as an answer too, and counts as another failure.
        same = ("password", offer.label) if offer.method == INTERACTIVE else (offer.label,)
        return not any(self._answers.get(label, "").startswith(_REFUSED) for label in same)

    def _attempt(self, transport: Transport, offer: Offer) -> tuple[str, Sequence[str] | None]:
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

    def _refused(self) -> AuthenticationError:
        wanted = f"; it wants {' or '.join(self._wanted)}" if self._wanted else ""
        return AuthenticationError(
            f"{self._place} refused the login; tried: {self._summary()}{wanted}",
            host=self._endpoint.name,
            hint=_HINT,
        )

    def _dropped(self, error: Exception, offer: Offer) -> ConnectError:
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
        return "; ".join((*said, *self._offers.unused))
