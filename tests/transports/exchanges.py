"""What the tests of the network transports share: an inbox, messages to send, and certificates made on the spot."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dragoman.protocol.jsonrpc import RequestId, encode_notification, encode_request
from dragoman.transports.base import Outgoing
from tests.transports.recording import RecordingInbox

STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"


class ExchangeInbox(RecordingInbox):
    """Keeps with each message the request on whose stream it came."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[bytes, RequestId | None]] = []

    def message_received(self, data: bytes, request_id: RequestId | None = None) -> bool:
        """See `Inbox`."""
        self.received.append((data, request_id))
        return super().message_received(data, request_id)


def request(
    number: int = 1,
    method: str = "tools/call",
    *,
    params: bytes = b'{"name":"echo"}',
    name: str | None = "echo",
    headers: Mapping[str, str] | None = None,
    lasting: bool = False,
    version: str = "",
) -> Outgoing:
    """A request, by default a call of ``echo``."""
    return Outgoing(encode_request(number, method, params), method, number, name, headers, lasting, version)


def initialize(number: int = 0) -> Outgoing:
    """The request that begins a session."""
    return request(number, "initialize", params=b"{}", name=None)


def notification(method: str = "notifications/initialized") -> Outgoing:
    """A notification, by default the one after the handshake."""
    return Outgoing(encode_notification(method, b""), method)


@dataclass(frozen=True)
class Certificates:
    """An authority of our own, and what it signed for 127.0.0.1 (server and client alike). All are PEM files."""

    authority: Path
    certificate: Path
    key: Path

    def server(self, *, wants_client: bool = False) -> ssl.SSLContext:
        """Settings for a server; ``wants_client`` asks each client for a certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.authority)
        return context


def make_certificates(directory: Path) -> Certificates:
    """Make them; they are good for a day."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the tests")])
    authority = _certificate(authority_name, authority_name, authority_key, authority_key, authority=True)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server of the tests")])
    certificate = _certificate(name, authority_name, key, authority_key, authority=False)
    made = Certificates(directory / "authority.pem", directory / "certificate.pem", directory / "key.pem")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_usage(authority=authority), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    """What the key is for; Python 3.13 wants an authority to say it."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
