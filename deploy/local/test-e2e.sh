#!/usr/bin/env bash
# Runs the end-to-end suite against the cluster. Node and vitest of node_modules are on the path when `make test-e2e` calls this.
. "$(dirname "$0")/local-cluster.sh"
need_release
cd "$root"
export DOWNBEAT_E2E=cluster E2E_CONTEXT=$context E2E_NAMESPACE=$NAMESPACE
# One file after the other: each has the executors to itself.
exec vitest run --no-file-parallelism tests/e2e
