# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Builds atfork/native against the libatfork that pkg-config finds.  SWIG is needed from the repository only: the gem has
# its wrapper inside.
require "mkmf"

pkg_config("atfork") or abort "atfork: pkg-config finds no libatfork; install it, or set PKG_CONFIG_PATH"
have_func("atfork_register", "atfork.h") or abort "atfork: libatfork does not link; see mkmf.log"

unless File.exist?(File.join(__dir__, "native_wrap.c"))
  swig = find_executable("swig") or abort "atfork: SWIG is needed to build from the repository"
  command = [swig, "-ruby", "-prefix", "AtFork::", "-o", "native_wrap.c", File.join(__dir__, "native.i")]
  system(*command) or abort "atfork: SWIG failed"
  common = File.expand_path("../../common", __dir__)
  $srcs = Dir[File.join(__dir__, "*.c")] + Dir[File.join(common, "*.c")] + ["native_wrap.c"]
  $VPATH << common
  $INCFLAGS << " -I$(srcdir) -I#{common}"
end
append_cflags("-std=c11")
create_makefile("atfork/native")
