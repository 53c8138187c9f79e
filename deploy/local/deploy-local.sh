#!/usr/bin/env bash
# Builds the images, brings them to the cluster and installs or upgrades the chart with the values of deploy/local; waits until every pod is ready. Safe to repeat.
#   deploy-local.sh               everything
#   deploy-local.sh scheduler     the scheduler's image only (dispatcher and executor); the rest stays as it is deployed
# HELM_OPTIONS are handed to helm (for example --set executor.replicas=3).
. "$(dirname "$0")/local-cluster.sh"
need_namespace
# Before minutes are spent on an image that has no place to go.
[ "${1:-}" != scheduler ] || need_release

tag_of() { printf '%s\n' "$1" | sed -n "s/^downbeat-$2://p"; }
values=(--values "$here/values.yaml")
[ ! -f "$here/values-$CLUSTER.yaml" ] || values+=(--values "$here/values-$CLUSTER.yaml")
images=$("$here/image-load.sh" ${1:+"$1"})
tags=(--set-string "image.scheduler.tag=$(tag_of "$images" scheduler)")
if [ "${1:-}" = scheduler ]; then
  # What is deployed keeps its settings, also those given by hand.
  values=(--reset-then-reuse-values)
else
  tags+=(--set-string "image.api.tag=$(tag_of "$images" api)")
fi

# Helm 4 refuses to touch a field that somebody changed by hand (`kubectl scale`, a suspended CronJob); here the values win. Helm 3 always let them. (The odd expansion below is for bash 3, to which an empty list is an unset one.)
conflicts=()
case $(helm version --template '{{.Version}}') in v[0-3].*) ;; *) conflicts=(--force-conflicts) ;; esac

note "deploying to namespace \"$NAMESPACE\" of context \"$context\""
# shellcheck disable=SC2086 # several options in one variable
if ! h upgrade --install "$RELEASE" "$root/helm/downbeat" "${values[@]}" "${tags[@]}" ${conflicts[@]+"${conflicts[@]}"} --wait --timeout "${TIMEOUT:-5m}" ${HELM_OPTIONS:-} >&2; then
  k get pods >&2 || true
  k get events --field-selector type=Warning --sort-by=.lastTimestamp 2>/dev/null | tail -n 10 >&2 || true
  fail "helm could not bring the release up; above are the pods and the latest warnings" "logs: make scheduler-logs CLUSTER=$CLUSTER"
fi
