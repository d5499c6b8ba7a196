# Builds the module for the rockspec, which sets the variables.  meson.build is what builds it otherwise.
SWIG = swig
here = bindings/lua
common = bindings/common
out = build-rock

# Always: nothing tells which Lua one that is there was built for.
module:
	mkdir -p $(out)
	for name in module random; do sed -f $(here)/embed.sed $(here)/$$name.lua >$(out)/$$name.lua.inc; done
	$(SWIG) -lua -nomoduleglobal -I$(here) -o $(out)/atfork_lua_wrap.c $(here)/atfork_lua.i
	$(CC) -std=c11 -pthread $(CFLAGS) $(LIBFLAG) -fvisibility=hidden -I$(here) -I$(common) -I$(out) -I$(LUA_INCDIR) \
	  -I$(ATFORK_INCDIR) -Dluaopen_atfork=luaopen_atfork_rock -o $(out)/rock.so $(out)/atfork_lua_wrap.c \
	  $(here)/*.c $(common)/*.c -L$(ATFORK_LIBDIR) -latfork \
	  -Wl,-rpath,$(ATFORK_LIBDIR) -Wl,-z,nodelete -ldl

install:
	mkdir -p $(LIBDIR)/atfork $(LUADIR)/atfork
	cp $(out)/rock.so $(LIBDIR)/atfork/
	cp $(here)/rock.lua $(LUADIR)/atfork.lua
	cp $(here)/rock_random.lua $(LUADIR)/atfork/random.lua

.PHONY: module install
