#!/bin/sh
# The agent as a service of this host: a unit where systemd runs, else a process that cron starts again within a minute.
#   /usr/lib/identree/service init | check | enable | disable | start | stop | restart | try-restart | refresh
# What is started, and how, stands in the unit for both; what the unit confines, cron does not. As root.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

unit=identree-agent.service
unit_file=/usr/lib/systemd/system/identree-agent.service
program=/usr/bin/identree
entry=/etc/cron.d/identree-agent
# What cron passes by, until it is whole.
new_entry=/etc/cron.d/.identree-agent.new
folder=/run/identree
# Held open by the agent itself, as its file 9: the kernel lets go of the lock when the agent ends, however it ends.
lock=$folder/lock
# There while somebody has stopped the agent, with the start of the machine for which that counts.
stopped=$folder/stopped
# How long ago cron was here.
seen=$folder/cron

@INIT@

setting() { sed -n "s/^$1=//p" "$unit_file"; }

make_folder() { mkdir -p -m "$(setting RuntimeDirectoryMode)" "$folder"; }

# A line without a word that the shell would have to work out.
entry_text() {
  cat <<'ENTRY'
# Managed by identree: its agent, where systemd does not run. Taken away by: identree uninstall
@reboot root test ! -x /usr/lib/identree/service || /usr/lib/identree/service cron
* * * * * root test ! -x /usr/lib/identree/service || /usr/lib/identree/service cron
ENTRY
}

is_as_written() {
  [ "$(stat --format='%F %u:%g %a' "$entry" 2>/dev/null)" = 'regular file 0:0 644' ] && entry_text | cmp -s - "$entry"
}

# The same until the machine, or the container, is started again: in some of them /run outlasts that.
this_start() {
  echo "$(cat /proc/sys/kernel/random/boot_id) $(sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20)"
}

is_stopped() { [ "$(cat "$stopped" 2>/dev/null)" = "$(this_start)" ]; }

# Who has a file of this name open as its file 9, but no shell with this script, which only looks whether the agent runs.
# The name is asked first: who looks at a file on a mount that does not answer may wait for ever.
holders() { # NAME
  for pid in $(stat --format=%N /proc/[0-9]*/fd/9 2>/dev/null | sed -n "s|^'/proc/\\([0-9]*\\)/fd/9' -> '$1'\$|\\1|p"); do
    [ "/proc/$pid/exe" -ef "/proc/$$/exe" ] || echo "$pid"
  done
}

# The agent, if it runs, or what is becoming it.
agent_pids() {
  if [ "$host" = systemd ]; then
    systemctl show --property MainPID --value "$unit" | grep -vx 0 || true
    return
  fi
  # In a container the same name means another file.
  for pid in $(holders "$(readlink -f "$lock")"); do [ ! "/proc/$pid/fd/9" -ef "$lock" ] || echo "$pid"; done
}

# Ends an agent whose folder was taken away while it ran: nobody can ask it any more, and another one gets another lock.
# At once: on its way out it would take the socket of that one along.
end_lost() {
  device=$(stat --format=%d "$folder")
  for pid in $(holders "$(readlink -f "$lock") (deleted)"); do
    [ "$(stat --dereference --format=%d "/proc/$pid/fd/9" 2>/dev/null)" != "$device" ] || kill -s KILL "$pid" || true
  done
}

is_enabled() {
  if [ "$host" = systemd ]; then systemctl --quiet is-enabled "$unit"; else [ -e "$entry" ]; fi
}

is_enrolled() { [ -e "$(setting ConditionPathExists)" ]; }

# Runs the agent, away from whoever asks. With the lock, as file 9.
run_agent() {
  # Programs that only look do not hold the lock: they would be taken for an agent that starts.
  is_enrolled 9>&- || return 0
  # Not before the lock: who stops the agent, or takes the entry away, does that first and then waits for the lock.
  if is_stopped 9>&-; then return; fi
  [ "$verb" != cron ] || [ -e "$entry" ] || return 0
  cd /
  umask "$(setting UMask)"
  ulimit -c "$(setting LimitCORE)"
  { setting OOMScoreAdjust > /proc/self/oom_score_adj; } 2>/dev/null || true
  # What a package manager has open here would seem to be in use for as long as the agent runs.
  exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&-
  set -f
  setsid env -i PATH="$PATH" $(setting Environment) $(setting ExecStart) </dev/null 2>&1 |
    setsid logger --tag identree-agent >/dev/null 2>&1 9>&- &
  exec 9>&-
}

