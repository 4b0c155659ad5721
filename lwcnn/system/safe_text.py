"""Names from users' files and data sets, made safe for the place that they are written to: one function a place."""

import html
import re
import unicodedata

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_MAX_PATH_PART = 60  # characters; with a suffix it stays below the 255 bytes that file systems allow


def path_part(name: str) -> str:
    """Returns a name as one part of a path that can't leave its folder: letters, digits, `-`, `_` and inner dots.

    Args:
        name: Any text, such as the stem of a user's file. Different names can give the same part.
    """
    plain = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name))
    return plain.strip("._-")[:_MAX_PATH_PART] or "unnamed"


def csv_cell(text: str) -> str:
    """Returns a text as a cell that no spreadsheet takes for a formula: with `'` before `=`, `+`, `-` and `@`.

    Numbers stay as they are.

    Args:
        text: Any text; `csv` quotes it further where it has commas, quotes or line ends.
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text


def one_line(text: str) -> str:
    """Returns a name on one line, with single spaces, and `?` for control characters and others without a form."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def latex_text(text: str) -> str:
    """Returns plain text as LaTeX shows it."""
    return "".join(_LATEX.get(character, character) for character in text)


def html_text(text: str) -> str:
    """Returns plain text as HTML shows it."""
    return html.escape(text, quote=False)


def plot_text(text: str) -> str:
    """Returns plain text as Matplotlib shows it, which reads mathematics between dollar signs."""
    return text.replace("$", r"\$")
