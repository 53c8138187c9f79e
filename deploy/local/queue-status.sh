#!/usr/bin/env bash
# Messages in the queue and its dead-letter queue, as the API's pod sees them.
. "$(dirname "$0")/local-cluster.sh"
need_release
k exec deploy/downbeat-api -- downbeat queue status
