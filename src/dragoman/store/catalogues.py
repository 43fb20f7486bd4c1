"""What servers offer, kept on disk from one start to the next: one file per server, in the user's cache folder.

It never fails a caller: what can't be read is not there, what can't be written is not kept. Several processes may use
one folder at once. Files are named by a keyed hash, so that nobody can guess a secret from a name.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
import time
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from dragoman.cache.offers import Offer
from dragoman.config.model import ServerConfig

__all__ = ["KeptCatalogues", "default_folder"]

log: Final = logging.getLogger("dragoman")

#: The first bytes of a file. The number grows when what follows has another form.
_HEAD: Final = b"dragoman catalogue 1\n"
_SUFFIX: Final = ".offer"
_TEMPORARY: Final = ".part"
_KEY_FILE: Final = "key"
_KEY_BYTES: Final = 32
_CHECKSUM_BYTES: Final = 4
_LARGEST_BYTES: Final = 64 * 1024 * 1024

_MOST_FILES: Final = 512
_MOST_BYTES: Final = 512 * 1024 * 1024
_LONGEST_KEPT: Final = 90 * 24 * 3600.0
_LONGEST_WRITING: Final = 3600.0

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Offer).decode


def default_folder() -> Path:
    """Give the folder in the user's cache, as the system and ``XDG_CACHE_HOME`` tell."""
    told = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(told):  # noqa: PTH117 - the specification says to pass over a relative one
        return Path(told, "dragoman", "catalogue")
    if sys.platform == "darwin":
        return Path("~/Library/Caches/dragoman/catalogue").expanduser()
    return Path("~/.cache/dragoman/catalogue").expanduser()


