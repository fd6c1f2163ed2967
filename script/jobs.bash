# Sourced: what a script has started ends with it, and before it, however it ends.

# Start a program in a process group of its own, so that what it starts ends with it.
start() {
    set -m
    "$@" <&0 &
    set +m
}

# Run a program that a signal to this script ends, too: bash by itself would look at the signal after the program's end.
run() {
    start "$@"
    wait "$!"
}

end_jobs() {
    local jobs job
    jobs="$(jobs -p)"
    for job in $jobs; do
        kill -- "-$job" 2>/dev/null || kill "$job" 2>/dev/null || true # a function was not started as a group
    done
    wait
    for job in $jobs; do
        kill -KILL -- "-$job" 2>/dev/null || true # what has ignored that and outlived its parent, as tsc does
    done
}

trap end_jobs EXIT
trap 'exit 129' HUP
trap 'exit 130' INT # which groups of their own do not see
trap 'exit 143' TERM
