"""Puts what is no text (pictures, sounds, other bytes) into files that overwrite nothing.

A name that a server gives is a suggestion: only its harmless characters are taken, never a place outside the directory,
and never an ending: a file that a program, a shell or a desktop would run because of its name must not be planted.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from dragoman.errors import UsageError

__all__ = ["Saver", "check_directory", "check_file", "stem_of"]

_HARMLESS: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME: Final = 80
_MOST_FILES: Final = 100
_OTHERWISE: Final = "result"
_UNKNOWN: Final = ".bin"
#: What is only shown or played, never run.
_ENDINGS: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/svg+xml": ".svg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "video/mp4": ".mp4",
    "video/mpeg": ".mpeg",
    "video/webm": ".webm",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
}
#: Names that Windows keeps for devices, whatever their ending.
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)


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


class Saver:
    """Saves the files of one result into a directory, as many as a person may want to look through."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._numbers: dict[tuple[str, str], int] = {}
        self._saved = 0
        self.left_out = 0

    def save(self, name: str, kind: str | None, data: bytes) -> Path | None:
        """Write a new file and give its path; None, and one more ``left_out``, if there were too many before it.

        ``kind`` is the MIME type, which alone tells the ending.

        Raises:
            UsageError: it can't be written.
        """
        if self._saved >= _MOST_FILES:
            self.left_out += 1
            return None
        parts = _parts(name, (kind or "").partition(";")[0].strip().lower())
        while True:
            number = self._numbers[parts] = self._numbers.get(parts, 0) + 1
            stem, ending = parts
            path = self._directory / f"{stem}{'' if number == 1 else f'-{number}'}{ending}"
            if _written(path, data):
                self._saved += 1
                return path


def _written(path: Path, data: bytes) -> bool:
    """Write a new file; False if something has its name."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError:
        return False
    except OSError as error:
        hint = "Name a directory that can be written with --save."
        raise UsageError(f"{str(path)!r} can't be written ({error.strerror})", hint=hint) from None
    return True


def _parts(name: str, kind: str) -> tuple[str, str]:
    """Give a harmless stem, and the ending that the type has; the name's own dots become part of the stem."""
    ending = _ENDINGS.get(kind, _UNKNOWN)
    if name.lower().endswith(ending):
        name = name[: -len(ending)]
    stem = _HARMLESS.sub("-", name.strip(".").replace(".", "_")).strip("-_")[:_LONGEST_NAME] or _OTHERWISE
    return (f"{stem}_" if _RESERVED.fullmatch(stem) else stem), ending
