# A Debian of its own in a directory: for tools/check-other and tools/check-deb,
# which source this inside of namespaces of their own, as root.  $root is the
# directory, $me the name of the caller in what it says.
#
#	MIRROR=URL		where packages are, unless the host's apt knows a Debian

say() { echo "$me: $*"; }

# What a command says is shown if it fails.
quietly()
{
	"$@" > "$root.log" 2>&1 && return
	tail -n 40 "$root.log" | sed 's/^/    /'
	say "failed: $*"
	return 1
}

find_mirror()
{
	local mirror=${MIRROR:-$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)}
	echo "${mirror:-http://deb.debian.org/debian}"
}

# apt's proxy for debootstrap, and what runs in the root.
find_proxy()
{
	local proxy=''
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	[ -z "$proxy" ] || export http_proxy=${http_proxy:-$proxy}
}

# Debian SUITE, with nothing but what it must have; no service is started in it.
new_root()		# suite
{
	quietly debootstrap --variant=minbase "$1" "$root" "$(find_mirror)"
	# What lives for minutes need not survive a power failure, nor be documented.
	echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/pgha"
	apt-config dump | grep -E '^Acquire::(https?|Check-|Retries|ForceIP|Languages)' > "$root/etc/apt/apt.conf.d/99pgha" || true
	printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
}

# It is a mount of its own, so that namespaces can be made inside of it, too.
enter_root()
{
	mount --bind "$root" "$root"
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
}

in_root()		# command ...
{
	chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		${http_proxy:+http_proxy="$http_proxy"} JOBS="${JOBS:-3}" "$@" < /dev/null
}

# Runs SCRIPT --inside ARGUMENT ... as the first process of namespaces of its own,
# with $top, a directory below build/, for whatever it makes.  However this ends,
# every process in them is ended, what was mounted is gone, and so is the directory.
in_namespaces()		# script argument ...
{
	local status=0
	[ "$(id -u)" = 0 ] || { say "run this as root" >&2; exit 1; }
	mkdir -p build
	top=$(mktemp -d "$PWD/build/root.XXXXXX")
	chmod 755 "$top"
	inner=
	trap finish EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	TOP=$top unshare --mount --pid --ipc --fork --kill-child=KILL --mount-proc "$1" --inside "${@:2}" < /dev/null &
	inner=$!
	wait "$inner" || status=$?
	inner=
	return $status
}

finish()
{
	trap '' HUP INT TERM
	# With the first process of a namespace all others are killed.
	[ -z "$inner" ] || { kill -KILL "$inner" && wait "$inner"; } 2> /dev/null || true
	# They may still be about to end, and make a last file.
	for _ in 1 2 3 4 5; do rm -rf --one-file-system "$top" 2> /dev/null && return; done
	rm -rf --one-file-system "$top"
}
