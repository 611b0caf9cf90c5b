# What keeps services alive here: systemd or cron, or none that identree can work with.
init() {
  if [ -d /run/systemd/system ]; then
    echo systemd
  elif [ -d /etc/cron.d ] && { [ -x /usr/sbin/cron ] || [ -x /usr/sbin/crond ]; }; then
    echo cron
  else
    echo none
  fi
}
