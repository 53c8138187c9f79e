#!/usr/bin/env bash
# What runs, in four sections: the CronJob, its latest Jobs, the executors, the queue.
. "$(dirname "$0")/local-cluster.sh"
need_release

echo "=== Schedule Dispatcher Jobs ==="
if k get cronjob schedule-dispatcher >/dev/null 2>&1; then k get cronjob schedule-dispatcher
else k get deployment schedule-dispatcher; fi
echo
echo "=== Recent Dispatcher Runs ==="
k get jobs -l app=schedule-dispatcher --sort-by=.metadata.creationTimestamp 2>&1 | { read -r head; echo "$head"; tail -n 5; }
echo
echo "=== Schedule Executor ==="
k get pods -l app=schedule-executor
echo
if k get deployment localstack >/dev/null 2>&1; then
  echo "=== LocalStack (SQS) ==="
  k get pods -l app=localstack
else
  echo "=== SQS ==="
fi
k exec deploy/downbeat-api -- downbeat queue status
