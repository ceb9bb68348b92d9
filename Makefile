# pgha: streaming replication made highly available from inside the server.
#
#   make deps       installs what is needed to build and test (Debian, as root)
#   make            builds the library and the program
#   make install    installs both beside PostgreSQL
#   make demo       shows a failover (as root)
#   make check-all  runs all tests (as root)
#
# PG_CONFIG chooses the PostgreSQL installation.

PG_MAJOR ?= 15
ifneq ($(wildcard /usr/lib/postgresql/$(PG_MAJOR)/bin/pg_config),)
PG_CONFIG ?= /usr/lib/postgresql/$(PG_MAJOR)/bin/pg_config
else
PG_CONFIG ?= pg_config
endif

EXTENSION = pgha
DATA = pgha--1.0.sql pgha--1.0--1.1.sql pgha--1.1--1.2.sql
MODULE_big = pgha
DOCS = $(filter-out examples/demo,$(wildcard examples/*.* examples/aws/*.json))

CORE_SOURCES = $(wildcard src/core/*.c)
COMMON_SOURCES = $(wildcard src/common/*.c)
SERVER_SOURCES = $(wildcard src/server/*.c src/server/*/*.c)
PROGRAM_WINGS = cli agent recovery host net
PROGRAM_SOURCES = $(wildcard $(PROGRAM_WINGS:%=src/%/*.c)) $(COMMON_SOURCES) $(CORE_SOURCES)
SIM_SOURCES = $(wildcard sim/*.c) $(CORE_SOURCES)
ALL_HEADERS = $(wildcard src/*/*.h src/*/*/*.h sim/*.h)

OBJS = $(SERVER_SOURCES:.c=.o) $(COMMON_SOURCES:.c=.o) $(CORE_SOURCES:.c=.o)

WARNINGS = -Wall -Wextra -Wdeclaration-after-statement -Wvla -Wformat-security

DEPS = build-essential postgresql-$(PG_MAJOR) postgresql-server-dev-$(PG_MAJOR) libpq-dev \
	libjansson-dev libpgpool-dev libipc-run-perl libcurl4-openssl-dev libssl-dev
TEST_DEPS = clang-14 libclang-rt-14-dev pgpool2 postgresql-$(PG_MAJOR)-pgpool2 openssl iproute2 iptables \
	procps valgrind python3 rsync libio-pty-perl mandoc man-db pgbackrest systemd python3-botocore iputils-ping \
	libcap2-bin

.DEFAULT_GOAL := all

# ---- targets that must work without PostgreSQL's makefiles ----

.PHONY: deps
deps:
	@test "$$(id -u)" = 0 || { echo "make deps: run this as root (it calls apt-get)" >&2; exit 1; }
	@missing=; for p in $(DEPS) $(TEST_DEPS); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
		mkdir -p /etc/postgresql-common; \
		test -e /etc/postgresql-common/createcluster.conf || \
			echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
ifneq ($(and $(filter demo check-all,$(MAKECMDGOALS)),$(if $(DEPS_DONE),,yes)),)
# Nothing is installed yet: do that, and start over.
demo check-all: deps
	$(MAKE) $@ DEPS_DONE=yes
.PHONY: demo check-all
else ifneq ($(MAKECMDGOALS),deps)
$(error PostgreSQL's server development files are missing: run "make deps" as root, or install the Debian package postgresql-server-dev-$(PG_MAJOR))
endif
else

# Warnings inside PostgreSQL's own headers are not ours to mend.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) -Isrc
PG_CFLAGS = $(WARNINGS)

# Bitcode for the JIT would need the very clang that PostgreSQL was built with.
override with_llvm = no

REGRESS = $(patsubst sql/%.sql,%,$(wildcard sql/*.sql))
EXTRA_CLEAN = build tmp_check results regression.diffs regression.out

include $(PGXS)

# The examples have names that others may have, too.
docmoduledir = pgha

# The flags that PostgreSQL was built with are gcc's.
ifneq ($(findstring clang,$(CC)),)
override CFLAGS := $(filter-out -fexcess-precision=standard -Wimplicit-fallthrough=3 \
	-Wno-format-truncation -Wno-stringop-truncation,$(CFLAGS))
endif

$(OBJS): $(ALL_HEADERS)

# ---- the program ----

build:
	@mkdir -p build

PROGRAM_CFLAGS = -std=gnu11 -O2 -g $(WARNINGS) -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
NET_LIBS = -ljansson -lcurl -lssl -lcrypto
# Debian's pgpool-II 4.7 has another name for libpcp.
PCP_LIB = $(if $(findstring /,$(shell $(CC) -print-file-name=libpgpoolpcp.so)),-lpgpoolpcp,-lpcp)
LIBPQ_FLAGS = -I$(shell $(PG_CONFIG) --includedir)

PGHA_VERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" pgha.control)

build/pgha: $(PROGRAM_SOURCES) $(ALL_HEADERS) pgha.control | build need-libraries
	$(CC) $(PROGRAM_CFLAGS) -DPGHA_VERSION='"$(PGHA_VERSION)"' -DPGHA_PG_MAJOR=$(MAJORVERSION) -Isrc $(LIBPQ_FLAGS) -o $@ $(PROGRAM_SOURCES) \
		-L$(shell $(PG_CONFIG) --libdir) -lpq $(PCP_LIB) $(NET_LIBS)

.PHONY: need-libraries
need-libraries:
	@for header in jansson.h curl/curl.h openssl/evp.h; do \
		echo "#include <$$header>" | $(CC) -E - > /dev/null 2>&1 || { \
		echo "$$header is missing: run \"make deps\" as root, or install the Debian packages" \
			"libjansson-dev, libcurl4-openssl-dev and libssl-dev" >&2; exit 1; }; done

all: build/pgha

install: install-program
.PHONY: install-program
install-program: build/pgha
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) build/pgha '$(DESTDIR)$(bindir)/pgha'

# Where bash-completion looks, unless PostgreSQL is in a place of its own: then
# nothing is written outside of that one.
ifneq ($(filter /usr/share/%,$(datadir)),)
COMPLETIONSDIR ?= /usr/share/bash-completion/completions
else
COMPLETIONSDIR ?= $(datadir)/bash-completion/completions
endif

install: install-help
.PHONY: install-help
install-help:
	$(MKDIR_P) '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(COMPLETIONSDIR)'
	$(INSTALL_DATA) doc/pgha.1 '$(DESTDIR)$(mandir)/man1/pgha.1'
	$(INSTALL_DATA) completions/pgha.bash '$(DESTDIR)$(COMPLETIONSDIR)/pgha'

uninstall: uninstall-program
.PHONY: uninstall-program
uninstall-program:
	rm -f '$(DESTDIR)$(bindir)/pgha' '$(DESTDIR)$(mandir)/man1/pgha.1' '$(DESTDIR)$(COMPLETIONSDIR)/pgha'

# ---- tests: see doc/development.md ----

SANITIZE = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all

build/pgha-sim: $(SIM_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 -O2 -g $(WARNINGS) -DPGHA_SIM -Isrc -o $@ $(SIM_SOURCES)

build/pgha-sim-san: $(SIM_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 $(SANITIZE) $(WARNINGS) -DPGHA_SIM -Isrc -o $@ $(SIM_SOURCES)

COMMON_TEST_SOURCES = $(wildcard t/unit/common/*.c) $(COMMON_SOURCES) src/core/states.c

build/common_test: $(COMMON_TEST_SOURCES) $(wildcard t/unit/common/*.h) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 -D_GNU_SOURCE $(SANITIZE) $(WARNINGS) -Isrc -o $@ $(COMMON_TEST_SOURCES)

# The table of a recovery alone, on a model of the disk.
RECOVERY_TEST_SOURCES = t/unit/recovery/table_test.c src/recovery/table.c

build/recovery_test: $(RECOVERY_TEST_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 $(SANITIZE) $(WARNINGS) -Isrc -o $@ $(RECOVERY_TEST_SOURCES)

build/writer: t/writer.c | build
	$(CC) $(PROGRAM_CFLAGS) $(LIBPQ_FLAGS) -o $@ t/writer.c -L$(shell $(PG_CONFIG) --libdir) -lpq

# What talks to EC2: everything in src/net that needs no libpq.
EC2_SOURCES = $(addprefix src/net/,address_ec2.c cidr.c credentials.c ec2.c http.c imds.c sigv4.c xml.c) \
	src/common/clock.c src/common/errors.c src/common/fields.c

build/ec2_tool build/sigv4_tool: build/%: t/unit/%.c $(EC2_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 -D_GNU_SOURCE $(SANITIZE) $(WARNINGS) -Isrc -o $@ $< $(EC2_SOURCES) $(NET_LIBS)

# Fuzzers of all that reads what comes over the network, or files: see t/run.
FUZZ_CC = clang-14
FUZZ_SECONDS = 60
FUZZERS = $(patsubst t/fuzz/%.c,build/fuzz_%,$(wildcard t/fuzz/*.c))

build/fuzz_%: t/fuzz/%.c $(EC2_SOURCES) $(ALL_HEADERS) | build
	$(FUZZ_CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(WARNINGS) -Isrc -o $@ $< $(EC2_SOURCES) $(NET_LIBS)

# Who may use whom, circles, large files: needs nothing but what `make` builds.
.PHONY: check-walls
check-walls: all
	PG_CONFIG=$(PG_CONFIG) t/run walls

TEST_PROGRAMS = $(FUZZERS) build/ec2_tool build/sigv4_tool build/common_test build/recovery_test build/pgha-sim build/pgha-sim-san build/writer

.PHONY: check-all check-unit check-sim check-regress check-tap check-fuzz demo
check-all: deps
	$(MAKE) all install $(TEST_PROGRAMS)
	PG_CONFIG=$(PG_CONFIG) FUZZ_SECONDS=$(FUZZ_SECONDS) t/run

check-unit check-sim check-regress check-tap check-fuzz: check-%: all $(TEST_PROGRAMS)
	$(MAKE) install
	PG_CONFIG=$(PG_CONFIG) FUZZ_SECONDS=$(FUZZ_SECONDS) t/run $*

# Runs on a machine that has nothing yet: installs, builds, shows.
demo: deps
	$(MAKE) all install build/writer
	PG_CONFIG=$(PG_CONFIG) examples/demo

endif
