# Completion of xgw for bash. The command itself says which words may stand at the cursor.

_xgw() {
  local line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[^:=]/}
  local words word current kept=
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=${words[-1]}
  # Readline replaces only what stands behind the last of these.
  [[ $breaks ]] && kept=${current%"${current##*[$breaks]}"}

  local -a answer
  mapfile -t answer < <("${1/#\~\//$HOME/}" __complete "${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  if [[ ${answer[0]-} == :files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "${current##*=}")
    return
  fi
  for word in "${answer[@]%%$'\t'*}"; do
    COMPREPLY+=("${word#"$kept"}")
  done
}

complete -F _xgw xgw
