# SPDX-License-Identifier: GPL-2.0
# Reads metrics in Prometheus's text format, prints what is wrong with them, exits with 1 if anything is.
# Stricter than promtool: no series twice, histograms that add up, counters that are named as such.

function complain(text) {
	printf "line %d: %s\n", NR, text
	bad = 1
}

# The family that a sample of this name belongs to.
function family_of(name,    base) {
	base = name
	if (sub(/_(bucket|sum|count)$/, "", base) && type[base] == "histogram")
		return base
	return name
}

# Splits text, what comes after "{", into names[] and values[]. What comes after "}", or "" if it is bad.
function parse_labels(text,    name) {
	nr = 0
	while (match(text, /^[a-zA-Z_][a-zA-Z0-9_]*="/)) {
		name = substr(text, 1, RLENGTH - 2)
		text = substr(text, RLENGTH + 1)
		if (!match(text, /^([^"\\]|\\\\|\\"|\\n)*"/))
			return ""
		names[++nr] = name
		values[nr] = substr(text, 1, RLENGTH - 1)
		text = substr(text, RLENGTH + 1)
		if (text ~ /^,[a-zA-Z_]/)
			text = substr(text, 2)
		else
			break
	}
	return text ~ /^}/ ? substr(text, 2) : ""
}

# Labels in order, without "le", which is left in le.
function sorted_labels(    i, j, swap, text) {
	for (i = 2; i <= nr; i++)
		for (j = i; j > 1 && names[j] < names[j - 1]; j--) {
			swap = names[j]; names[j] = names[j - 1]; names[j - 1] = swap
			swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap
		}
	le = text = ""
	for (i = 1; i <= nr; i++) {
		if (i > 1 && names[i] == names[i - 1])
			complain("label " names[i] " is there twice")
		if (names[i] == "le")
			le = values[i]
		else
			text = text names[i] "=\"" values[i] "\","
	}
	return text
}

function on_help(name) {
	if (name in help)
		complain("HELP of " name " is there twice")
	if (name in seen)
		complain("HELP of " name " comes after its samples")
	if (NF < 4)
		complain("HELP of " name " is empty")
	help[name] = 1
}

function on_type(name, kind) {
	if (name in type)
		complain("TYPE of " name " is there twice")
	if (name in seen)
		complain("TYPE of " name " comes after its samples")
	if (kind !~ /^(counter|gauge|histogram)$/)
		complain("TYPE of " name " is " kind)
	if (kind == "counter" && name !~ /_total$/)
		complain("counter " name " does not end in _total")
	if (kind != "counter" && name ~ /_total$/)
		complain(name " is a " kind ", but ends in _total")
	type[name] = kind
}

function on_family(name) {
	if (!(name in help))
		complain(name " has no HELP")
	if (!(name in type))
		complain(name " has no TYPE")
	if (name != family && name in seen)
		complain("samples of " name " are not together")
	seen[name] = 1
	family = name
}

function on_histogram(name, labels, value,    id) {
	id = family " {" labels "}"
	histograms[id] = 1
	if (name == family "_sum")
		sum[id] = value
	else if (name == family "_count")
		count[id] = value
	else if (name != family "_bucket")
		complain(name " is no part of a histogram")
	else if (le == "")
		complain(id " has a bucket without le")
	else if (id in inf)
		complain(id " has a bucket after +Inf")
	else if (le == "+Inf")
		inf[id] = value
	else if (id in last_le && le + 0 <= last_le[id])
		complain(id " has buckets out of order")
	if (name == family "_bucket") {
		if (id in last && value + 0 < last[id])
			complain(id " is not cumulative at le=" le)
		last[id] = value + 0
		last_le[id] = le + 0
	}
}

function on_sample(    name, labels, rest, value, id) {
	if (!match($0, /^[a-zA-Z_:][a-zA-Z0-9_:]*/)) {
		complain("no name: " $0)
		return
	}
	name = substr($0, 1, RLENGTH)
	rest = substr($0, RLENGTH + 1)
	nr = 0
	if (rest ~ /^{/)
		rest = parse_labels(substr(rest, 2))
	value = substr(rest, 2)
	if (rest !~ /^ / || value !~ /^(-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?|[-+]Inf|NaN)$/) {
		complain("bad labels or value: " $0)
		return
	}
	on_family(family_of(name))
	labels = sorted_labels()
	id = name "{" labels "le=" le "}"
	if (id in series)
		complain(id " is there twice")
	series[id] = 1
	if (type[family] != "gauge" && value ~ /^-|NaN/)
		complain(id " is " value)
	if (type[family] == "histogram")
		on_histogram(name, labels, value)
}

/^$/ { next }
/^# HELP / { on_help($3); next }
/^# TYPE / { on_type($3, $4); next }
/^#/ { next }
{ on_sample() }

END {
	for (id in histograms) {
		if (!(id in inf))
			complain(id " has no bucket +Inf")
		if (!(id in sum))
			complain(id " has no _sum")
		if (!(id in count))
			complain(id " has no _count")
		else if (count[id] != inf[id])
			complain(id " has a _count that is not its bucket +Inf")
	}
	if (!family)
		complain("no samples")
	exit bad
}
