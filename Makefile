# Every target works from a fresh clone. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What is built once and kept: the control plane and the tools. The test kit looks in the same place.
export DRPLAN_CACHE ?= $(or $(XDG_CACHE_HOME:%=%/drplan),$(HOME)/.cache/drplan)
# Tests of the cluster wait more than they compute, so more of them run at once than there are cores.
export RUST_TEST_THREADS ?= 8

CARGO ?= cargo
# Empty it (`make test LOCKED=`) while dependencies are being changed.
LOCKED ?= --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)
FAULTS := --features drplan-operator/fault-points
# The whole workspace decides on the features of dependencies, so that every target finds what another has built.
BUILD := $(CARGO) build $(LOCKED) --workspace
DEMO_BINS := --bin drplan-controlplane --bin drplan-operator --bin kubectl-drplan --bin drplan-demo
# Builds etcd, the API server and the rest unless they are in the cache, and tells how far it is; promtool and Helm.
CONTROLPLANE := $(TARGET)/debug/drplan-controlplane build > /dev/null
TOOLS := $(TARGET)/debug/drplan-controlplane tools > /dev/null
OPERATOR := DRPLAN_OPERATOR_BIN="$${DRPLAN_OPERATOR_BIN:-$(TARGET)/debug/drplan-operator}"

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY_ROOT := $(DRPLAN_CACHE)/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_DENY := $(CARGO_DENY_ROOT)/bin/cargo-deny

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: rust go ## A shop fails over, its operator is killed on the way, and it comes back; KEEP=1 leaves it running
	@$(BUILD) $(DEMO_BINS)
	@$(CONTROLPLANE)
	@$(OPERATOR) $(TARGET)/debug/drplan-demo

.PHONY: recording
recording: rust go ## The demo once more, as the picture of the README: docs/images/demo.svg
	@$(BUILD) $(DEMO_BINS) --bin drplan-record
	@$(CONTROLPLANE)
	@$(OPERATOR) $(TARGET)/debug/drplan-record docs/images/demo.svg \
	  --title "make demo: a plan is run, its operator is killed, a new one goes on, and all is undone" \
	  $(TARGET)/debug/drplan-demo

.PHONY: test
test: rust go ## All tests, on real control planes too
	@echo "make: building the operator with fault points, then the tests"
	@$(BUILD) --bin drplan-controlplane --bin drplan-operator $(FAULTS)
	@$(CONTROLPLANE)
	@$(TOOLS)
	@$(CARGO) test $(LOCKED) --workspace $(FAULTS)

.PHONY: test-node
test-node: rust ## Image and chart on a real node, as root; ALLOW_SKIP_NODE=1 skips it where it cannot run
	@$(BUILD) --bin drplan-controlplane --bin drplan-node
	@if missing=$$($(TARGET)/debug/drplan-node needs 2>&1); then \
	  env -u IMAGE -u IMAGE_PLATFORM $(MAKE) image; \
	  $(TARGET)/debug/drplan-node test $(TARGET)/oci/drplan-operator.tar; \
	else \
	  echo "make: a real node cannot run here:" >&2; echo "$$missing" >&2; \
	  [ "$${ALLOW_SKIP_NODE:-}" = 1 ] || { echo "make: ALLOW_SKIP_NODE=1 skips this target" >&2; exit 1; }; \
	  echo "make: test-node is skipped" >&2; \
	fi

.PHONY: image
image: rust ## The container image without Docker: target/oci/drplan-operator.tar and its bill of materials
	@$(CARGO) run $(LOCKED) --quiet --package drplan-image -- build --output $(TARGET)/oci

.PHONY: image-twice
image-twice: rust ## Build the image in two places, compare the bytes, check it and run its program
	@$(CARGO) build $(LOCKED) --quiet --package drplan-image
	@$(TARGET)/debug/drplan-image twice --output $(TARGET)/oci

.PHONY: chart
chart: rust go ## Write what is made from the types and the chart: its CRDs, its values' table, deploy/install.yaml
	@DRPLAN_WRITE=1 $(CARGO) test $(LOCKED) --package drplan-testkit --test chart -- up_to_date

.PHONY: check
check: rust $(CARGO_DENY) ## Formatting, lints, documentation, licences and sources of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- --deny warnings
	$(CARGO) clippy $(LOCKED) --workspace --all-targets $(FAULTS) -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps
	$(CARGO_DENY) $(LOCKED) check licenses bans sources

# The simulation alone, with all that a release optimises.
SIMULATION := $(CARGO) test $(LOCKED) --profile sim -p drplan-operator --features fault-points --test simulation --
SEEDS ?= 100000

.PHONY: sim
sim: rust ## 100,000 simulated worlds; SEEDS=n plays so many, SEED=n plays one again and tells its story
	@SIMULATION_SEED="$(SEED)" SIMULATION_SEEDS="$(SEEDS)" $(SIMULATION) --nocapture every_seed_is_sound

.PHONY: mutants
mutants: rust ## Breaks the product in known ways, and the simulation must find each within 1,000 seeds
	@crates/drplan-operator/tests/mutants/run

.PHONY: fuzz
fuzz: rust ## 200,000 rounds of damaged manifests, admission bodies and statuses; FUZZ_ROUNDS=n, FUZZ_SEED=n
	@FUZZ_ROUNDS="$${FUZZ_ROUNDS:-200000}" $(CARGO) test $(LOCKED) --profile sim -p drplan-operator --features fault-points --test fuzz

.PHONY: prove
prove: rust ## The long form of what shows that nothing is lost or done twice: simulation, crash matrix, fuzzing, mutants
	@SIMULATION_WHOLE=1 $(SIMULATION) a_crash_anywhere_changes_nothing
	@$(MAKE) sim
	@$(MAKE) fuzz
	@$(MAKE) mutants

.PHONY: bench
bench: rust go image ## How fast facts become visible, with the image's program; prints tables, asserts nothing
	@$(BUILD) --bin drplan-controlplane
	@$(CONTROLPLANE)
	@$(BUILD) --release --bin drplan-bench
	@DRPLAN_OPERATOR_BIN="$${DRPLAN_OPERATOR_BIN:-$(TARGET)/x86_64-unknown-linux-musl/image/drplan-operator}" $(TARGET)/release/drplan-bench

.PHONY: clean
clean: ## Remove what was built here; the cache of control planes and tools stays
	$(CARGO) clean
	@echo "make: $(DRPLAN_CACHE) stays; remove it by hand if you want the space"

.PHONY: rust
rust:
	@command -v $(CARGO) > /dev/null || { \
	  echo "make: there is no cargo on the PATH. Install Rust from https://rustup.rs; rust-toolchain.toml names the" \
	    "version, and rustup fetches it." >&2; exit 1; }
	@command -v cc > /dev/null || { \
	  echo "make: there is no C compiler (cc) on the PATH; one of the dependencies needs it. Debian: apt install gcc." >&2; \
	  exit 1; }

.PHONY: go
go:
	@[ -n "$${DRPLAN_CONTROLPLANE_BIN:-}" ] || command -v go > /dev/null || { \
	  echo "make: there is no go on the PATH. The control plane for demo and tests is built with Go 1.26 or newer" \
	    "(https://go.dev/dl). Or name a directory of ready binaries in DRPLAN_CONTROLPLANE_BIN; see" \
	    "controlplane/README.md." >&2; exit 1; }

$(CARGO_DENY):
	@echo "make: building cargo-deny $(CARGO_DENY_VERSION), once; this takes some minutes"
	@$(CARGO) install --locked --root "$(CARGO_DENY_ROOT)" cargo-deny@$(CARGO_DENY_VERSION)
