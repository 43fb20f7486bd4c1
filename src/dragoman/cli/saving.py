"""Puts what is no text (pictures, sounds, other bytes) into files that overwrite nothing.

A name that a server gives is a suggestion: only its harmless characters are taken, and never a place outside the
directory.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from dragoman.errors import UsageError

__all__ = ["check_directory", "check_file", "save", "stem_of"]

_HARMLESS: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME: Final = 80
_LONGEST_SUFFIX: Final = 8
_ENDINGS: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/octet-stream": ".bin",
    "text/plain": ".txt",
}


def check_directory(directory: str) -> None:
    """See that files can be put into a directory.

    Raises:
        UsageError: they can't.
    """
    why = _refusal(Path(directory))
    if why:
        hint = "Name a directory that can be written with --save."
        raise UsageError(f"--save {directory!r} {why}", hint=hint)


def check_file(path: str) -> None:
    """See that a file can be written.

    Raises:
        UsageError: it can't.
    """
    file = Path(path)
    if file.is_dir():
        why = "is a directory"
    elif file.exists():
        why = "" if os.access(file, os.W_OK) else "can't be written"
    else:
        why = _refusal(file.parent) and f"can't be made: {str(file.parent)!r} {_refusal(file.parent)}"
    if why:
        raise UsageError(f"{path!r} {why}", hint="Name a file that can be written.")


def _refusal(directory: Path) -> str:
    """Tell why no file can be put into a directory; empty if it can."""
    if not directory.is_dir():
        return "is no directory" if directory.exists() else "does not exist"
    return "" if os.access(directory, os.W_OK | os.X_OK) else "can't be written"


def stem_of(uri: str, otherwise: str) -> str:
    """Give the last part of a URI's path as a name for a file, or another name if it has none."""
    try:
        path = urlsplit(uri).path
    except ValueError:
        return otherwise
    return unquote(path).rstrip("/").rpartition("/")[2] or otherwise


def save(directory: str, name: str, kind: str | None, data: bytes) -> Path:
    """Write a new file and give its path. ``kind`` is the MIME type, which tells the ending if the name has none.

    Raises:
        UsageError: it can't be written.
    """
    stem, ending = _parts(name, (kind or "").partition(";")[0].strip().lower())
    for number in itertools.count(1):
        path = Path(directory) / f"{stem}{'' if number == 1 else f'-{number}'}{ending}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        except OSError as error:
            hint = "Name a directory that can be written with --save."
            raise UsageError(f"{str(path)!r} can't be written ({error.strerror})", hint=hint) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        return path
    raise AssertionError


def _parts(name: str, kind: str) -> tuple[str, str]:
    clean = _HARMLESS.sub("-", name).strip("-.")[:_LONGEST_NAME] or "result"
    stem, dot, suffix = clean.rpartition(".")
    if dot and stem and 1 <= len(suffix) <= _LONGEST_SUFFIX and suffix.isalnum():
        return stem, f".{suffix}"
    return clean, _ENDINGS.get(kind) or _guessed(kind)


def _guessed(kind: str) -> str:
    import mimetypes

    return mimetypes.guess_extension(kind) or ".bin"
