-- SPDX-License-Identifier: MIT
-- The rock's `atfork`.  Its C module has a name of its own: `meson install` may have put an atfork.so into the same tree.
return require "atfork.rock"
