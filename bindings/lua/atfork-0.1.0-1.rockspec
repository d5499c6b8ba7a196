rockspec_format = "3.0"
package = "atfork"
version = "0.1.0-1"
source = {
  -- What `meson dist` makes; `luarocks make` takes the directory that it is called in.
  url = "file://atfork-0.1.0.tar.xz",
  dir = "atfork-0.1.0",
}
description = {
  summary = "Hooks that put a process right after fork()",
  detailed = [[
    Runs Lua and C functions around fork(), each once in every new process: in priority order, isolated from each
    other's errors, and in forks that no library was told of too.  Needs the C library libatfork, and SWIG to build.
  ]],
  homepage = "https://libatfork.example",
  license = "MIT",
  labels = { "fork", "posix", "process" },
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1, < 5.6" }
external_dependencies = {
  ATFORK = { header = "atfork.h", library = "atfork" },
}
build = {
  type = "make",
  makefile = "bindings/lua/rock.mk",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    ATFORK_INCDIR = "$(ATFORK_INCDIR)",
    ATFORK_LIBDIR = "$(ATFORK_LIBDIR)",
  },
  install_variables = {
    LIBDIR = "$(LIBDIR)",
    LUADIR = "$(LUADIR)",
  },
}
