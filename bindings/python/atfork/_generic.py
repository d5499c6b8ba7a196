# SPDX-License-Identifier: MIT
"""Generic classes, without the cost of importing typing."""
from __future__ import annotations

import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    T = TypeVar("T")

    class Of(Generic[T]):
        pass

else:

    class Of:
        __slots__ = ()
        __class_getitem__ = classmethod(types.GenericAlias)
