"""Decodes names from users' files and datasets, and escapes them: one function per output format."""

import re
import unicodedata

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_MAX_PATH_PART = 60  # characters; with a suffix, below the 255 bytes that file systems allow


def path_part(name: str) -> str:
    """Returns a name as one part of a path: letters, digits, `-`, `_` and inner dots; not unique."""
    plain = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name))
    return plain.strip("._-")[:_MAX_PATH_PART] or "unnamed"


def csv_cell(text: str) -> str:
    """Returns text as a CSV cell that no spreadsheet evaluates: `'` precedes `=`, `+`, `-`, `@`, except in numbers.

    Carriage returns, which pandas does not quote, are written as `\\r`.
    """
    text = text.replace("\r", r"\r")
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text


def decode_name(name: bytes | str) -> str:
    """Returns a name as a string; bytes are UTF-8, or else Latin-1."""
    if not isinstance(name, bytes):
        return str(name)
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def one_line(text: str) -> str:
    """Returns a name on one line, with single spaces, and `?` for unprintable characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def plot_text(text: str) -> str:
    """Returns plain text with dollar signs escaped, which mark mathematics in Matplotlib."""
    return text.replace("$", r"\$")
