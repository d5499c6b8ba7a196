# SPDX-License-Identifier: MIT
"""Runs an action when a module is imported; at once if it has been imported."""
from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable, Optional

    Action = Callable[[ModuleType], object]


class Loader:
    """Runs a module's own loader, and then the action."""

    def __init__(self, loader: Any, action: Action) -> None:
        self._loader = loader
        self._action = action

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        made: Optional[ModuleType] = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._action(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class Finder:
    """Is the first finder in sys.meta_path, and asks the others."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        action = self.actions.get(name)
        if action is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: Optional[ModuleSpec] = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader, action)  # type: ignore[assignment]
                return spec
        return None


finder = Finder()


def when_imported(name: str, action: Action) -> None:
    """If the module already has an action, the new one replaces it."""
    finder.actions[name] = action
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)
    module = sys.modules.get(name)
    if module is not None:
        action(module)
