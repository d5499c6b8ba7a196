# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Builds atfork/native with the libatfork that pkg-config finds, if that is as new as this gem, and else with a copy of
# the library inside.  --enable-system-libraries insists on the first, --disable-system-libraries on the second.
#
# The gem brings SWIG's wrapper and the copy.  In the repository they are made here, in the directory of the build.
#
# All paths are relative to the directory of the build: neither make nor mkmf can do with blanks, which absolute ones may
# have.
require "fileutils"
require "mkmf"
require "pathname"

def relative(path)
  Pathname(__dir__).join(path).relative_path_from(Pathname.pwd).to_s
end

HERE = relative(".")
ROOT = relative("../../..")
IN_GEM = !File.exist?(File.join(ROOT, "bindings/atfork.i"))
$srcdir = RbConfig::CONFIG["srcdir"] = RbConfig::MAKEFILE_CONFIG["srcdir"] = HERE

def sources(directory)
  Dir.children(directory).grep(/\.c\z/)
end

def wrap_by_swig
  swig = find_executable("swig") or abort "atfork: SWIG is needed to build from the repository"
  command = [swig, "-ruby", "-prefix", "AtFork::", "-o", "native_wrap.c", File.join(HERE, "native.i")]
  system(*command) or abort "atfork: SWIG failed"
  common = File.join(ROOT, "bindings/common")
  $srcs = sources(HERE) | sources(common) | ["native_wrap.c"]
  $VPATH << common
  $INCFLAGS << " -I$(srcdir) -I#{common}"
end

# The directory that has the library as one file.
def copy_of_library
  return File.join(HERE, "vendor") if IN_GEM

  FileUtils.mkdir_p("vendor")
  system("sh", File.join(ROOT, "script/amalgamate"), "vendor") or abort "atfork: script/amalgamate failed"
  "vendor"
end

def fits?(installed, version)
  Gem::Requirement.new(">= #{version}", "< #{version.segments.first + 1}").satisfied_by?(Gem::Version.new(installed))
end

def build_with_system
  pkg_config("atfork")
  have_func("atfork_register", "atfork.h") or abort "atfork: libatfork does not link; see mkmf.log"
end

def build_with_copy(copy)
  $srcs = ($srcs || sources(HERE)) + ["atfork.c"]
  $VPATH << copy
  $INCFLAGS << " -I#{copy}"
  append_cflags("-pthread")
  append_ldflags(["-pthread", "-Wl,-z,nodelete,-z,now"])
end

wrap_by_swig unless IN_GEM
copy = copy_of_library
version = Gem::Version.new(File.read(File.join(copy, "atfork.c"))[/libatfork ([\d.]+)/, 1])
installed = pkg_config("atfork", "modversion")
fits = !installed.nil? && fits?(installed, version)
with_system = enable_config("system-libraries", fits)
if with_system && !fits
  abort "atfork: pkg-config finds no libatfork; install it, or set PKG_CONFIG_PATH" if installed.nil?
  abort "atfork: pkg-config finds libatfork #{installed}, which is older than this gem or of another major version"
end
message "building with #{with_system ? "libatfork #{installed} of the system" : "a copy of libatfork #{version}"}\n"
with_system ? build_with_system : build_with_copy(copy)
append_cflags(["-std=c11", "-fvisibility=hidden"])
create_makefile("atfork/native")
