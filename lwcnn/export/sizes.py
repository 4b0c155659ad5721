"""Sizes of exported models, uncompressed and compressed."""

import gzip

Content = bytes | dict[str, bytes]
"""Content of a file, or of a folder's files by relative path."""


def size_bytes(content: Content) -> int:
    """Returns the total size in bytes."""
    return len(_joined(content))


def gzip_bytes(content: Content) -> int:
    """Returns the size in bytes after gzip compression at level 9."""
    return len(gzip.compress(_joined(content), compresslevel=9, mtime=0))


def _joined(content: Content) -> bytes:
    return content if isinstance(content, bytes) else b"".join(content[name] for name in sorted(content))
