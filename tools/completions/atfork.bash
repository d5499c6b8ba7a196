# SPDX-License-Identifier: MIT
# Completion for bash.  Commands and options are read from the command's own --help.

_atfork_commands() {
  "$1" --help 2>/dev/null | sed -n 's/^  [^ ]* \([a-z]*\) .*\[ARGUMENT\.\.\.\].*/\1/p'
}

_atfork_options() {
  "$1" "$2" --help 2>/dev/null | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\)\(=\{0,1\}\).*/\2\3/p'
}

# Whether the next word is the value of this option.
_atfork_wants_value() {
  "$1" "$2" --help 2>/dev/null | grep -q -e "^  $3=" -e "^  -., $3=" -e "^  $3, --[a-z-]*="
}

# What the value of an option is.
_atfork_value() {
  case $1 in
    --fail-on) COMPREPLY=($(compgen -W 'note warning error never' -- "$2")) ;;
    --bypassing) COMPREPLY=($(compgen -W 'unpaired all none' -- "$2")) ;;
    --json | --html | --trace | --output | -o | --suppressions | --priorities)
      compopt -o filenames
      COMPREPLY=($(compgen -f -- "$2"))
      ;;
  esac
}

# Where the program begins, whose arguments are its own: after --, or at the first word that is no option.
_atfork_program() {
  local i
  for ((i = 2; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --) echo $((i + 1)) && return ;;
      -*)
        # --output=FILE is three words.
        if [ "${COMP_WORDS[i + 1]}" = = ]; then
          ((i += 2))
        elif _atfork_wants_value "$1" "${COMP_WORDS[1]}" "${COMP_WORDS[i]}"; then
          ((i++))
        fi
        ;;
      *) echo "$i" && return ;;
    esac
  done
  if [ "$i" -eq "$COMP_CWORD" ] && [[ ${COMP_WORDS[i]} != -* ]] && [ "${COMP_WORDS[i]}" != = ]; then echo "$i"; fi
}

_atfork() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "$(_atfork_commands "$1") --help --version" -- "$current"))
    return
  fi
  program=$(_atfork_program "$1")
  if [ -n "$program" ]; then
    if declare -F _command_offset >/dev/null; then
      _command_offset "$program"
    elif [ "$program" -eq "$COMP_CWORD" ]; then
      COMPREPLY=($(compgen -c -- "$current"))
    else
      COMPREPLY=($(compgen -f -- "$current"))
    fi
    return
  fi
  if [ "$current" = = ]; then
    _atfork_value "$before" ''
  elif [ "$before" = = ]; then
    _atfork_value "${COMP_WORDS[COMP_CWORD - 2]}" "$current"
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(_atfork_options "$1" "${COMP_WORDS[1]}") --" -- "$current"))
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
  else
    _atfork_value "$before" "$current"
  fi
}

complete -F _atfork atfork
