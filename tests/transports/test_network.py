"""What the network transports share: addresses, headers from the configuration, TLS, and the way to a proxy."""

from __future__ import annotations

import asyncio
import base64
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.model import ServerConfig, Tls
from dragoman.errors import CannotConnect, ConfigError, DragomanError
from dragoman.transports.http import StreamableHttp
from dragoman.transports.network import address_of, configured_headers, proxy_for
from dragoman.transports.sse import SseTransport
from dragoman.transports.websocket import WebSocketTransport
from tests.servers.http_faults import Visit, free_port, serving
from tests.transports.exchanges import STATELESS, Certificates, ExchangeInbox, make_certificates, request

TRANSPORTS = [StreamableHttp, SseTransport, WebSocketTransport]
PROXIES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the proxies of whoever runs the tests."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority of our own and a certificate for the loopback."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def talk(config: ServerConfig) -> ExchangeInbox:
    """Send one request and close."""
    http, inbox = StreamableHttp(config), ExchangeInbox()
    try:
        await http.open(inbox)
        await http.send(request(1, version=STATELESS))
    finally:
        await http.aclose()
    return inbox


async def echo(visit: Visit) -> None:
    """Answer as it should be."""
    await visit.answer(visit.result())


# Addresses.


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://host", "http://host", "/"),
        ("https://HOST:443/mcp?a=b#c", "https://host", "/mcp?a=b"),
        ("http://host:8080/a b", "http://host:8080", "/a%20b"),
        ("http://[::1]:80/", "http://[::1]", "/"),
        ("wss://host/ws", "https://host", "/ws"),
        ("http://u:p@host//x", "http://host", "//x"),
        ("https://Bücher.example:444/ü", "https://xn--bcher-kva.example:444", "/%C3%BC"),
        ("http://例え。テスト/", "http://xn--r8jz45g.xn--zckzah", "/"),
    ],
)
def test_an_address_is_taken_apart(url: str, origin: str, target: str) -> None:
    """Scheme, host and port make the origin; the rest is what a request line holds."""
    address = address_of(ServerConfig(url=url))
    assert (address.origin, address.target) == (origin, target)


@given(st.text())
def test_any_reference_leads_somewhere_or_nowhere(reference: str) -> None:
    """A server may put anything into Location or an endpoint event."""
    there = address_of(ServerConfig(url="http://host/mcp")).joined(reference)
    if there is not None:
        assert there.origin.startswith(("http://", "https://"))
        assert there.target.startswith("/")
        assert there.target.isascii()
        assert not set(there.target) & set(" \r\n\t")


@pytest.mark.parametrize("url", ["http://", "http://host:99999/", "http://[::1", "http://ho st/"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_unusable_address_is_an_error_of_the_configuration(transport: Any, url: str) -> None:
    """It names the key."""
    with pytest.raises(ConfigError, match="url"):
        transport(ServerConfig(name="far", url=url, transport="streamable_http"))


# Headers.


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("X-Key", "s3cr3t\n", "X-Key"),
        ("X-Key", "s3cr3t\r\nHost: evil", "X-Key"),
        ("X-Key", " s3cr3t", "X-Key"),
        ("X-Key", "s3cr3t\x00", "X-Key"),
        ("X-Key", "s3cr3t\ud800", "X-Key"),
        ("X Key", "s3cr3t", "X Key"),
        ("", "s3cr3t", "name"),
        ("X-Key:", "s3cr3t", "X-Key:"),
        ("Mcp-Session-Id", "s3cr3t", "Mcp-Session-Id"),
        ("MCP-Protocol-Version", "s3cr3t", "protocol_version"),
        ("mcp-method", "s3cr3t", "mcp-method"),
        ("Mcp-Param-Region", "s3cr3t", "Mcp-Param-Region"),
        ("Content-Length", "3", "Content-Length"),
        ("Transfer-Encoding", "chunked", "Transfer-Encoding"),
        ("Last-Event-ID", "s3cr3t", "Last-Event-ID"),
    ],
)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_header_that_can_t_be_sent_is_named_but_not_its_value(
    transport: Any, name: str, value: str, told: str
) -> None:
    """Line breaks, wrong names, and the headers that are the protocol's own."""
    with pytest.raises(ConfigError) as caught:
        transport(ServerConfig(name="far", url="http://127.0.0.1/", headers={name: value}))
    assert told in str(caught.value)
    assert "s3cr3t" not in repr(caught.value) + str(caught.value)


