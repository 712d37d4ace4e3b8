# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests of gpufn, after lib.sh and with the checkout as working directory: a library of functions in $T/functions, to which
# tests add, a socket, and callers.
chmod 755 "$T"
export NESTOR_GPUFN_SOCKET=$T/gpufn.sock
mkdir "$T/functions" "$T/policy.d"
cp -L gpu/functions/* "$T/functions/"

# bytes_function DIRECTORY NAME CODE: of bytes in to bytes out
bytes_function() {
	cat > "$1/$2.yaml" <<- END
		doc: for a test
		arguments:
		  - { name: in, kind: input, type: uint8, count: n }
		  - { name: out, kind: output, type: uint8, count: n, per_unit: 64 }
		  - { name: n, kind: scalar, type: uint32, min: 1, max: 100000000 }
		kernels:
		  - { name: $2, group: 64, groups: (n + 63) / 64 }
		sliceable: true
		checks:
		  - n=10
	END
	echo "KERNEL($2, 64, __global const uchar *in, __global uchar *out, uint n) { ulong i = ITEM(64); $3 }" > "$1/$2.cl"
}
function_of_bytes() { bytes_function "$T/functions" "$@"; }

as() { # as WHO COMMAND…: root, nobody or a number
	case $1 in
	root) shift && "$@" ;;
	nobody) shift && setpriv --reuid 65534 --regid 65534 --clear-groups "$@" ;;
	*) local user=$1 && shift && setpriv --reuid "$user" --regid "$user" --clear-groups "$@" ;;
	esac
}

answers() { curl -sf --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/functions > /dev/null; }
curl_as() { # curl_as WHO PATH OPTION…: $code, and the body in $T/result
	local user=$1 path=$2
	shift 2
	# shellcheck disable=SC2034 # for the tests
	code=$(as "$user" curl -s -w '%{stderr}%{http_code}' --unix-socket "$NESTOR_GPUFN_SOCKET" "$@" "http://x$path" 2>&1 > "$T/result")
}

gpufn_show() { ctl --json gpufn show 2> /dev/null | jq -r "$1"; }
current() { [ "$(gpufn_show .current)" = true ]; } # the broker goes by the policy and the containers that there are
tenant() { # tenant NAME KEY: of what the broker told last
	ctl --json gpufn show 2> /dev/null | jq -r --arg t "$1" ".tenants[]? | select(.tenant == \$t) | .$2"
}
tenant_has() { [ "$(tenant "$1" "$2")" = "$3" ]; }
broker() { pgrep -f "^nestord-gpufn .*$T/" | head -1; }
executors() { pgrep -fc "^nestord-gpufn-executor .*$T/" || true; }
