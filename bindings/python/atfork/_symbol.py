# SPDX-License-Identifier: MIT
"""C functions as callbacks, and their data."""
from __future__ import annotations

import operator
import os
import sys

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Union

POINTER_MIN = -(2**63)
POINTER_MAX = 2**64 - 1


class Symbol:
    """A C function, `void function(void *data)`, which can be used as any callback; see symbol().

    If data is the address of an object, the object lives as long as this.
    """

    __slots__ = ("library", "name", "address", "data", "_pointer")

    def __init__(self, library: Optional[str], name: str, address: int, data: Any = None) -> None:
        self.library = library
        self.name = name
        self.address = address
        self.data = data
        self._pointer = _pointer(data)

    def __reduce__(self) -> Any:
        """Pickled by library and name, as addresses are valid only in this process."""
        if self.data is not None:
            raise TypeError("cannot pickle or copy a Symbol with data: its address is valid only in this process")
        return symbol, (self.library, self.name)

    def __repr__(self) -> str:
        return f"<atfork.Symbol {self.name} at {self.address:#x}>"


def symbol(library: Union[str, os.PathLike[str], None], name: str, data: Any = None) -> Symbol:
    """A C function, `void function(void *data)`, of a shared library, which stays loaded.

    It runs directly inside fork(2), so it never waits for the interpreter.

    library: None means the process itself.
    data: the argument of the function: an address as an int; a pointer of ctypes, also byref(); or another object of
    ctypes, whose address is passed.  The object is kept alive.  None is NULL.
    """
    path = os.fspath(library) if isinstance(library, os.PathLike) else library
    if path is not None and not isinstance(path, str):
        raise TypeError(f"library must be str, os.PathLike[str] or None, not {type(library).__name__}")
    if not isinstance(name, str):
        raise TypeError(f"name must be str, not {type(name).__name__}")
    if "\0" in name or "\0" in (path or ""):
        raise ValueError("the name or the library contains a null character")
    return Symbol(path, name, _native.symbol(path, name), data)


def _pointer(data: Any) -> int:
    if data is None:
        return 0
    if hasattr(data, "__index__"):
        number = int(operator.index(data))
        if not POINTER_MIN <= number <= POINTER_MAX:
            raise ValueError(f"data must be from {POINTER_MIN} to {POINTER_MAX}")
        return number & POINTER_MAX
    ctypes = sys.modules.get("ctypes")
    if ctypes is not None:
        kinds = (ctypes._Pointer, ctypes._CFuncPtr, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p)
        if isinstance(data, (*kinds, type(ctypes.byref(ctypes.c_int())))):
            return ctypes.cast(data, ctypes.c_void_p).value or 0
        if isinstance(data, (ctypes._SimpleCData, ctypes.Structure, ctypes.Union, ctypes.Array)):
            return int(ctypes.addressof(data))
    raise TypeError(f"data must be int, a ctypes pointer or object, or None, not {type(data).__name__}")


def _function_of_ctypes(value: object) -> Optional[int]:
    """The address of a C function, or None for other values.  Its library stays loaded."""
    ctypes = sys.modules.get("ctypes")
    if ctypes is None or not isinstance(value, ctypes._CFuncPtr):
        return None
    # A ctypes callback of a Python function would enter the interpreter inside fork().
    if any(type(kept).__name__ == "CThunkObject" for kept in (value._objects or {}).values()):
        raise TypeError("this is a ctypes callback of a Python function: register that function itself")
    address = ctypes.cast(value, ctypes.c_void_p).value
    if address is None:
        raise ValueError("the ctypes function is a null pointer")
    if not _native.keep_library(int(address)):
        raise ValueError("not a function of a library: register Python functions as they are, not as C callbacks")
    return int(address)


def c_function(what: str, value: Any) -> Any:
    """A callable unchanged; a C function as (address, address of data, object that keeps both alive)."""
    if isinstance(value, Symbol):
        return value.address, value._pointer, value
    address = _function_of_ctypes(value)
    if address is not None:
        return address, 0, value
    if not callable(value):
        raise TypeError(f"{what} must be callable, or an atfork.Symbol, not {type(value).__name__}")
    return value
