"""Reads the pickles of CIFAR's official archives without `pickle`.

Unpickling can call arbitrary functions and pass arbitrary state to NumPy, which can crash or compromise the process.
This reader interprets the opcodes itself and can only build numbers, text, bytes, lists, tuples, dictionaries and
uint8 arrays.
"""

import io
import math
import pickletools
from typing import Any

import numpy as np

_MARK = object()
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_NUMBERS = ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT")
_TEXTS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8")
_BYTES_OF_PYTHON_2 = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_STORES = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_FETCHES = ("GET", "BINGET", "LONG_BINGET")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = ("PROTO", "FRAME")


class _Array:
    """Placeholder for an array whose values follow in a later opcode."""

    def __init__(self) -> None:
        self.values: np.ndarray | None = None


def read_pickle(data: bytes) -> Any:
    """Reads a pickle of plain values and uint8 arrays; strings of Python 2 become bytes.

    Args:
        data: Content of the pickle file.

    Raises:
        ValueError: If the pickle is invalid or contains anything else. Invalid pickles raise IndexError and other
            errors as well.
    """
    reader = _Reader()
    for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
        if opcode.name == "STOP":
            return _finished(reader.stack.pop())
        reader.take(opcode.name, argument)
    raise ValueError("the pickle does not end")


class _Reader:
    """Stack machine for the opcodes of plain data."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, name: str, argument: Any) -> None:
        """Executes one opcode."""
        if name in _IGNORED:
            return
        if name in _STORES:
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in _FETCHES:
            self.stack.append(self.memo[argument])
        elif name in _NUMBERS or name in _TEXTS or name in _BYTES:
            self.stack.append(bytes(argument) if name in _BYTES else argument)
        elif name in _BYTES_OF_PYTHON_2:
            self.stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name == "MARK":
            self.stack.append(_MARK)
        elif name in _TUPLES:
            count = _TUPLES[name]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name in ("TUPLE", "LIST", "DICT"):
            items = self._since_mark()
            self.stack.append(_dictionary(items) if name == "DICT" else {"TUPLE": tuple, "LIST": list}[name](items))
        elif name in ("APPEND", "APPENDS"):
            items = [self.stack.pop()] if name == "APPEND" else self._since_mark()
            _require(self.stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._since_mark() if name == "SETITEMS" else [self.stack.pop(-2), self.stack.pop()]
            _require(self.stack[-1], dict).update(_dictionary(items))
        elif name == "GLOBAL":
            self.stack.append(_Function(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            function = self.stack.pop()
            self.stack.append(_Function(self.stack.pop(), function))
        elif name == "REDUCE":
            arguments = _require(self.stack.pop(), tuple)
            self.stack.append(_require(self.stack.pop(), _Function).call(arguments))
        elif name == "BUILD":
            state = _require(self.stack.pop(), tuple)
            if isinstance(self.stack[-1], _Array):
                _, shape, dtype, is_fortran, values = state
                self.stack[-1].values = _array(values, dtype, shape, is_fortran)
            else:
                _require(self.stack[-1], np.dtype)  # the state of uint8 adds no information
        else:
            raise ValueError(f"{name} is not an opcode of plain data")

    def _since_mark(self) -> list[Any]:
        start = next(i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK)
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items


class _Function:
    """A function named in the pickle. The few that NumPy's pickles use are emulated, never called."""

    def __init__(self, module: Any, name: Any):
        self.module, self.name = _require(module, str), _require(name, str)

    def call(self, arguments: tuple) -> Any:
        """Returns the value that the function would return."""
        if self.name == "_reconstruct" and self.module in _ARRAY_MODULES:
            return _Array()
        if self.name == "_frombuffer" and self.module in _BUFFER_MODULES:
            values, dtype, shape, order = arguments
            return _array(values, dtype, shape, order == "F")
        if (self.module, self.name) == ("numpy", "dtype"):
            if arguments[0] not in ("u1", b"u1", "uint8", "|u1"):
                raise ValueError("an array that is not uint8")
            return np.dtype(np.uint8)
        if (self.module, self.name) == ("_codecs", "encode"):  # bytes in protocol 2, written by Python 3
            return _require(arguments[0], str).encode("latin-1")
        raise ValueError(f"{self.module}.{self.name} is not an array")


def _array(values: Any, dtype: Any, shape: Any, is_fortran: Any) -> np.ndarray:
    if not isinstance(dtype, np.dtype) or not isinstance(shape, tuple) or not isinstance(values, bytes):
        raise ValueError("an array without bytes as data")
    if not all(type(side) is int and 0 <= side <= len(values) for side in shape) or math.prod(shape) != len(values):
        raise ValueError(f"{len(values)} bytes do not match the array's shape")
    return np.frombuffer(values, np.uint8).reshape(shape, order="F" if is_fortran else "C")


def _dictionary(items: list[Any]) -> dict:
    if len(items) % 2 or not all(isinstance(key, (bytes, str, int)) for key in items[::2]):
        raise ValueError("a dictionary with invalid keys")
    return dict(zip(items[::2], items[1::2], strict=True))


def _finished(value: Any) -> Any:
    """Replaces array placeholders in a value, or in the values of a dictionary, by the arrays."""
    if isinstance(value, dict):
        return {key: item.values if isinstance(item, _Array) else item for key, item in value.items()}
    return value.values if isinstance(value, _Array) else value


def _require(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{type(value).__name__} where {kind.__name__} was expected")
    return value
