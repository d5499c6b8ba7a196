# Builds the module for the rockspec, which sets the variables.  Without LuaRocks, meson.build builds it.
#
# The module takes the libatfork that pkg-config finds, if that is as new as this rock, and else a copy of the library.
# ATFORK=system in the environment insists on the first, ATFORK=own on the second.
#
# In a rock that script/rock has packed, made/ has SWIG's wrapper and the copy.  In the repository they are made here.
SWIG = swig
PKG_CONFIG = pkg-config
here = bindings/lua
common = bindings/common
out = build-rock
made = $(if $(wildcard made/atfork.c),made,$(out))
comma = ,

version = $(patsubst atfork-%-1.rockspec,%,$(notdir $(wildcard $(here)/atfork-*-1.rockspec)))
major = $(firstword $(subst ., ,$(version)))
fits = $(PKG_CONFIG) --atleast-version=$(version) atfork && $(PKG_CONFIG) --max-version=$(major).999999 atfork
ATFORK ?= $(shell if { $(fits); } >/dev/null 2>&1; then echo system; else echo own; fi)

own_sources = $(made)/atfork.c
own_flags = -I$(made)
own_libs =
system_flags = $(shell $(PKG_CONFIG) --cflags atfork)
system_libs = $(shell $(PKG_CONFIG) --libs atfork) \
  $(patsubst -L%,-Wl$(comma)-rpath$(comma)%,$(shell $(PKG_CONFIG) --libs-only-L atfork))

# Always: nothing tells which Lua an earlier module was built for.
module: $(made)/atfork.c
	@echo "building with libatfork: $(ATFORK)"
	@$(if $(filter own,$(ATFORK)),:,$(fits) || { echo "pkg-config finds no libatfork $(version)" >&2; exit 1; })
	mkdir -p $(out)
	$(CC) -std=c11 -pthread $(CFLAGS) $(LIBFLAG) -fvisibility=hidden -I$(here) -I$(common) -I$(made) -I"$(LUA_INCDIR)" \
	  $($(ATFORK)_flags) -Dluaopen_atfork=luaopen_atfork_rock -o $(out)/rock.so $(made)/atfork_lua_wrap.c \
	  $(here)/*.c $(common)/*.c $($(ATFORK)_sources) $($(ATFORK)_libs) -Wl,-z,nodelete,-z,now -ldl

# All that is made of the repository.
$(out)/atfork.c: FORCE
	mkdir -p $(out)
	for name in module random; do sed -f $(here)/embed.sed $(here)/$$name.lua >$(out)/$$name.lua.inc; done
	$(SWIG) -lua -nomoduleglobal -I$(here) -o $(out)/atfork_lua_wrap.c $(here)/atfork_lua.i
	sh script/amalgamate $(out)

install:
	mkdir -p "$(LIBDIR)/atfork" "$(LUADIR)/atfork"
	cp $(out)/rock.so "$(LIBDIR)/atfork/"
	cp $(here)/rock.lua "$(LUADIR)/atfork.lua"
	cp $(here)/rock_random.lua "$(LUADIR)/atfork/random.lua"

.PHONY: module install FORCE
