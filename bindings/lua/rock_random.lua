-- SPDX-License-Identifier: MIT
-- The rock's `atfork.random`, which is in its C module.
require "atfork"
return package.preload["atfork.random"] "atfork.random"
