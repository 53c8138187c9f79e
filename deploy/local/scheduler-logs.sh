#!/usr/bin/env bash
# Follows dispatcher and executor until Ctrl+C, also the pods that come later: the CronJob starts a new one each minute.
. "$(dirname "$0")/local-cluster.sh"
need_release

followed=" "
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
first=1
while true; do
  for pod in $(k get pods -l 'app in (schedule-dispatcher,schedule-executor)' --field-selector=status.phase!=Pending -o name); do
    case $followed in *" $pod "*) continue ;; esac
    followed="$followed$pod "
    # Of pods that ran before, the end; of those that start now, everything.
    k logs "$pod" --follow --prefix --tail "$([ $first = 1 ] && echo 20 || echo -1)" &
  done
  first=0
  sleep 2
done