class KeptCatalogues:
    """The kept offers of servers. ``folder`` is made when the first is saved, for its user alone.

    Its methods read and write files in place; none of them raises because of what is on the disk.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._secret: bytes | None = None
        self._trusted: bool | None = None
        self._complained = False
        self._tidied = False

    @property
    def folder(self) -> Path | None:
        """Where the files are; None if there is no place for them."""
        if self._folder is None:
            with contextlib.suppress(RuntimeError):  # nobody's home
                self._folder = default_folder()
        return self._folder

    def key(self, config: ServerConfig) -> str:
        """Give the name under which a server's offer is kept: by how it is reached, and who asks.

        Two servers of one address that get different credentials have different keys; the server's name counts not.
        """
        if self._secret is None:
            self._secret = self._read_secret() or self._make_secret()
        headers = sorted((name.lower(), value) for name, value in config.headers.items())
        told = (
            (config.transport, config.command, config.args, _working_folder(config), config.url, config.proxy),
            (sorted(config.env.items()), config.inherit_env, headers, sorted(config.cookies.items())),
            (config.tls.cert_file, config.era, config.protocol_version),
        )
        # Written as Python writes it, since the environment can hold what UTF-8 can't.
        return blake2b(repr(told).encode("utf-8", "backslashreplace"), key=self._secret, digest_size=16).hexdigest()

    def load(self, key: str) -> Offer | None:
        """Give what is kept under that key; None if nothing is that can be used."""
        data = self._read(f"{key}{_SUFFIX}", _LARGEST_BYTES)
        if data is None:
            return None
        if not data.startswith(_HEAD):
            log.debug("a kept catalogue is passed over: it has another form")
            return None
        body = memoryview(data)[len(_HEAD) + _CHECKSUM_BYTES :]
        if data[len(_HEAD) : len(_HEAD) + _CHECKSUM_BYTES] != _checksum(body):
            log.debug("a kept catalogue is passed over: it is damaged")
            return None
        try:
            return _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.debug("a kept catalogue is passed over: %s", error)
            return None

    def load_many(self, keys: Iterable[str]) -> dict[str, Offer]:
        """Give what is kept under those keys, by key; those without anything usable are left out."""
        return {key: offer for key in keys if (offer := self.load(key)) is not None}

    def save(self, key: str, offer: Offer) -> None:
        """Keep an offer, in the place of the one before."""
        try:
            body = _encode(offer)
        except (TypeError, ValueError, OverflowError) as error:  # half a surrogate pair, a number beyond 64 bits
            log.debug("a catalogue can't be kept: %s", error)
            return
        if len(body) > _LARGEST_BYTES - len(_HEAD) - _CHECKSUM_BYTES:
            log.debug("a catalogue of %d bytes is too large to be kept", len(body))
            return
        folder = self._made_folder()
        if folder is None:
            return
        try:
            _write(folder / f"{key}{_SUFFIX}", _HEAD + _checksum(body) + body)
        except OSError as error:
            self._complain(error)
        if not self._tidied:
            self._tidied = True
            self.tidy()

    def forget(self, key: str) -> None:
        """Drop what is kept under that key."""
        if self.folder is not None:
            with contextlib.suppress(OSError):
                (self.folder / f"{key}{_SUFFIX}").unlink()

    def tidy(self) -> None:
        """Drop what was not saved for 90 days, the oldest beyond 512 files or 512 MiB, and half-written files.

        It is done by itself after the first save of each `KeptCatalogues`.
        """
        if self.folder is None:
            return
        try:
            with os.scandir(self.folder) as entries:
                found = sorted(_described(entries), reverse=True)
        except OSError:
            return
        now = time.time()
        kept = size = 0
        for changed, length, path in found:
            if path.endswith(_SUFFIX):
                kept, size = kept + 1, size + length
                old = kept > _MOST_FILES or size > _MOST_BYTES or now - changed > _LONGEST_KEPT
            else:
                old = path.endswith(_TEMPORARY) and now - changed > _LONGEST_WRITING
            if old:
                with contextlib.suppress(OSError):
                    Path(path).unlink()

    def _read(self, name: str, most: int) -> bytes | None:
        """Give the bytes of a file of this user's; None if it can't be used."""
        if self.folder is None or not self._is_own(self.folder):
            return None
        try:
            # Not through a link, and without waiting at a pipe that somebody put there.
            descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_size > most:
                log.debug("a kept file is passed over: it is another's, no file, or larger than %d bytes", most)
                return None
            with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                return file.read(most)
        except OSError as error:
            log.debug("a kept file is passed over: %s", error)
            return None
        finally:
            os.close(descriptor)

    def _read_secret(self) -> bytes | None:
        secret = self._read(_KEY_FILE, _KEY_BYTES)
        return secret if secret is not None and len(secret) == _KEY_BYTES else None

    def _make_secret(self) -> bytes:
        """Give a new secret, or that of a process that was quicker."""
        secret = os.urandom(_KEY_BYTES)
        folder = self._made_folder()
        if folder is None:
            return secret
        try:
            _write(folder / _KEY_FILE, secret, replace=False)
        except FileExistsError:
            found = self._read_secret()
            if found is not None:
                return found
            with contextlib.suppress(OSError):  # damaged: what is kept can't be found again anyway
                _write(folder / _KEY_FILE, secret)
        except OSError as error:
            self._complain(error)
        return secret

    def _made_folder(self) -> Path | None:
        if self.folder is None:
            return None
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._is_own(self.folder):
                if stat.S_IMODE(self.folder.stat().st_mode) & 0o077:
                    self.folder.chmod(0o700)
                return self.folder
            raise PermissionError(None, "the folder is another user's")
        except OSError as error:
            self._complain(error)
            return None

    def _is_own(self, folder: Path) -> bool:
        """Whether a folder is this user's: in another's, files could be exchanged for one another."""
        if self._trusted is None:
            try:
                self._trusted = folder.stat().st_uid == os.geteuid()
            except (OSError, ValueError):
                return False  # it may be made yet
        return self._trusted

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("what servers offer is not kept in %s: %s", self.folder, error.strerror or error)


def _write(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file as a whole: whoever reads it meanwhile sees the old one or the new one.

    Raises:
        FileExistsError: it is there and was not to be replaced.
        OSError: it can't be written.
    """
    import tempfile  # late: not needed to read

    # mkstemp makes it for this user alone (0600).
    descriptor, temporary = tempfile.mkstemp(suffix=_TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
        if replace:
            os.replace(temporary, path)  # noqa: PTH105 - the name came as a string
            return
        os.link(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - as above
        raise
    os.unlink(temporary)  # noqa: PTH108 - as above


def _checksum(body: bytes | memoryview) -> bytes:
    return crc32(body).to_bytes(_CHECKSUM_BYTES)


def _described(entries: Iterable[os.DirEntry[str]]) -> Iterable[tuple[float, int, str]]:
    for entry in entries:
        with contextlib.suppress(OSError):
            about = entry.stat(follow_symlinks=False)
            yield about.st_mtime, about.st_size, entry.path


def _working_folder(config: ServerConfig) -> str | None:
    """Give the folder a server runs in, if that can make a difference to what it is."""
    if config.cwd is not None or config.command is None:
        return config.cwd
    words = [*config.args, *([config.command] if "/" in config.command else ())]
    if not any(_is_relative_path(word) for word in words):
        return None
    with contextlib.suppress(OSError):  # somebody removed it
        return os.getcwd()  # noqa: PTH109 - compared, not walked
    return None


def _is_relative_path(word: str) -> bool:
    return not word.startswith(("/", "-")) and os.path.exists(word)  # noqa: PTH110 - many, quickly
