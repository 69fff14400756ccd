# whither -- build, run, test. `make help` lists the targets.
#
# SAN=address,undefined or SAN=thread builds an instrumented copy in a folder of its own.
# The caller's CFLAGS, CXXFLAGS and LDFLAGS are added to ours and never replace them.
# WERROR=1 turns warnings into errors, V=1 shows the commands.

VERSION := 0.1.0
PREFIX ?= /usr/local
comma := ,
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))

ifneq ($(filter-out address$(comma)undefined address undefined thread,$(SAN)),)
$(error SAN=$(SAN) is not known: use address,undefined or thread)
endif

# Left to right: a folder may include only those before it. tests/layers.sh refuses anything else.
LAYERS := base proto store collector join egress api cli

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
CXXWARN := -Wall -Wextra -Wshadow
# gcc's instrumentation makes -Wmaybe-uninitialized warn where nothing is; the plain build has it.
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-Wno-maybe-uninitialized)
OPT := $(if $(SAN),-O1,-O2) -g
COMMON := -I. -I$(BUILD)/gen -D_GNU_SOURCE -DWHITHER_VERSION='"$(VERSION)"' -fstack-protector-strong \
	-fvisibility=hidden -pthread -MMD -MP $(OPT) $(SANFLAGS) $(if $(WERROR),-Werror)
FINAL_CFLAGS = -std=c11 $(WARN) $(COMMON) $(CFLAGS)
FINAL_CXXFLAGS = -std=c++17 $(CXXWARN) $(COMMON) $(CXXFLAGS)
FINAL_LDFLAGS = -pthread -Wl,-z,relro,-z,now,--as-needed $(SANFLAGS) $(LDFLAGS)
LIBS := -luv -llmdb -lfstrm -lmicrohttpd -lsimdjson -lcyaml -lpsl -lsystemd -lxxhash -lz -lzstd \
	-lsnappy -lcurl -lssl -lcrypto -lstdc++ -lm
TEST_LIBS := -lcmocka -lprotobuf-c -lldns
# Lets tests/support/alloc.c make a chosen allocation of our code fail.
ALLOC_WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

# All processors, unless the caller's -j says how many.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

SRCS := $(wildcard $(addsuffix /*.c,$(LAYERS)))
CXXSRCS := $(wildcard $(addsuffix /*.cc,$(LAYERS)))
OBJS := $(SRCS:%.c=$(BUILD)/obj/%.o) $(CXXSRCS:%.cc=$(BUILD)/obj/%.o)
LIB_OBJS := $(filter-out $(BUILD)/obj/cli/main.o,$(OBJS))
LIB := $(BUILD)/libwhither.a
SUPPORT_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/support/*.c)) $(BUILD)/obj/gen/dnstap.pb-c.o

UNITS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*/test_*.c))
UNIT_BINS := $(UNITS:%=$(BUILD)/unit/%)
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS := $(FUZZERS:%=$(BUILD)/fuzz/replay_%)
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))

.PHONY: all run test check lab bench fuzz fuzz-build deps install format format-check help clean units
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/whither

$(BUILD)/whither: $(BUILD)/obj/cli/main.o $(LIB)
	$(call say,LINK,$@)$(CC) $(FINAL_LDFLAGS) -o $@ $^ $(LIBS)

# Made anew each time, so that the object of a source that is gone does not linger in it.
$(LIB): $(LIB_OBJS)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(FINAL_CFLAGS) -c -o $@ $<

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(call say,CXX,$<)$(CXX) $(FINAL_CXXFLAGS) -c -o $@ $<

# The dnstap schema through protobuf-c: the reference that tests hold the decoder against.
$(BUILD)/gen/dnstap.pb-c.c $(BUILD)/gen/dnstap.pb-c.h &: tests/support/dnstap.proto
	@mkdir -p $(BUILD)/gen
	$(call say,PROTO,$<)protoc-c --proto_path=tests/support --c_out=$(BUILD)/gen dnstap.proto

