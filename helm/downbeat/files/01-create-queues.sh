#!/bin/sh
# Makes Downbeat's queue, its dead-letter queue and the redrive policy between them, with the settings of
# `downbeat queue create` (libs/queue/src/create-queues.ts). LocalStack runs it when it is ready to answer.
# Safe to repeat: queues that exist are brought to these settings and keep their messages.
# QUEUE_NAME names the queue (default downbeat-runs); its dead-letter queue has `-dlq` behind that name.
set -eu

queue_name="${QUEUE_NAME:-downbeat-runs}"
dead_letter_queue_name="${queue_name}-dlq"
# A poison guard only: attempts are counted in the ledger, not by the queue.
receives_max=20
# 14 days, the longest that SQS keeps a message.
retention_seconds=1209600
visibility_seconds=60

fail() {
  echo "01-create-queues.sh: cannot set up queue \"${queue_name}\": $1" >&2
  exit 1
}

# LocalStack does not check credentials, but the AWS CLI insists on signing with some.
export AWS_ACCESS_KEY_ID="${AWS_ACCESS_KEY_ID:-test}"
export AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY:-test}"
# Queues belong to a region: this one must be the AWS_REGION of the services.
export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-${AWS_REGION:-us-east-1}}"

# The public image carries awslocal; an image without it carries the AWS CLI that awslocal wraps.
sqs() {
  if command -v awslocal > /dev/null; then
    awslocal sqs "$@"
  else
    aws --endpoint-url "${AWS_ENDPOINT_URL:-http://localhost:4566}" sqs "$@"
  fi
}

# Created without attributes, because SQS refuses to "create" an existing queue whose attributes differ.
ensure_queue() {
  sqs create-queue --queue-name "$1" --query QueueUrl --output text
}

dead_letter_queue_url=$(ensure_queue "$dead_letter_queue_name") || fail "the dead-letter queue was not created"
queue_url=$(ensure_queue "$queue_name") || fail "the queue was not created"
dead_letter_queue_arn=$(
  sqs get-queue-attributes --queue-url "$dead_letter_queue_url" --attribute-names QueueArn --query Attributes.QueueArn --output text
) || fail "the dead-letter queue does not tell its ARN"

sqs set-queue-attributes --queue-url "$dead_letter_queue_url" --attributes "{\"MessageRetentionPeriod\":\"${retention_seconds}\"}" ||
  fail "the dead-letter queue refused its settings"

redrive_policy="{\\\"deadLetterTargetArn\\\":\\\"${dead_letter_queue_arn}\\\",\\\"maxReceiveCount\\\":${receives_max}}"
sqs set-queue-attributes --queue-url "$queue_url" --attributes "{
  \"MessageRetentionPeriod\":\"${retention_seconds}\",
  \"VisibilityTimeout\":\"${visibility_seconds}\",
  \"RedrivePolicy\":\"${redrive_policy}\"
}" || fail "the queue refused its settings"

echo "queue ${queue_name} is ready, its dead-letter queue is ${dead_letter_queue_name}"
