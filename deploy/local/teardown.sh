#!/usr/bin/env bash
# Removes Downbeat from the cluster, with its data: the release, what helm keeps on purpose (secrets, volumes) and the namespace if setup made it. The cluster itself stays;
# `teardown.sh cluster` removes the minikube profile or kind cluster as well. Safe to repeat.
. "$(dirname "$0")/local-cluster.sh"

if [ "${1:-}" = cluster ]; then
  case $CLUSTER in
    minikube) exec minikube delete -p "$PROFILE" ;;
    kind) exec kind delete cluster --name "$PROFILE" ;;
    current) fail "CLUSTER=current is a cluster that was not made here, so it is not deleted here" "make teardown-scheduler CLUSTER=current removes Downbeat from it" ;;
  esac
fi

need_cluster
if ! kubectl --context "$context" get namespace "$NAMESPACE" >/dev/null 2>&1; then
  note "nothing to remove: context \"$context\" has no namespace \"$NAMESPACE\""
  exit 0
fi
h uninstall "$RELEASE" --ignore-not-found --wait --timeout 2m >&2
# Kept by helm: the test's pod, hooks that failed, the secrets that must survive an upgrade gone wrong, the volumes of a StatefulSet.
k delete pod,job,secret,configmap,persistentvolumeclaim -l "app.kubernetes.io/instance=$RELEASE" --ignore-not-found --wait=true >&2
if kubectl --context "$context" get namespace -l "$made_here_label" -o name | grep -x "namespace/$NAMESPACE" >/dev/null; then
  kubectl --context "$context" delete namespace "$NAMESPACE" --wait=true >&2
fi
note "removed"