def test_a_header_that_the_transport_sets_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Other hosts' files often repeat Accept; the warning names it, not its value."""
    config = ServerConfig(name="far", url="http://h/", headers={"ACCEPT": "s3cr3t", "X-Other": "ü"})
    with caplog.at_level(logging.WARNING):
        headers = configured_headers(config, address_of(config), settled={"accept"})
    assert headers.keys() == {"X-Other", "User-Agent"}
    assert "ACCEPT" in caplog.text
    assert "s3cr3t" not in caplog.text


async def test_a_header_beyond_ascii_and_a_host_of_ones_own_are_sent() -> None:
    """The value goes out as UTF-8; Host, when configured, takes the place of ours."""
    async with serving(echo) as server:
        await talk(ServerConfig(url=server.url, headers={"X-Name": "ü", "host": "inner.example"}))
    assert server.visits[0].headers["x-name"] == "ü"
    assert server.visits[0].headers["host"] == "inner.example"


async def test_a_cookie_that_can_t_be_sent_is_an_error_of_the_configuration() -> None:
    """It does not show the value."""
    with pytest.raises(ConfigError, match="cookies") as caught:
        await talk(ServerConfig(url="http://127.0.0.1:1/", cookies={"bad name": "s3cr3t"}))
    assert "s3cr3t" not in str(caught.value)


# TLS.


async def test_a_certificate_of_an_unknown_authority_is_refused(certificates: Certificates) -> None:
    """With the reason and the setting that helps."""
    async with serving(echo, tls=certificates.server()) as server:
        with pytest.raises(CannotConnect, match="certificate") as caught:
            await talk(ServerConfig(name="far", url=server.url))
        assert "tls.ca_file" in str(caught.value)
        assert server.visits == []


async def test_a_private_authority_is_trusted_when_it_is_configured(certificates: Certificates) -> None:
    """And the connection is used again for the next request."""
    async with serving(echo, tls=certificates.server()) as server:
        config = ServerConfig(url=server.url, tls=Tls(ca_file=str(certificates.authority)))
        http, inbox = StreamableHttp(config), ExchangeInbox()
        await http.open(inbox)
        try:
            for number in (1, 2):
                await http.send(request(number, version=STATELESS))
        finally:
            await http.aclose()
        assert server.connections == 1
    assert len(inbox.received) == 2


async def test_a_certificate_for_another_name_is_refused(certificates: Certificates) -> None:
    """Unless ``server_hostname`` says which name to expect."""
    async with serving(echo, tls=certificates.server()) as server:
        authority = str(certificates.authority)
        with pytest.raises(CannotConnect, match="certificate"):
            await talk(ServerConfig(url=server.url, tls=Tls(ca_file=authority, server_hostname="other.example")))
        await talk(ServerConfig(url=server.url, tls=Tls(verify=False, server_hostname="other.example")))


async def test_a_client_shows_its_certificate(certificates: Certificates) -> None:
    """A server that asks for one gets it; without it, no conversation comes about."""
    files: Any = {"cert_file": str(certificates.certificate), "key_file": str(certificates.key)}
    async with serving(echo, tls=certificates.server(wants_client=True)) as server:
        inbox = await talk(ServerConfig(url=server.url, tls=Tls(ca_file=str(certificates.authority), **files)))
        assert len(inbox.received) == 1
        with pytest.raises(DragomanError):
            await talk(ServerConfig(url=server.url, tls=Tls(ca_file=str(certificates.authority))))


async def test_a_server_that_speaks_no_tls_is_told() -> None:
    """An https address of a plain server."""

    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(CannotConnect, match="speaks no TLS"):
            await talk(ServerConfig(url=f"https://127.0.0.1:{port}/"))


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_tls_file_that_can_t_be_used_names_its_setting(key: str, content: str | None, tmp_path: Path) -> None:
    """Not there, or not what it should be."""
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_text(content)
    files: Any = {key: str(file)}
    with pytest.raises(ConfigError, match=rf"tls\.{key}"):
        await talk(ServerConfig(url="https://127.0.0.1:1/", tls=Tls(**files)))


# Proxies.


