# What keeps services alive here: systemd or cron, or none that identree can work with.
init() {
  # Both: a container may be shown the /run of its host.
  if [ -d /run/systemd/system ] && { [ -x /usr/bin/systemctl ] || [ -x /bin/systemctl ]; }; then
    echo systemd
  elif [ -d /etc/cron.d ] && { [ -x /usr/sbin/cron ] || [ -x /usr/sbin/crond ]; }; then
    echo cron
  else
    echo none
  fi
}
