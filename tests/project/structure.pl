#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0
# structure.pl CHECK [OBJECTS]: what is wrong with the structure of the tree in the current directory, a line for each
# offender. CHECK is one of those at the end; OBJECTS, where its objects are built (build).
use strict;
use warnings;

my ($check, $objects) = (shift // '', shift // 'build');

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!\n";
	local $/;
	return scalar <$file>;
}

sub files { return sort grep { !/\.mod\.c$/ } map { glob "$_/*.[ch] $_/*/*.[ch] $_/*/*/*.[ch]" } @_ }

# Comments become blanks, so that lines keep their numbers.
sub code {
	my ($text) = @_;
	$text =~ s{(/\*.*?\*/|//[^\n]*)|("(?:\\.|[^"\\\n])*")}{defined $1 ? $1 =~ tr/\n//cdr : $2}gse;
	return $text;
}

sub stems {
	my ($list) = slurp('agent/rooms.h') =~ /^#define ROOMS\(X\)((?:.*\\\n)*.*)/m;
	return $list =~ /X\((\w+)\)/g;
}

# ---- circles ----

# Strongly connected components of more than one node, or of one with an edge to itself (Tarjan).
sub circles {
	my ($edges) = @_;
	my ($n, %index, %low, @stack, %on, @found) = (0);
	my $visit;
	$visit = sub {
		my ($v) = @_;
		$index{$v} = $low{$v} = $n++;
		push @stack, $v;
		$on{$v} = 1;
		for my $w (sort keys %{ $edges->{$v} // {} }) {
			if (!exists $index{$w}) {
				$visit->($w);
				$low{$v} = $low{$w} if $low{$w} < $low{$v};
			} elsif ($on{$w}) {
				$low{$v} = $index{$w} if $index{$w} < $low{$v};
			}
		}
		return if $low{$v} != $index{$v};
		my @part;
		do {
			push @part, pop @stack;
			$on{ $part[-1] } = 0;
		} until $part[-1] eq $v;
		push @found, [ sort @part ] if @part > 1 || $edges->{$v}{$v};
	};
	no warnings 'recursion';
	exists $index{$_} or $visit->($_) for sort keys %$edges;
	return @found;
}

sub say_circles {
	my ($edges) = @_;
	for my $circle (circles($edges)) {
		my %in = map { $_ => 1 } @$circle;
		print "circle: @$circle\n";
		for my $from (@$circle) {
			print "  $from -> $_: ", join(' ', sort keys %{ $edges->{$from}{$_} }), "\n"
				for grep { $in{$_} } sort keys %{ $edges->{$from} };
		}
	}
}

# {defined}{SYMBOL} = FILE, {used}{FILE}{SYMBOL}, of what the compiler made; with FORTIFIED "__read_chk" is "read".
sub object_symbols {
	my ($fortified) = @_;
	my %s = (defined => {}, used => {});
	my @sources = grep { /\.c$/ && !m{^gpu/functions/} } files('agent', 'gpu');
	my @missing = grep { !-e "$objects/$_" } map { s/c$/o/r } @sources;
	die "$missing[0] is missing: build first\n" if @missing;
	open my $nm, '-|', 'nm', '-A', map { "$objects/" . s/c$/o/r } @sources or die "nm: $!\n";
	while (<$nm>) {
		my ($file, $type, $name) = m{^\Q$objects\E/(.*)\.o:.*([A-Za-z]) (\S+)$} or next;
		$name =~ s/^__isoc\d+_|^__(\w+?)_(?:chk|2|alias)$/$1 \/\/ ''/e if $fortified;
		next if $name =~ /^_GLOBAL_|^__|^\./;
		$s{defined}{$name} = "$file.c" if $type =~ /[TDBRVWCGS]/;
		$s{used}{"$file.c"}{$name} = 1 if $type eq 'U';
	}
	return \%s;
}

# The same of the module, by its source: to build its drivers takes a kernel.
sub module_symbols {
	my %s = (defined => {}, used => {});
	my %text = map { $_ => code(slurp($_)) } grep { /\.c$/ } files('kfuncs');
	for my $file (sort keys %text) {
		my $t = $text{$file};
		while ($t =~ /^(?!static|typedef|extern|#)(?:__bpf_kfunc )?[a-z][\w \*]*?\**\b(\w+)(?:\([^;{}]*\)\n\{|(?:\[[^\]]*\])? = )/gm) {
			$s{defined}{$1} = $file;
		}
	}
	for my $file (sort keys %text) {
		$s{used}{$file}{$_} = 1 for grep { exists $s{defined}{$_} && $s{defined}{$_} ne $file } $text{$file} =~ /(?<![.>\w])(\w+)\b/g;
		# What a macro or a struct calls by that name is another's.
		delete $s{used}{$file}{$_} for $text{$file} =~ /^static [\w \*]*?\b(\w+)(?:\(|\[|;| =)/gm;
	}
	return \%s;
}

sub symbol_circles {
	my %edges;
	for my $s (object_symbols(), module_symbols()) {
		for my $file (keys %{ $s->{used} }) {
			for my $name (keys %{ $s->{used}{$file} }) {
				my $at = $s->{defined}{$name};
				$edges{$file}{$at}{$name} = 1 if $at && $at ne $file;
			}
		}
	}
	say_circles(\%edges);
}

# @([FILE, INCLUDED, LINE]), of the tree's own headers.
sub includes {
	my @all;
	for my $file (files('agent', 'bpf', 'gpu', 'kfuncs')) {
		my $line = 0;
		for (split /\n/, slurp($file)) {
			$line++;
			my ($to) = /^\s*#\s*include\s+"([^"]+)"/ or next;
			(my $dir = $file) =~ s{[^/]*$}{};
			push @all, [ $file, $to =~ m{/} || !-e "$dir$to" ? $to : "$dir$to", $line ];
		}
	}
	return @all;
}

sub include_circles {
	my %edges;
	$edges{ $_->[0] }{ $_->[1] }{"line $_->[2]"} = 1 for includes();
	say_circles(\%edges);
}

# ---- includes ----

# A glob of the table: "*" within a folder, "ROOM" a room, the same in both columns, a folder with "/" at its end all below it.
my %patterns;
sub pattern {
	my ($glob, $room) = @_;
	return $patterns{"$glob $room"} //= make_pattern($glob, $room);
}

sub make_pattern {
	my ($glob, $room) = @_;
	my $p = quotemeta $glob;
	$p =~ s/\\\*/[^\/]*/g;
	$p =~ s/ROOM/$room/g;
	$p .= '.*' if $glob =~ m{/$};
	return qr/^$p$/;
}

# The first rule that fits a file is its rule.
sub bad_includes {
	my (@rules, $any);
	$any = join '|', stems();
	for (split /\n/, slurp('tests/project/include-rules.tsv')) {
		next if /^#|^$/;
		my ($who, $what) = split /\t+/;
		push @rules, [ $who, [ split / /, $what ] ];
	}
	my %rule_of;
	for my $file (files('agent', 'bpf', 'gpu', 'kfuncs')) {
		($rule_of{$file}) = grep { $file =~ pattern($_->[0], "(?:$any)") } @rules;
		print "$file: no rule is for it\n" unless $rule_of{$file};
	}
	for (includes()) {
		my ($file, $to, $line) = @$_;
		my $rule = $rule_of{$file} or next;
		my ($room) = $rule->[0] =~ /ROOM/ ? $file =~ m{^\w+/(\w+)/} : ();
		next if grep { $to =~ pattern($_, $room // 'ROOM') } @{ $rule->[1] };
		print "$file:$line: $rule->[0] may not include $to\n";
	}
}

# ---- names of rooms ----

sub named_rooms {
	my @stems = stems();
	my $any = join '|', @stems;
	for my $file (files(map { "agent/$_" } qw(lib base policy who steer core http ctl))) {
		my $line = 0;
		for (split /\n/, code(slurp($file))) {
			$line++;
			next if /^\s*#\s*include\s*</;
			# As the beginning of an identifier, as a member, as a folder or as a string.
			while (/((?:(?<![A-Za-z0-9])(?:$any)|\b(?:\U$any\E))_\w+|(?:->|\.)(?:$any)\b(?!\.)|\b(?:agent|bpf|kfuncs)\/(?:$any)\b|"(?:$any)(?:"|\.))/g) {
				print "$file:$line: names a room: $1\n";
			}
		}
	}
	for my $room (@stems) {
		my $others = join '|', grep { $_ ne $room } @stems;
		for my $file (files("agent/$room")) {
			my $line = 0;
			for (split /\n/, code(slurp($file))) {
				$line++;
				print "$file:$line: names another room: $1\n"
					while /(\b(?:$others|\U$others\E)_\w+|\b(?:agent|bpf|kfuncs)\/(?:$others)\b|\b(?:room|policy|ctl)_(?:$others)\b|"(?:$others)\.)/g;
			}
		}
	}
}

# ---- prefixes ----

# Of "agent/who/workload_list.c": workload_list, workload, who.
sub prefixes {
	my ($file) = @_;
	my ($top, @dirs) = split m{/}, $file;
	(my $stem = pop @dirs) =~ s/\.c$//;
	my @all = ($top, @dirs);
	for (my @words = split /_/, $stem; @words; pop @words) {
		push @all, join '_', @words;
	}
	push @all, map { ("room_$_", "policy_$_", "ctl_$_") } $stem, @dirs;
	push @all, 'nestor', 'cache', 'bpf' if $top eq 'kfuncs';
	return @all;
}

sub bad_prefixes {
	for my $s (object_symbols(), module_symbols()) {
		for my $name (sort keys %{ $s->{defined} }) {
			my $file = $s->{defined}{$name};
			my $any = join '|', prefixes($file);
			print "$file: exports $name\n" unless $name eq 'main' || $name =~ /^(?:$any)(?:_|$)/;
		}
	}
}

# ---- what the agent's loop may wait for ----

# Functions of libraries that can wait for another process, or for a disk; what is not here returns soon, whatever others do.
my $waits = join '|', qw(
	accept|accept4 connect recv|recvfrom|recvmsg|recvmmsg send|sendto|sendmsg|sendmmsg poll|ppoll|select|pselect
	epoll_wait|epoll_pwait wait|wait3|wait4|waitid|waitpid sleep|usleep|nanosleep|clock_nanosleep|pause sigsuspend|sigwait|sigtimedwait
	flock|lockf|fcntl_lock fsync|fdatasync|sync|syncfs|msync system|popen|pclose|posix_spawn
	getpw\w+|getgr\w+|getgrouplist|initgroups getaddrinfo|getnameinfo|gethostby\w+|getservby\w+ syslog|perror|psignal|stderr
	pthread_join|pthread_cond_\w*wait|sem_wait|pthread_barrier_wait
	open|openat|creat|fopen|freopen|opendir|scandir|scandirat|nftw|ftw|fts_open|glob|realpath|open_by_handle_at|setmntent
	read|readv|pread|preadv|write|writev|pwrite|pwritev|splice|sendfile|copy_file_range|process_vm_readv|process_vm_writev
	dlopen|mount|umount|umount2 json_loadf|json_loadfd|json_load_file|json_dumpf|json_dumpfd|json_dump_file sd_notify\w*|sd_bus_\w+|ring_buffer__poll);

# The files whose code the loop can reach: by their symbols from nestord.c on, but for the mains of other processes.
sub loop_files {
	my ($s) = @_;
	my %seen = ('agent/nestord.c' => 1);
	my @todo = keys %seen;
	while (defined(my $file = pop @todo)) {
		for my $name (keys %{ $s->{used}{$file} }) {
			my $at = $s->{defined}{$name} or next;
			next if $name =~ /_main$/ || $seen{$at}++;
			push @todo, $at;
		}
	}
	return sort keys %seen;
}

sub loop_waits {
	my $s = object_symbols('fortified');
	my (%excepted, %used);
	for (split /\n/, slurp('tests/project/loop-waits.tsv')) {
		next if /^#|^$/;
		my ($file, $names, $reason) = split /\t+/;
		print "loop-waits.tsv: no reason is given for $file\n" unless $reason;
		$excepted{$file}{$_} = 1 for split / /, $names;
	}
	for my $file (loop_files($s)) {
		for my $name (grep { /^(?:$waits)$/ } sort keys %{ $s->{used}{$file} }) {
			print "$file: $name() can wait\n" unless $excepted{$file}{$name};
			$used{$file}{$name} = 1;
		}
	}
	for my $file (sort keys %excepted) {
		print "loop-waits.tsv: $file uses no $_()\n" for grep { !$used{$file}{$_} } sort keys %{ $excepted{$file} };
	}
}

my %checks = (
	'symbol-circles' => \&symbol_circles,
	'include-circles' => \&include_circles,
	'loop-waits' => \&loop_waits,
	'includes' => \&bad_includes,
	'rooms' => \&named_rooms,
	'prefixes' => \&bad_prefixes,
);
die 'checks: ', join(' ', sort keys %checks), "\n" unless $checks{$check};
$checks{$check}->();