async def proxy(visit: Visit) -> None:
    """A proxy that answers by itself, and opens no tunnels."""
    if visit.verb == "CONNECT":
        await visit.answer(status="407 Proxy Authentication Required", kind=None)
    else:
        await visit.answer(visit.result(via="proxy"))


async def test_requests_take_the_configured_proxy() -> None:
    """With the whole address and the proxy's own login."""
    async with serving(proxy) as server:
        way = server.origin.replace("http://", "http://me:s3cr3t@")
        inbox = await talk(ServerConfig(url="http://far.invalid/mcp?x=1", proxy=way))
    assert b"via" in inbox.received[0][0]
    (visit,) = server.visits
    assert visit.target == "http://far.invalid/mcp?x=1"
    assert visit.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"me:s3cr3t").decode()


async def test_a_proxy_that_refuses_or_is_away_is_told_without_its_password() -> None:
    """It is the proxy, not the server, that has to be looked at."""
    async with serving(proxy) as server:
        way = server.origin.replace("http://", "http://me:s3cr3t@")
        with pytest.raises(CannotConnect, match="refused with HTTP 407") as caught:
            await talk(ServerConfig(url="https://far.invalid/", proxy=way))
        assert "s3cr3t" not in str(caught.value)
    with pytest.raises(CannotConnect, match=r"proxy .* can't be reached") as caught:
        await talk(ServerConfig(url="http://far.invalid/", proxy=f"http://me:s3cr3t@127.0.0.1:{free_port()}"))
    assert "s3cr3t" not in str(caught.value)


async def test_the_environments_proxy_is_taken_unless_it_is_told_to_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """``HTTP_PROXY`` and ``NO_PROXY``, and the setting that leaves them aside."""
    async with serving(proxy) as way, serving(echo) as server:
        monkeypatch.setenv("HTTP_PROXY", way.origin)
        await talk(ServerConfig(url=server.url))
        assert (len(way.visits), len(server.visits)) == (1, 0)
        await talk(ServerConfig(url=server.url, trust_env=False))
        monkeypatch.setenv("NO_PROXY", "example.com, 127.0.0.1")
        await talk(ServerConfig(url=server.url))
        assert (len(way.visits), len(server.visits)) == (1, 2)


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        ("*", True),
        ("inner.example.com", True),
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("EXAMPLE.com", True),
        ("inner.example.com:8080", True),
        ("example.com:8080", True),
        ("a, example.com ,b", True),
        ("ample.com", False),
        ("inner.example.com:80", False),
        ("other", False),
        (" , ,", False),
    ],
)
def test_no_proxy_names_hosts_and_domains(monkeypatch: pytest.MonkeyPatch, entry: str, passes: object) -> None:
    """As other tools read it."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("no_proxy", entry)
    config = ServerConfig(url="http://inner.example.com:8080/")
    assert (proxy_for(config, address_of(config)) is None) is passes


def test_no_proxy_names_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the usual notation."""
    monkeypatch.setenv("ALL_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,::1")
    ways = {
        host: proxy_for(config, address_of(config))
        for host in ("10.1.2.3", "11.1.2.3", "[::1]")
        for config in [ServerConfig(url=f"http://{host}/")]
    }
    assert ways == {"10.1.2.3": None, "11.1.2.3": "http://proxy:3128", "[::1]": None}


def test_a_proxy_sent_by_a_client_of_a_cgi_program_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, ``HTTP_PROXY`` is a request's header."""
    monkeypatch.setenv("HTTP_PROXY", "http://evil:1")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    config = ServerConfig(url="http://host/")
    assert proxy_for(config, address_of(config)) is None


@pytest.mark.parametrize("way", ["socks5://me:s3cr3t@proxy:1", "http://", "http://[x"])
def test_a_proxy_of_another_kind_is_an_error_of_the_configuration(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """It says where it comes from, and shows no password."""
    configured = ServerConfig(url="http://host/", proxy=way)
    with pytest.raises(ConfigError, match="proxy") as caught:
        proxy_for(configured, address_of(configured))
    assert "s3cr3t" not in str(caught.value)
    monkeypatch.setenv("https_proxy", way)
    config = ServerConfig(url="https://host/")
    with pytest.raises(ConfigError, match=r"https_proxy.*trust_env"):
        proxy_for(config, address_of(config))
