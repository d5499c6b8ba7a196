# What doc/packages.md shows, for the tests that run it.  To be sourced, with $source set.
# shellcheck shell=sh disable=SC2154

# sample HEADING [N [LANGUAGE]]: the N-th block of shell commands, or of LANGUAGE, below that heading; by default the
# first.
sample() {
  awk -v heading="$1" -v wanted="${2:-1}" -v fence="\`\`\`${3:-sh}" '
    /^#/ && !inside { below = index($0, heading) == 1 }
    /^```$/ && inside { if (found == wanted) exit; inside = 0; next }
    inside && found == wanted { print }
    $0 == fence && below { inside = 1; found++ }' "$source/doc/packages.md"
}
