rockspec_format = "3.0"
package = "atfork"
version = "0.1.0-1"
source = {
  -- script/rock makes it; `luarocks make` takes the directory that it is called in.
  url = "https://libatfork.example/atfork-lua-0.1.0.tar.gz",
  dir = "atfork-lua-0.1.0",
}
description = {
  summary = "Hooks that run exactly once in each new process after fork()",
  detailed = [[
    Runs Lua and C functions around fork(), each once in every new process: in priority order, isolated from each
    other's errors, and in forks that bypass pthread_atfork, too.  Has a copy of the C library libatfork inside, unless
    pkg-config finds an installed one.
  ]],
  homepage = "https://libatfork.example",
  license = "MIT",
  labels = { "fork", "posix", "process" },
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1, < 5.6" }
build = {
  type = "make",
  makefile = "bindings/lua/rock.mk",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    LIBDIR = "$(LIBDIR)",
    LUADIR = "$(LUADIR)",
  },
}
