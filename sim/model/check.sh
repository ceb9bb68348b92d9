#!/bin/bash
# Checks the model of the protocol by which the members vote (quorum.pml; quorum.md,
# section 9), and its table of mutations: without any one rule it must fail.
#
#	sim/model/check.sh [SECONDS]	per run at most (25); 500 and some GB of memory for the long ones
#
# ONLY='base-*' runs those alone.  Without spin there is nothing to check with: exit
# status 77.
set -u
source=$(cd "$(dirname "$0")" && pwd)/quorum.pml
limit=${1:-25}
command -v spin > /dev/null || { echo "spin is not installed"; exit 77; }
work=$(mktemp -d /tmp/pgha-model.XXXXXX)
trap 'rm -rf "$work"' EXIT
failed=0

build()			# nodes
{
	mkdir "$work/b$1" && cd "$work/b$1" && cp "$source" . && spin -a -DN="$1" -DML=4 quorum.pml > spin.log &&
		gcc -O2 -DSAFETY -DNOREDUCE -DHC4 -DBFS -DMEMLIM="${MEMLIM:-1500}" -w -o "$work/bfs$1" pan.c && cd "$work"
}

# A run that is cut short has found nothing up to the depth that is shown.
run()			# nodes expected name VARIABLE=VALUE ...
{
	local nodes=$1 want=$2 name=$3 got=none out=$work/$3.out word
	shift 3
	# shellcheck disable=SC2053
	if [ -n "${ONLY:-}" ] && [[ $name != $ONLY ]]; then return; fi
	env "$@" timeout -s INT "$limit" "$work/bfs$nodes" -w"${HASH:-22}" -m100000 > "$out" 2>&1
	if grep -q 'assertion violated' "$out"; then got=violation
	elif grep -q 'not completed' "$out"; then got=none-cut
	elif ! grep -q 'states, stored' "$out"; then got=nothing; fi
	if [ "${got%-cut}" = "$want" ]; then word=ok; else word='NOT OK'; failed=$((failed + 1)); fi
	printf '%-6s %-9s %-10s %10s states, depth %3s  %s\n' "$word" "$name" "$got" \
		"$(grep -o '[0-9]* states, stored' "$out" | cut -d' ' -f1)" \
		"$(grep -o 'depth reached [0-9]*' "$out" | grep -o '[0-9]*$')" "$*"
}

build 3 && build 2 || exit 1

# The protocol: asynchronous, clocks, a crash, a witness; synchronous, with changes of
# the rule; a switchover; what a restarted leader shows; WAL fetched from a
# standby; two voters.
run 3 none base-a     TTL=1 MAXL=1 MAXW=1
run 3 none base-k     TTL=2 MAXL=1 MAXW=1 MAXK=1
run 3 none base-c     TTL=1 MAXL=1 MAXW=1 MAXC=1
run 3 none base-w     TTL=1 MAXL=1 MAXW=1 WIT=4 MAXC=1
run 3 none base-s     K=1 TTL=1 MAXL=1 MAXW=1
run 3 none base-sr    K=1 TTL=1 MAXL=1 MAXW=1 MAXR=2
run 3 none base-sc    K=1 TTL=1 MAXL=1 MAXW=1 MAXR=1 MAXC=1
run 3 none base-sw    K=1 WIT=4 TTL=1 MAXL=1 MAXW=1 MAXR=2 MAXC=1
run 3 none base-d     TTL=1 MAXL=1 MAXW=1 MAXD=1
run 3 none base-rd    K=1 TTL=1 MAXL=1 MAXW=0 READS=1 MAXC=1
run 3 none base-f     TTL=1 MAXL=1 MAXW=1 FETCH=1
run 3 none base-fs    K=1 TTL=1 MAXL=1 MAXW=1 FETCH=1
run 2 none base-2     TTL=1 MAXL=1 MAXW=1 MAXC=1

run 3 violation POST     MUT=,POST, TTL=1 MAXL=1
run 3 violation MARGIN   MUT=,MARGIN, TTL=1 MAXL=1 MAXK=1
run 3 violation PROMISE  MUT=,PROMISE, TTL=1 MAXL=1
run 3 violation BOUND    MUT=,BOUND, TTL=1 MAXL=1 MAXW=1
run 3 violation ONCE     MUT=,ONCE, TTL=1 MAXL=1 MAXC=1
run 3 violation VDUR     MUT=,VDUR, TTL=1 MAXL=1 MAXC=1
run 3 violation UPTODATE MUT=,UPTODATE, K=1 TTL=1 MAXL=1
run 3 violation RX       MUT=,RX, K=1 TTL=1 MAXL=1
run 3 violation RULEAGE  MUT=,RULEAGE, K=1 TTL=1 MAXL=1 MAXR=1
run 3 none      S3       MUT=,S3, K=1 TTL=1 MAXL=1 MAXC=1	# implied by V4 and the majority, until there are four voters
run 3 violation FAST     MUT=,FAST, TTL=1 MAXL=1
run 3 violation INST     MUT=,INST, TTL=2 MAXL=1 MAXC=1
run 3 violation START    MUT=,START, TTL=1 MAXL=1 MAXC=1
run 3 violation FREE     MUT=,FREE, TTL=1 MAXL=1
run 3 violation REFUSED  MUT=,REFUSED, TTL=1 MAXL=1
run 3 violation DEGRADE  MUT=,DEGRADE, K=1 TTL=1 MAXL=1 MAXR=1
run 3 violation OPEN     MUT=,OPEN, K=1 TTL=1 MAXL=1 READS=1 MAXC=1
run 3 violation CATCHUP  MUT=,CATCHUP, K=1 TTL=1 MAXL=1 MAXR=2
run 3 violation STORE    MUT=,STORE, K=1 TTL=1 MAXL=1 MAXR=1
run 3 violation RELEASE  MUT=,RELEASE, TTL=1 MAXL=1
run 3 violation WON      MUT=,WON, TTL=1 MAXL=1 MAXW=1 MAXC=1
run 3 violation DROP     MUT=,DROP, TTL=1 MAXL=1 MAXW=1 MAXC=1
run 3 violation ELIG     MUT=,ELIG, K=1 WIT=4 TTL=1 MAXL=1 MAXR=1
run 3 violation FOLLOW   MUT=,FOLLOW, K=1 TTL=1 MAXL=1
run 3 violation FETCHED  MUT=,FETCHED, TTL=1 MAXL=1 MAXC=1 FETCH=1

[ "$failed" = 0 ]
