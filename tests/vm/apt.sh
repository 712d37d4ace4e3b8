# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Debian packages of any suite, without touching this machine's apt: state,
# cache, sources and pins are private, and packages are downloaded and
# unpacked, never installed. Sourced after lib.sh.

# The mirror this machine already uses, so that a proxy or a local mirror
# works here too. The first try trusts the Origin of the fetched indexes; the
# second serves images whose apt lists were emptied, where only names are left.
debian_mirror() {
	local suites='(sid|unstable|testing|(old){0,2}stable|bookworm|trixie|forky|duke)(-updates|-backports)?'
	# shellcheck disable=SC2016 # apt substitutes these, not the shell
	local format='$(ORIGIN)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)'
	local uri=${NESTOR_DEBIAN_MIRROR:-}

	[ -n "$uri" ] || uri=$(apt-get indextargets --format "$format" |
		sed -nE "s/^Debian[^|]*\|main\|$suites\|//p" | head -n 1)
	[ -n "$uri" ] || uri=$(apt-get --no-release-info indextargets --format "$format" |
		sed -nE "s/^[^|]*\|main\|$suites\|//p" | head -n 1)
	[ -n "$uri" ] || die "no Debian mirror in this machine's apt sources; name one in NESTOR_DEBIAN_MIRROR"
	printf '%s\n' "$uri"
}

# apt_open DIR SUITE: private apt in DIR, with the index of SUITE's main only.
# System-wide proxy and certificate settings still apply; its hooks do not.
# False when the suite cannot be had.
apt_open() {
	local dir=$1 suite=$2 mirror keyring

	for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
		[ ! -r "$keyring" ] || break
	done
	[ -r "$keyring" ] || die "$keyring is missing (Debian package debian-archive-keyring)"
	mirror=$(debian_mirror) || exit
	rm -rf "$dir"
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/debs"
	: >"$dir/status"
	printf 'deb [arch=amd64 target=Packages signed-by=%s] %s %s main\n' \
		"$keyring" "$mirror" "$suite" >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-EOF
		#clear APT::Architectures;
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
		APT::Architecture "amd64";
		APT::Sandbox::User "";
		# A mirror that lags will do for kernels that only test VMs run; the signature is checked all the same.
		Acquire::Check-Valid-Until "false";
		Dir::State "$dir/state";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		Dir::Cache::pkgcache "pkgcache.bin";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
	EOF
	apt-get -c "$dir/apt.conf" -qq -o APT::Update::Error-Mode=any update >&2
}

# apt_depends DIR PACKAGE REGEX: direct dependencies whose names match.
apt_depends() {
	apt-cache -c "$1/apt.conf" depends --important "$2" 2>/dev/null |
		sed -nE 's/^ *\|?(Pre)?Depends: ([^<].*)/\2/p' | grep -E "$3" | sort -u
}

# apt_unpack DIR DEST PACKAGE...: download and unpack under DEST.
apt_unpack() {
	local dir=$1 dest=$2 deb

	shift 2
	(cd "$dir/debs" && apt-get -c "$dir/apt.conf" -qq download "$@" >&2) || return
	for deb in "$dir"/debs/*.deb; do
		dpkg-deb -x "$deb" "$dest" || return
		rm "$deb"
	done
}