# Starts the agent unless somebody has the lock, and keeps it for so many seconds.
launch() { # SECONDS
  # An image of a host gets nothing into its /run.
  is_enrolled || return 0
  make_folder
  exec 9>>"$lock"
  if flock --timeout "$1" 9; then
    end_lost 9>&-
    run_agent
  fi
}

# Ends the agent, and waits for it.
halt() {
  make_folder
  this_start > "$stopped"
  exec 8>>"$lock"
  end_lost
  told=' '
  for _ in $(seq "$(setting TimeoutStopSec)"); do
    for pid in $(agent_pids); do
      # Once: a second one would not let it finish.
      case $told in *" $pid "*) continue ;; esac
      told="$told$pid "
      kill -s TERM "$pid" 2>/dev/null || true
    done
    if flock --timeout 1 8; then return; fi
  done
  for pid in $(agent_pids); do kill -s KILL "$pid" 2>/dev/null || true; done
  flock --timeout 5 8
}

start() {
  if [ "$host" = systemd ]; then systemctl start "$unit"; return; fi
  rm -f "$stopped"
  # cron may just be looking whether there is something to do.
  if [ -z "$(agent_pids)" ]; then launch 2; fi
}

stop() {
  if [ "$host" = systemd ]; then systemctl stop "$unit"; else halt; fi
}

restart() {
  if [ "$host" = systemd ]; then systemctl restart "$unit"; return; fi
  # Also when it is interrupted, or the agent cannot be ended now: nobody wanted it to stay away.
  trap 'rm -f "$stopped"' EXIT
  trap 'exit 1' HUP INT TERM
  halt
  rm -f "$stopped"
  trap - EXIT HUP INT TERM
  # The lock that it waited for is handed on: cron, which may look at this moment, must not be in between.
  exec 9>&8
  run_agent
}

# At each start of the machine, and under cron each minute.
enable() {
  # Also of the image of a host, in which nothing runs.
  if command -v systemctl >/dev/null; then systemctl --quiet enable "$unit" || [ "$host" != systemd ]; fi
  if [ "$host" != cron ] || is_as_written; then return; fi
  rm -f "$new_entry"
  (umask 022; entry_text > "$new_entry")
  mv -fT "$new_entry" "$entry"
}

disable() {
  if [ "$host" = systemd ]; then systemctl --quiet disable --now "$unit"; return; fi
  if command -v systemctl >/dev/null; then systemctl --quiet disable "$unit" || true; fi
  rm -f "$entry" "$new_entry"
  halt
  rm -rf "$folder"
}

# By cron alone.
tick() {
  # The image of this host was made where systemd did not run.
  if [ "$host" = systemd ]; then rm -f "$entry"; return; fi
  # A cron that has yet to hear that the entry was taken away puts nothing into /run.
  [ -e "$entry" ] || return 0
  make_folder
  : > "$seen"
  launch 0
}

# Files of another version are in place.
refresh() {
  # A systemd that does not answer, as in some containers, is no reason to leave a package half installed.
  if [ "$host" = systemd ]; then systemctl daemon-reload || true; fi
  pids=$(agent_pids)
  if [ -z "$pids" ]; then
    if is_enabled; then start || true; fi
    return
  fi
  for pid in $pids; do if [ "$(readlink "/proc/$pid/exe")" = "$program" ]; then return; fi; done
  # It runs on from a file that was replaced.
  restart || true
}

# What would keep cron from starting the agent again, a sentence a line; nothing where systemd does.
check() {
  [ "$host" = cron ] || return 0
  if [ ! -e "$entry" ]; then
    echo "$entry is not there, so nothing starts the agent again. Run: /usr/lib/identree/service enable"
  elif ! is_as_written; then
    echo "$entry is not as it was written. Run: /usr/lib/identree/service enable"
  elif [ -z "$(find "$seen" -mmin -3 2>/dev/null)" ]; then
    echo 'cron has not looked after the agent in the last three minutes, as it does each minute. Does cron run?'
  fi
}

verb=${1:-}
host=$(init)
case $verb in
  init) echo "$host" ;;
  check | enable | disable | start | stop | restart | refresh) "$verb" ;;
  try-restart) if [ "$host" = systemd ]; then systemctl try-restart "$unit"; elif [ -n "$(agent_pids)" ]; then restart; fi ;;
  cron) tick ;;
  *)
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
    ;;
esac
