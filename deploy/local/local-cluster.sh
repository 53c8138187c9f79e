# shellcheck shell=bash
# Sourced by the scripts beside it: which cluster they speak to, and how. Nothing here changes anything.
#
#   CLUSTER     minikube (default) | kind | current
#   PROFILE     name of the minikube profile or kind cluster, default "downbeat": a cluster of its own, so that no other project's is touched
#   NAMESPACE   default "local"
#   IMAGE_LOAD_COMMAND  only with CLUSTER=current: brings images to the cluster's nodes; called with the images' names as arguments
#   LOAD_IMAGES         more images to bring to the nodes, for nodes that cannot pull (Postgres, LocalStack)
#
# Every kubectl and helm call names its context, found out once: switching contexts in another terminal cannot send half of a deployment elsewhere.
# With pipefail, `grep -q` would now and then fail what writes to it, because it leaves at the first match: hence `grep … >/dev/null` in pipes.
set -euo pipefail

CLUSTER=${CLUSTER:-minikube}
PROFILE=${PROFILE:-downbeat}
NAMESPACE=${NAMESPACE:-local}
RELEASE=downbeat
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # used by the scripts that source this
root=$(cd "$here/../.." && pwd)
# Written by setup on the namespace it made, so that teardown removes that and no other.
# shellcheck disable=SC2034 # used by the scripts that source this
made_here_label=app.kubernetes.io/managed-by=downbeat-setup-local

fail() { # sentence [what to type next]
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '       %s\n' "$2" >&2
  exit 1
}

note() { printf '%s\n' "$*" >&2; }

case $CLUSTER in
  minikube) context=$PROFILE ;;
  kind) context=kind-$PROFILE ;;
  current) context=${CONTEXT:-$(kubectl config current-context 2>/dev/null || true)} ;;
  *) fail "CLUSTER=$CLUSTER is none of minikube, kind, current" "try: make $(basename "$0" .sh) CLUSTER=kind" ;;
esac

k() { kubectl --context "$context" --namespace "$NAMESPACE" "$@"; }
h() { helm --kube-context "$context" --namespace "$NAMESPACE" "$@"; }

# Stops with the next thing to type unless the cluster answers.
need_cluster() {
  [ -n "$context" ] || fail "CLUSTER=current, and kubectl has no current context" "pick one: kubectl config use-context NAME"
  kubectl --context "$context" version --request-timeout=5s >/dev/null 2>&1 ||
    fail "the cluster of context \"$context\" does not answer" "start it: make setup-local-kubernetes CLUSTER=$CLUSTER"
}

need_namespace() {
  need_cluster
  kubectl --context "$context" get namespace "$NAMESPACE" >/dev/null 2>&1 ||
    fail "context \"$context\" has no namespace \"$NAMESPACE\"" "make it: make setup-local-kubernetes CLUSTER=$CLUSTER"
}

need_release() {
  need_namespace
  h status "$RELEASE" >/dev/null 2>&1 ||
    fail "Downbeat is not deployed in namespace \"$NAMESPACE\" of context \"$context\"" "deploy it: make deploy-to-local-kubernetes CLUSTER=$CLUSTER"
}
