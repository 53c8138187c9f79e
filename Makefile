# Everything runs on a machine with Node 20, npm, make and git. `npm ci` brings Node 24, which all recipes below use; only npm itself runs on the machine's own Node.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

ROOT := $(CURDIR)
WITH_NODE := export PATH="$(ROOT)/node_modules/.bin:$$PATH" &&

# npm writes this file last, so it stands for a complete installation.
INSTALLED := node_modules/.package-lock.json

$(INSTALLED): package-lock.json
	@echo "installing packages"
	@npm ci --loglevel=error
	@touch $@

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo

##@ Try it

# `exec` leaves one process for Ctrl+C to reach, and nobody between it and the terminal who comments on how it ended.
.PHONY: dev clean-dev
dev: $(INSTALLED) ## Start everything here: Postgres, SQS, API, dispatcher, executor, sample receiver
	@$(WITH_NODE) exec downbeat dev
clean-dev: $(INSTALLED) ## Remove what `make dev` keeps between starts (.downbeat/)
	@$(WITH_NODE) exec downbeat dev --clean

##@ Work on it

.PHONY: test check format
test: $(INSTALLED) ## Run all tests; the last line is `N passed, N failed`
	@$(WITH_NODE) exec vitest run
check: $(INSTALLED) ## Format, lint, types, and whether generated documents are current
	@$(WITH_NODE) exec node scripts/check.ts
format: $(INSTALLED) ## Rewrite sources and generated documents as `make check` wants them
	@$(WITH_NODE) oxfmt
	@$(WITH_NODE) node scripts/write-configuration.ts
	@$(WITH_NODE) node scripts/write-presets.ts
	@$(WITH_NODE) node services/api/src/write-openapi.ts

##@ Measure it

# `make` hands variables of its command line to the bench's environment.
.PHONY: bench-pipeline bench-idle bench-due-index
bench-pipeline: $(INSTALLED) ## N runs due at one instant, real processes: make bench-pipeline N=10000 DELAY_MS=0
	@$(WITH_NODE) exec node tests/bench/pipeline.ts
bench-idle: $(INSTALLED) ## N occurrences one at a time on an idle system: make bench-idle N=100
	@$(WITH_NODE) exec node tests/bench/idle.ts
bench-due-index: $(INSTALLED) ## Layouts of the due index side by side (decision 0002): make bench-due-index SCHEDULES=1000000
	@$(WITH_NODE) exec node tests/bench/due-index.ts
