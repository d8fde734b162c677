# Completion of xgw for fish. The command itself says which words may stand at the cursor.

function __xgw_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (command $words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    if test "$answer[1]" = :files
        __fish_complete_path (string replace -r '^--[^=]*=' '' -- "$current")
    else
        printf '%s\n' $answer
    end
end

complete -c xgw -f -a '(__xgw_complete)'
