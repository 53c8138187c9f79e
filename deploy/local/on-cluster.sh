#!/usr/bin/env bash
# Runs a command of the end-to-end suite against the deployed release: on-cluster.sh vitest run tests/e2e. Node and vitest of node_modules are on the path when `make` calls this.
. "$(dirname "$0")/local-cluster.sh"
need_release
cd "$root"
export DOWNBEAT_E2E=cluster E2E_CONTEXT=$context E2E_NAMESPACE=$NAMESPACE
exec "$@"
