#!/usr/bin/env bash
# Builds the images and brings them to the cluster's nodes. Prints their names, one a line; those a node has already are not copied again.
#   image-load.sh [scheduler|api …]   default: both
. "$(dirname "$0")/local-cluster.sh"
need_cluster

images=$("$here/image-build.sh" "$@")
# shellcheck disable=SC2086 # a list of names
set -- $images ${LOAD_IMAGES:-}
case $CLUSTER in
  minikube) for image; do
    minikube -p "$PROFILE" image ls 2>/dev/null | grep "/$image\$\|^$image\$" >/dev/null || { note "loading $image"; minikube -p "$PROFILE" image load "$image"; }
  done ;;
  kind) note "loading $*"; kind load docker-image --name "$PROFILE" "$@" >&2 ;;
  current)
    [ -n "${IMAGE_LOAD_COMMAND:-}" ] || fail "CLUSTER=current does not say how images reach the nodes of \"$context\"" \
      "set IMAGE_LOAD_COMMAND to a command that takes image names, for example: make image-load CLUSTER=current IMAGE_LOAD_COMMAND='k3d image import'"
    note "loading $*"
    $IMAGE_LOAD_COMMAND "$@" >&2
    ;;
esac
printf '%s\n' "$images"
