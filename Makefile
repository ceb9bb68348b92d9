# pgha: streaming replication made highly available from inside the server.
#
#   make deps         installs what a database host needs to build and run pgha (Debian, as root)
#   make              builds the library and the program
#   make install      installs both beside PostgreSQL, and what is the same for all its versions
#   make deb          builds packages of Debian instead, in build/deb
#   make demo         shows a failover (as root)
#   make check-all    runs all tests (as root)
#   make check-other SUITE=trixie
#                     builds and tests with another Debian's PostgreSQL (as root)
#
# PG_CONFIG chooses the PostgreSQL installation, PG_MAJOR one of Debian's.

PG_MAJOR ?= 15
ifneq ($(wildcard /usr/lib/postgresql/$(PG_MAJOR)/bin/pg_config),)
PG_CONFIG ?= /usr/lib/postgresql/$(PG_MAJOR)/bin/pg_config
else
PG_CONFIG ?= pg_config
endif

EXTENSION = pgha
DATA = $(wildcard pgha--*.sql)
MODULE_big = pgha

CORE_SOURCES = $(wildcard src/core/*.c)
COMMON_SOURCES = $(wildcard src/common/*.c)
SERVER_SOURCES = $(wildcard src/server/*.c src/server/*/*.c)
PROGRAM_WINGS = cli agent web recovery host net
PROGRAM_SOURCES = $(wildcard $(PROGRAM_WINGS:%=src/%/*.c)) $(COMMON_SOURCES) $(CORE_SOURCES)
SIM_SOURCES = $(wildcard sim/*.c) $(CORE_SOURCES)
ALL_HEADERS = $(wildcard src/*/*.h src/*/*/*.h sim/*.h)

OBJS = $(SERVER_SOURCES:.c=.o) $(COMMON_SOURCES:.c=.o) $(CORE_SOURCES:.c=.o)

WARNINGS = -Wall -Wextra -Wdeclaration-after-statement -Wvla -Wformat-security $(WERROR)

# What a database host needs; postgresql-server-dev depends on a clang itself.
DEPS = make gcc libc6-dev postgresql-$(PG_MAJOR) postgresql-server-dev-$(PG_MAJOR) libpq-dev \
	libjansson-dev libpgpool-dev libcurl4-openssl-dev libssl-dev libsystemd-dev libmicrohttpd-dev
# What the demo needs besides, what the tests of check-other, and what all tests.
DEMO_DEPS = perl pgpool2
OTHER_DEPS = $(DEMO_DEPS) postgresql-$(PG_MAJOR)-pgpool2 openssl iproute2 procps libipc-run-perl
TEST_DEPS = $(OTHER_DEPS) clang libclang-rt-dev iptables valgrind python3 rsync libio-pty-perl mandoc man-db \
	pgbackrest postgresql-$(PG_MAJOR)-repmgr patroni etcd-server curl prometheus-alertmanager haproxy pgbouncer keepalived systemd python3-botocore iputils-ping libcap2-bin spin libfaketime \
	prometheus python3-nagiosplugin python3-click python3-requests python3-attr chromium chromium-driver

.DEFAULT_GOAL := all

# ---- targets that must work without PostgreSQL's makefiles ----

.PHONY: deps demo-deps other-deps test-deps
deps:
	@tools/packages $(DEPS)
demo-deps:
	@tools/packages $(DEPS) $(DEMO_DEPS)
other-deps:
	@tools/packages $(DEPS) $(OTHER_DEPS)
test-deps:
	@tools/packages $(DEPS) $(TEST_DEPS)
	-@tools/check-patroni

# Runs on a machine that has nothing yet: installs, builds, shows.
.PHONY: demo
demo:
	@MAKE='$(MAKE)' tools/demo

# Debian SUITE's PostgreSQL, in a directory that is removed afterwards.
.PHONY: check-other
check-other:
	@test -n '$(SUITE)' || { echo 'make check-other: which SUITE of Debian? trixie has PostgreSQL 17, sid a newer one' >&2; exit 2; }
	@tools/packages debootstrap debian-archive-keyring
	@tools/check-other $(SUITE)

# What the packages of Debian are built with, from all its major versions of PostgreSQL
# (debian/control.in has the same), and what looks at them.
DEB_DEPS = $(filter-out postgresql-%,$(DEPS)) debhelper dpkg-dev postgresql-server-dev-all
DEB_TEST_DEPS = $(DEB_DEPS) lintian debootstrap debian-archive-keyring systemd
OTHER_DEPS += $(DEB_TEST_DEPS)

.PHONY: deb-deps deb-test-deps
deb-deps:
	@tools/packages $(DEB_DEPS)
deb-test-deps:
	@tools/packages $(DEB_TEST_DEPS)

# Packages for the Debian that this runs on, in build/deb; the tree is left alone.
.PHONY: deb
deb: deb-deps
	@tools/deb

# For tools/check-deb.
.PHONY: print-deb-libraries
print-deb-libraries:
	@echo $(filter lib%,$(filter-out libc6-dev,$(DEPS)))

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
ifneq ($(and $(filter check-all,$(MAKECMDGOALS)),$(if $(DEPS_DONE),,yes)),)
# Nothing is installed yet: do that, and start over.
check-all: test-deps
	$(MAKE) $@ DEPS_DONE=yes
.PHONY: check-all
else ifneq ($(filter-out deps demo-deps other-deps test-deps deb-deps deb-test-deps deb demo check-other,$(or $(MAKECMDGOALS),all)),)
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

# The flags that PostgreSQL was built with are gcc's.
ifneq ($(findstring clang,$(CC)),)
override CFLAGS := $(filter-out -fexcess-precision=standard -Wimplicit-fallthrough=3 \
	-Wno-format-truncation -Wno-stringop-truncation,$(CFLAGS))
endif

$(OBJS): $(ALL_HEADERS)

# ---- the program ----

build:
	@mkdir -p build

# COPT is PostgreSQL's name for the flags of whoever builds packages.
PROGRAM_CFLAGS = -std=gnu11 -O2 -g $(WARNINGS) -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong $(COPT)
NET_LIBS = -ljansson -lcurl -lssl -lcrypto
# Tells the service manager how the agent is.
SERVICE_LIBS = -lsystemd
WEB_LIBS = -lmicrohttpd -pthread
# Debian's pgpool-II 4.7 has another name for libpcp.
PCP_LIB = $(if $(findstring /,$(shell $(CC) -print-file-name=libpgpoolpcp.so)),-lpgpoolpcp,-lpcp)
# What PostgreSQL's own programs read pg_control with: static libraries of the server's development package;
# and what they are linked with for their safety.
SERVER_FLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server)
SERVER_LIBS = $(LDFLAGS) -L$(shell $(PG_CONFIG) --pkglibdir) -L$(shell $(PG_CONFIG) --libdir) -lpgcommon -lpgport
LIBPQ_FLAGS = -I$(shell $(PG_CONFIG) --includedir)

PGHA_VERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" pgha.control)

# The program with what only tests may do to it; it is not installed by `make install`.
build/pgha-test: PROGRAM_CFLAGS += -DPGHA_TEST_HOOKS
build/pgha build/pgha-test: $(PROGRAM_SOURCES) $(ALL_HEADERS) src/web/ui.html pgha.control | build need-libraries
	$(CC) $(PROGRAM_CFLAGS) -DPGHA_VERSION='"$(PGHA_VERSION)"' -DPGHA_PG_MAJOR=$(MAJORVERSION) -Isrc $(LIBPQ_FLAGS) $(SERVER_FLAGS) -o $@ $(PROGRAM_SOURCES) \
		$(SERVER_LIBS) -L$(shell $(PG_CONFIG) --libdir) -lpq $(PCP_LIB) $(NET_LIBS) $(SERVICE_LIBS) $(WEB_LIBS)

.PHONY: need-libraries
need-libraries:
	@for header in jansson.h curl/curl.h openssl/evp.h systemd/sd-daemon.h microhttpd.h; do \
		echo "#include <$$header>" | $(CC) -E - > /dev/null 2>&1 || { \
		echo "$$header is missing: run \"make deps\" as root, or install the Debian packages" \
			"libjansson-dev, libcurl4-openssl-dev, libssl-dev, libsystemd-dev and libmicrohttpd-dev" >&2; exit 1; }; done

all: build/pgha

# ---- installation ----
#
# install-versioned is what each PostgreSQL has for itself: library, control file,
# SQL, program.  install-common is what all share.  A packager calls these two, with
# DESTDIR; install is both.  Where PostgreSQL is in a place of its own, and not where
# Debian has it, what is shared goes there, too: nothing is written outside of it.

ifneq ($(filter /usr/share/%,$(datadir)),)
SHAREDIR ?= /usr/share
else
SHAREDIR ?= $(datadir)
endif
COMMON_MANDIR ?= $(SHAREDIR)/man
COMMON_DOCDIR ?= $(SHAREDIR)/doc/pgha
COMPLETIONSDIR ?= $(SHAREDIR)/bash-completion/completions
# With the directories that their links name.
DOC_FILES = README.md CHANGELOG.md $(wildcard doc/*.md doc/*/*.md examples/*.* examples/aws/*.json examples/notify/* examples/prometheus/* examples/grafana/*)

.PHONY: install-versioned install-program install-common install-help install-doc
install: install-program $(if $(filter no,$(COMMON)),,install-common)
install-versioned:
	$(MAKE) install COMMON=no

# Files of a package are not replaced behind its back.
installdirs install-program install-common: not-packaged
.PHONY: not-packaged
not-packaged:
	@$(if $(or $(DESTDIR),$(filter yes,$(OVER_PACKAGES))),:,! dpkg-query -S '$(bindir)/pgha' '$(COMMON_MANDIR)/man1/pgha.1.gz' 2> /dev/null || { \
		echo 'make install: these files are of packages: remove the packages before, or say OVER_PACKAGES=yes' >&2; exit 1; })

install-program: build/pgha
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) build/pgha '$(DESTDIR)$(bindir)/pgha'

install-common: install-help install-doc

install-help:
	$(MKDIR_P) '$(DESTDIR)$(COMMON_MANDIR)/man1' '$(DESTDIR)$(COMPLETIONSDIR)'
	$(INSTALL_DATA) doc/pgha.1 '$(DESTDIR)$(COMMON_MANDIR)/man1/pgha.1'
	$(INSTALL_DATA) completions/pgha.bash '$(DESTDIR)$(COMPLETIONSDIR)/pgha'

install-doc:
	for file in $(DOC_FILES); do $(INSTALL_DATA) -D $$file '$(DESTDIR)$(COMMON_DOCDIR)'/$$file || exit 1; done

uninstall: uninstall-program uninstall-common
.PHONY: uninstall-program uninstall-common
uninstall-program:
	rm -f '$(DESTDIR)$(bindir)/pgha'

uninstall-common:
	rm -f '$(DESTDIR)$(COMMON_MANDIR)/man1/pgha.1' '$(DESTDIR)$(COMPLETIONSDIR)/pgha'
	rm -f $(DOC_FILES:%='$(DESTDIR)$(COMMON_DOCDIR)'/%)
	-find '$(DESTDIR)$(COMMON_DOCDIR)' -depth -type d -empty -delete 2> /dev/null

# ---- tests: see doc/development.md ----

SANITIZE = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all

build/pgha-sim: $(SIM_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 -O2 -g $(WARNINGS) -DPGHA_SIM -Isrc -o $@ $(SIM_SOURCES)

build/pgha-sim-san: $(SIM_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 $(SANITIZE) $(WARNINGS) -DPGHA_SIM -Isrc -o $@ $(SIM_SOURCES)

COMMON_TEST_SOURCES = $(wildcard t/unit/common/*.c) $(COMMON_SOURCES) $(CORE_SOURCES)

build/common_test: $(COMMON_TEST_SOURCES) $(wildcard t/unit/common/*.h) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 -D_GNU_SOURCE $(SANITIZE) $(WARNINGS) -Isrc $(LIBPQ_FLAGS) -o $@ $(COMMON_TEST_SOURCES) \
		-L$(shell $(PG_CONFIG) --libdir) -lpq

# The table of a recovery alone, on a model of the disk.
RECOVERY_TEST_SOURCES = t/unit/recovery/table_test.c src/recovery/table.c

build/recovery_test: $(RECOVERY_TEST_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 $(SANITIZE) $(WARNINGS) -Isrc -o $@ $(RECOVERY_TEST_SOURCES)

build/writer: t/writer.c | build
	$(CC) $(PROGRAM_CFLAGS) $(LIBPQ_FLAGS) -o $@ t/writer.c -L$(shell $(PG_CONFIG) --libdir) -lpq

# What talks to EC2: everything in src/net that needs no libpq.
EC2_SOURCES = $(addprefix src/net/,address_ec2.c cidr.c credentials.c ec2.c ec2_node.c ec2_stop.c http.c imds.c sigv4.c xml.c) \
	src/common/clock.c src/common/errors.c src/common/fields.c src/common/text.c

build/ec2_tool build/sigv4_tool: build/%: t/unit/%.c $(EC2_SOURCES) $(ALL_HEADERS) | build
	$(CC) -std=gnu11 -D_GNU_SOURCE $(SANITIZE) $(WARNINGS) -Isrc -o $@ $< $(EC2_SOURCES) $(NET_LIBS)

# Fuzzers of all that reads what comes over the network, or files: see t/run.
# The newest clang that has libFuzzer.
FUZZ_CC = $(shell for cc in $$(IFS=:; ls $$PATH 2> /dev/null | grep -xE 'clang(-[0-9]+)?' | sort -uVr); do \
	ls "$$($$cc -print-resource-dir)"/lib/*/libclang_rt.fuzzer* > /dev/null 2>&1 && echo $$cc && break; done)
FUZZ_SECONDS = 60
FUZZERS = $(patsubst t/fuzz/%.c,build/fuzz_%,$(wildcard t/fuzz/*.c))

build/fuzz_%: t/fuzz/%.c $(EC2_SOURCES) $(ALL_HEADERS) | build
	$(FUZZ_CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(WARNINGS) -Isrc -o $@ $< $(EC2_SOURCES) $(NET_LIBS)

# Who may use whom, circles, large files: needs nothing but what `make` builds.
.PHONY: check-walls
check-walls: all
	PG_CONFIG=$(PG_CONFIG) t/run walls

# The simulator for as long as you like: make sim-long SEEDS=1-200000
SEEDS = 1-200000
.PHONY: sim-long
sim-long: build/pgha-sim
	build/pgha-sim --seeds $(SEEDS)
	build/pgha-sim --votes --seeds $(SEEDS)

# Random faults on real servers: make chaos MINUTES=30 KINDS='async any1 witness' SEED=7
MINUTES = 10
.PHONY: chaos
chaos: all install build/writer
	MINUTES=$(MINUTES) $(if $(KINDS),KINDS='$(KINDS)') $(if $(SEED),SEED=$(SEED)) bench/chaos

TEST_PROGRAMS = $(FUZZERS) build/ec2_tool build/sigv4_tool build/common_test build/recovery_test build/pgha-sim build/pgha-sim-san build/writer build/pgha-test

.PHONY: check-all check-unit check-sim check-model check-regress check-tap check-fuzz
check-all: test-deps
	$(MAKE) all install $(TEST_PROGRAMS)
	PG_CONFIG=$(PG_CONFIG) FUZZ_SECONDS=$(FUZZ_SECONDS) t/run

check-unit check-sim check-model check-regress check-tap check-fuzz: check-%: all $(TEST_PROGRAMS)
	$(MAKE) install
	PG_CONFIG=$(PG_CONFIG) FUZZ_SECONDS=$(FUZZ_SECONDS) t/run $*

# The last step of tools/demo.
.PHONY: demo-story
demo-story:
	@PG_CONFIG=$(PG_CONFIG) examples/demo

# The last step of tools/check-other: what is most likely to differ between versions.
OTHER_TAP = t/010_gate.pl t/100_kill.pl t/101_freeze.pl t/103_three.pl t/114_sync.pl \
	t/116_slot_sync.pl t/120_pgpool.pl t/121_pgpool_recovery.pl t/122_pgpool_told.pl t/130_two_primaries.pl t/131_rejoin.pl \
	t/155_recycled.pl t/164_orphan.pl t/165_starting.pl t/541_http_strangers.pl

.PHONY: check-here
check-here:
	$(MAKE) all install build/common_test build/writer WERROR=-Werror
	PG_CONFIG=$(PG_CONFIG) TAP_FILES='$(OTHER_TAP) t/500_deb.pl' t/run unit regress tap

endif
