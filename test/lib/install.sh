# How tests install what is built.  To be sourced.
# shellcheck shell=sh

# install_to DIRECTORY BUILD: with DESTDIR.  Puts the log of the install before it back, also when a signal ends the
# test: by this log `ninja uninstall` knows what to remove, also after the tests have run.
install_to() (
  log=$2/meson-logs/install-log.txt
  exec 9>"$2/meson-logs/install.lock"
  flock 9
  if [ -e "$log" ]; then mv "$log" "$log.kept"; fi
  trap 'rm -f "$log"; if [ -e "$log.kept" ]; then mv "$log.kept" "$log"; fi' EXIT
  trap 'exit 1' HUP INT TERM
  DESTDIR="$1" meson install -C "$2" --no-rebuild
)
