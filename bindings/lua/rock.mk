# Builds the module for the rockspec, which sets the variables.  meson.build is what builds it otherwise.
SWIG = swig
here = bindings/lua
sources = $(wildcard $(here)/*.c)

atfork.so: atfork_lua_wrap.c $(sources)
	$(CC) -std=c11 -pthread $(CFLAGS) $(LIBFLAG) -fvisibility=hidden -I$(here) -I$(LUA_INCDIR) -I$(ATFORK_INCDIR) -o $@ \
	  atfork_lua_wrap.c $(sources) -L$(ATFORK_LIBDIR) -latfork -Wl,-rpath,$(ATFORK_LIBDIR) -Wl,-z,nodelete -ldl

atfork_lua_wrap.c: $(here)/atfork_lua.i bindings/atfork.i
	$(SWIG) -lua -I$(here) -o $@ $<

install: atfork.so
	mkdir -p $(LIBDIR)
	cp atfork.so $(LIBDIR)/

.PHONY: install