$(BUILD)/obj/gen/dnstap.pb-c.o: $(BUILD)/gen/dnstap.pb-c.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(FINAL_CFLAGS) -Wno-all -Wno-extra -c -o $@ $<

# Rows of test tables leave out what is zero.
$(BUILD)/obj/tests/%.o: tests/%.c $(BUILD)/gen/dnstap.pb-c.h
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(FINAL_CFLAGS) -Wno-missing-field-initializers -c -o $@ $<

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(SUPPORT_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(FINAL_LDFLAGS) $(ALLOC_WRAP) -o $@ $^ $(TEST_LIBS) $(LIBS)

$(BUILD)/fuzz/replay_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay_main.o $(SUPPORT_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(FINAL_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS)

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(SUPPORT_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(FINAL_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS)

units: $(UNIT_BINS) $(REPLAYS)

# check: unit tests, the layers and the fuzz targets' seeds; fast, no other program is needed.
check: all units
	$(Q)BUILD=$(BUILD) tests/check.sh $(UNITS)

# run, test: the two commands of the README; each installs what is missing first.
run:
	$(Q)deploy/setup.sh run
	$(Q)$(MAKE) --no-print-directory $(JOBS) all
	$(Q)BUILD=$(BUILD) tests/support/run.sh

test:
	$(Q)deploy/setup.sh test
	$(Q)$(MAKE) --no-print-directory $(JOBS) all units
	$(Q)BUILD=$(BUILD) tests/test.sh $(UNITS)

# lab: real resolvers, a real kernel and the truth beside the names; about ten minutes.
lab:
	$(Q)deploy/setup.sh lab
	$(Q)$(MAKE) --no-print-directory $(JOBS) all
	$(Q)BUILD=$(BUILD) python3 tests/lab/run.py

bench:
	$(Q)deploy/setup.sh bench
	$(Q)$(MAKE) --no-print-directory $(JOBS) all $(BENCHES)
	$(Q)BUILD=$(BUILD) tests/bench/run.sh

# fuzz: every target with libFuzzer for FUZZ_SECONDS each (TARGET=name for one of them).
FUZZ_SECONDS ?= 60
TARGET ?= $(FUZZERS)
fuzz:
	$(Q)CC=clang CXX=clang++ BUILD=build-fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh $(TARGET)

fuzz-build: $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%)

$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(SUPPORT_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CXX) $(FINAL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(TEST_LIBS) $(LIBS)

deps:
	$(Q)deploy/setup.sh test

install: all
	install -D -m 755 $(BUILD)/whither $(DESTDIR)$(PREFIX)/bin/whither
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/bin|$(PREFIX)/bin|' deploy/systemd/whither.service \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/whither.service
	install -m 644 deploy/systemd/whither.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/whither.socket

FORMATTED = $(wildcard $(addsuffix /*.[ch],$(LAYERS)) $(addsuffix /*.cc,$(LAYERS)) tests/unit/*/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch] tests/lab/*.[ch] tests/support/*.[ch])
format:
	$(Q)clang-format -i $(FORMATTED)

format-check:
	$(Q)clang-format --dry-run -Werror $(FORMATTED)

clean:
	rm -rf build build-*

help:
	@printf '%s\n' 'make            build/whither' \
	  'make run        build, start the service on loopback, replay the bundled recording, show named flows' \
	  'make test       everything: units, seeds, end to end, sanitizers' \
	  'make check      the fast part of make test' \
	  'make lab        clients, resolvers and servers in namespaces; holds the names against the truth' \
	  'make bench      benchmarks beside their peers, as ratios' \
	  'make fuzz       libFuzzer on every target, FUZZ_SECONDS=60 each; TARGET=name for one' \
	  'make deps       install what is missing (Debian packages)' \
	  'make install    DESTDIR= PREFIX=/usr/local' \
	  'make format     apply .clang-format' \
	  'make clean      remove the build folders' \
	  'SAN=address,undefined | SAN=thread, WERROR=1, V=1, CC=clang CXX=clang++'

-include $(OBJS:.o=.d) $(wildcard $(BUILD)/obj/tests/*/*.d $(BUILD)/obj/tests/*/*/*.d)
