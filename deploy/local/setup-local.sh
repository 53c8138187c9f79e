#!/usr/bin/env bash
# Makes the local cluster ready for Downbeat: starts a minikube profile or kind cluster of its own (CLUSTER=current takes the context as it is) and makes the
# namespace, under the restricted pod-security level. Postgres and the queue come with the chart (deploy/local/values.yaml); certificates are not needed, because nothing
# here is reached from outside. Safe to repeat: what is there is left alone.
. "$(dirname "$0")/local-cluster.sh"
"$here/check-tools.sh"

case $CLUSTER in
  minikube)
    if [ "$(minikube -p "$PROFILE" status -f '{{.Host}}' 2>/dev/null)" = Running ]; then note "minikube profile \"$PROFILE\" runs already"
    else minikube start -p "$PROFILE" --driver=docker --keep-context; fi
    ;;
  kind)
    if kind get clusters 2>/dev/null | grep -x "$PROFILE" >/dev/null; then note "kind cluster \"$PROFILE\" is there already"
    else
      # kind makes its context the current one; the user's own stays what it was.
      before=$(kubectl config current-context 2>/dev/null || true)
      kind create cluster --name "$PROFILE"
      [ -z "$before" ] || kubectl config use-context "$before" >/dev/null
    fi
    ;;
  current) note "using context \"$context\"" ;;
esac
need_cluster

if kubectl --context "$context" get namespace "$NAMESPACE" >/dev/null 2>&1; then
  note "namespace \"$NAMESPACE\" is there already"
else
  kubectl --context "$context" create namespace "$NAMESPACE" >/dev/null
  kubectl --context "$context" label namespace "$NAMESPACE" "$made_here_label" pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted >/dev/null
  note "made namespace \"$NAMESPACE\" (pod security: restricted)"
fi
note "ready. Next: make deploy-to-local-kubernetes CLUSTER=$CLUSTER"
