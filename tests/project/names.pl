# SPDX-License-Identifier: GPL-2.0
# perl tests/project/names.pl FILE…: prints names of tests that need their neighbours; exit status 1 if there is one.
use strict;
use warnings;

my $joins = qr/and|so|nor|which|also|but|n?either/; # after a topic, too: "page: and its table"
my $points = qr/its?|who|he|they|that|then|both|the same|the other|not/;
my $needs_neighbour = qr/^"(?:(?:[^":]+: )*(?:$joins)|$points) /;
my $string = qr/"(?:\\.|[^"\\])*+"/s;
my $group = qr/(\((?:[^()"']++|$string|'(?:\\.|[^'\\])+'|(?-1))*+\))/;
my $found = 0;

sub check { # of the call at $offset in $text
	my ($file, $text, $offset, $name) = @_;
	return if $name !~ $needs_neighbour;
	printf "%s:%d: %s\n", $file, 1 + (substr($text, 0, $offset) =~ tr/\n//), $name;
	$found = 1;
}

sub check_c { # the name is the second argument of ok(), and the last one of the others
	my ($file, $text) = @_;
	while ($text =~ /\b(ok|is_str|is_u64)$group/g) {
		my ($call, $arguments, $offset) = ($1, substr($2, 1, -1), $-[0]);
		$arguments =~ s/$group//g;
		my $name = $call eq 'ok' ? qr/,\s*($string)/ : qr/,\s*($string)\s*$/;
		check($file, $text, $offset, $1) if $arguments =~ $name;
	}
	check($file, $text, $-[0], $1) while $text =~ /\bnamed\(($string)/g;
}

for my $file (@ARGV) {
	open my $handle, '<', $file or die "names.pl: cannot open $file: $!\n";
	my $text = do { local $/; <$handle> };
	if ($file =~ /\.c$/) {
		check_c($file, $text);
	} else {
		check($file, $text, $-[0], $1) while $text =~ /\b(?:ok|is|like|within|skip) ($string)/g;
	}
}
exit $found;
