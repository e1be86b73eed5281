"""Proxies as they are written down."""

from __future__ import annotations

import pytest

from kubexm.connector import Proxy, ProxyScheme
from kubexm.connector.proxy_command import expand
from kubexm.errors import ConnectError
from kubexm.secret import Secret


@pytest.mark.parametrize(
    ("url", "scheme", "user", "address", "port"),
    [
        ("socks5://p", ProxyScheme.SOCKS5, "", "p", 1080),
        ("socks5h://me@p:99", ProxyScheme.SOCKS5, "me", "p", 99),
        ("http://me%40corp@p", ProxyScheme.HTTP, "me@corp", "p", 3128),
        ("http://[2001:db8::1]:8080/", ProxyScheme.HTTP, "", "2001:db8::1", 8080),
    ],
)
def test_proxy_is_read(url: str, scheme: ProxyScheme, user: str, address: str, port: int) -> None:
    assert Proxy.parse(url) == Proxy(scheme=scheme, user=user, address=address, port=port)


@pytest.mark.parametrize(
    "url",
    [
        "p:1080",
        "https://p",
        "socks4://p",
        "socks5://",
        "http://p/path",
        "http://p?x",
        "http://p:0x1",
        "http://p:99999",
        "socks5://me:hunter2@p",
        "https://me:hunter2@p",
        "socks5://me:hunter2@p:many",
        "http://[hunter2",
    ],
)
def test_what_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|holds|has|is no") as caught:
        Proxy.parse(url)
    assert "hunter2" not in str(caught.value)


def test_password_is_never_shown() -> None:
    proxy = Proxy(
        scheme=ProxyScheme.HTTP, address="::1", port=1, user="me", password=Secret("hunter2")
    )
    assert str(proxy) == "http://me@[::1]:1"
    assert "hunter2" not in f"{proxy} {proxy!r}"


def test_tokens_of_a_command_are_quoted_where_they_must_be() -> None:
    tokens = {"h": "a b;c", "p": "22"}
    assert expand("nc %h %p # 100%%", tokens) == "nc 'a b;c' 22 # 100%"
    with pytest.raises(ConnectError, match=r"token %C; %h, %p and %% are known"):
        expand("nc %C", tokens)
