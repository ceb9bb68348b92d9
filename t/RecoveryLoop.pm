# RecoveryLoop.pm
#		Rounds of recoveries with random faults in them, with a writer at work.
#
# For t/134_loop.pl and bench/recovery_loop.  In each round the primary falls, the
# other node takes over, and while the former primary is brought back, agents, jobs
# and servers are killed, failover is paused, a server is stopped on purpose.  At
# the end of the round all must stream, and each row that was ever acknowledged must
# be on the primary, in the WAL of a pgha_lost directory, or in the WAL of a former
# data directory that was kept and told.
#
# What a round does follows from the seed and its number alone; when it meets what,
# of course, does not.
package RecoveryLoop;

use strict;
use warnings;

use Cwd qw(realpath);
use File::Basename qw(basename);
use PghaCluster;
use Recoveries qw(arm stopped_jobs let_go no_place_beside);

my @POINTS = ('waiting', 'stopping', 'saving lost WAL', 'rewinding', 'copying', 'cloning', 'swapping', 'starting', 'streaming', 'cleaning up');

my @FAULTS = (
	[ 4, 'kills the agent', sub { my ($self, $fallen) = @_; $self->kill_agent($fallen) } ],
	[ 4, 'kills the job', sub { my ($self, $fallen) = @_; $fallen->kill_job } ],
	[ 4, 'kills agent and job', sub { my ($self, $fallen) = @_; $self->kill_agent($fallen); $fallen->kill_job } ],
	[ 3, 'kills the server', sub { my ($self, $fallen) = @_; $fallen->kill9 if $fallen->is_running } ],
	[ 3, 'kills the primary', sub { my ($self, $fallen, $next) = @_; $next->kill9 if $next->is_running } ],
	[ 2, 'kills the primary and its agent', sub { my ($self, $fallen, $next) = @_; $self->kill_agent($next); $next->kill9 if $next->is_running } ],
	[ 2, 'pauses', sub { my ($self) = @_; $self->pause } ],
	[ 2, 'stops the server on purpose', sub { my ($self, $fallen) = @_; $self->stop_on_purpose($fallen) } ],
	[ 2, 'orders a clone', sub { my ($self, $fallen) = @_; $self->give_order($fallen, 'clone') } ],
	[ 1, 'orders auto', sub { my ($self, $fallen) = @_; $self->give_order($fallen, 'auto') } ],
	[ 1, 'cancels', sub { my ($self) = @_; $self->cancel } ]);

# A cluster for it.  Each row is in the WAL in plain sight, for pg_waldump to show.
sub cluster
{
	my (%option) = @_;
	my $cluster = PghaCluster->new(nodes => 2, agents => 1, wal_segsize => 1,
		settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '5s', max_wal_size => '16MB', min_wal_size => '4MB',
			'pgha.slot_keep_size' => '64MB', 'pgha.clone_in_place' => 'on' }, %option);
	$cluster->build(sql => q{
		CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
			$$BEGIN PERFORM pg_logical_emit_message(true, 'written', NEW.writer || ':' || NEW.v); RETURN NULL; END$$;
		CREATE TRIGGER tell AFTER INSERT ON written FOR EACH ROW EXECUTE FUNCTION tell()});
	return $cluster;
}

# Options: cluster, seed, limit (seconds in which a round must come to its end).
sub new
{
	my ($class, %option) = @_;
	return bless { limit => 180, %option, later => [], stopped => {}, orders => [], told => {}, saved => {}, acknowledged => {} }, $class;
}

# ---- chance ----

sub seed { my ($self, $round) = @_; $self->{random} = $self->{seed} * 7919 + $round; $self->chance foreach 1 .. 5; return; }

# From 0 up to 1.
sub chance
{
	my ($self) = @_;
	$self->{random} = ($self->{random} * 1103515245 + 12345) % 2**31;
	return $self->{random} / 2**31;
}

sub pick { my ($self, @of) = @_; return $of[ int($self->chance * @of) ]; }

sub plan
{
	my ($self, $round) = @_;
	$self->seed($round);
	my %plan = (
		diverged => $self->chance < 0.6,
		rejoin => $self->chance < 0.25 ? 'rewind' : 'clone',
		in_place => $self->chance < 0.3,
		order => $self->pick(undef, undef, 'clone', 'clone', 'auto'),
		point => $self->chance < 0.6 ? $self->pick(@POINTS) : undef);
	$plan{death} = $self->pick('kill9', 'immediate', $plan{diverged} ? 'kill9' : 'fast');
	my @all = map { my $fault = $_; ($fault) x $fault->[0] } @FAULTS;
	foreach (1 .. 1 + int($self->chance * 4))
	{
		push @{ $plan{faults} }, { fault => $self->pick(@all), after => 5 * $self->chance**2, delay => 3 * $self->chance,
			by_order => $self->chance < 0.5, let_go => $self->chance < 0.5 };
	}
	return \%plan;
}

sub describe
{
	my ($plan) = @_;
	return join '; ', "$plan->{death}" . ($plan->{diverged} ? ' with rows of its own' : ''),
	  "auto_rejoin = $plan->{rejoin}", $plan->{in_place} ? 'in place' : (), defined $plan->{order} ? "ordered: $plan->{order}" : (),
	  defined $plan->{point} ? "stops at \"$plan->{point}\"" : (), map { sprintf '%s after %.1f s', $_->{fault}[1], $_->{after} } @{ $plan->{faults} };
}

# ---- faults, and what makes up for them ----

sub later { my ($self, $what) = @_; push @{ $self->{later} }, [ PghaCluster::now() + $self->{delay}, $what ]; return; }

# Carries out what is due, or all.
sub catch_up
{
	my ($self, $all) = @_;
	my $now = PghaCluster::now();
	my @due = grep { $all || $_->[0] <= $now } @{ $self->{later} };
	@{ $self->{later} } = grep { !$all && $_->[0] > $now } @{ $self->{later} };
	$_->[1]->() foreach @due;
	return;
}

# Waits, and catches up meanwhile.
sub meanwhile
{
	my ($self, $condition, $limit) = @_;
	return PghaCluster::poll_until('', sub { $self->catch_up; return $condition->() }, $limit);
}

sub kill_agent
{
	my ($self, $node) = @_;
	$node->stop_agent('KILL');
	$self->later(sub { $node->start_agent(wait => 0) unless $node->agent_running });
	return;
}

sub pause
{
	my ($self) = @_;
	foreach my $node ($self->{cluster}->primaries)
	{
		next unless defined $node->value('SELECT pgha_pause()', timeout => 10);
		$self->{paused} = 1;
		$self->later(sub { $self->resume });
	}
	return;
}

# On whichever answers: while failover is paused, the one that led may stay down.
sub resume
{
	my ($self) = @_;
	foreach my $node (grep { $_->is_up } $self->{cluster}->nodes)
	{
		$self->{paused} = 0 if defined $node->value('SELECT pgha_resume()', timeout => 10);
	}
	return;
}

sub stop_on_purpose
{
	my ($self, $node) = @_;
	return unless $node->is_running;
	$node->stop('fast');
	$self->{stopped}{ $node->{name} } = 1;
	my $by_order = $self->{by_order};
	$self->later(sub { $self->start_again($node, $by_order) });
	return;
}

# What a person would do who has stopped it.
sub start_again
{
	my ($self, $node, $by_order) = @_;
	return if $node->is_running;
	if ($by_order && $self->{cluster}->primary) { $self->give_order($node, 'auto'); }
	elsif (!$node->job_pids && -e "$node->{data}/PG_VERSION") { $node->start(wait => 0); }
	return;
}

sub give_order
{
	my ($self, $node, $method) = @_;
	my $primary = $self->{cluster}->primary // return;
	return if $primary == $node;
	push @{ $self->{orders} }, $primary->background("SELECT pgha_recover_node('$node->{name}', '$method')");
	return;
}

sub cancel
{
	my ($self) = @_;
	foreach my $node ($self->{cluster}->primaries)
	{
		$node->value(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pgha_recover%' AND pid <> pg_backend_pid()});
	}
	return;
}

# ---- a round ----

# Returns what was wrong: nothing if the list is empty.
sub round
{
	my ($self, $round) = @_;
	my $cluster = $self->{cluster};
	my $plan = $self->plan($round);
	my @wrong = eval { $self->play($plan) };
	push @wrong, $@ if $@;
	chmod 0755, $cluster->{base};
	$_->end foreach splice @{ $self->{orders} };
	return @wrong;
}

sub play
{
	my ($self, $plan) = @_;
	my $cluster = $self->{cluster};
	my $fallen = $cluster->primary // return 'no primary to begin with';
	my ($next) = $cluster->others($fallen);
	$self->{by_hand} = 0;
	$self->{mark} = { map { $_->{name} => $_->agent_mark } $fallen, $next };
	my $writer = $cluster->start_writer(interval => 10);
	$writer->wait_acknowledged(20);

	$_->set('pgha.auto_rejoin' => $plan->{rejoin}) foreach $fallen, $next;
	if (defined $plan->{point}) { arm($fallen, $plan->{point}); }
	else { $fallen->stop_agent; $fallen->start_agent; }
	no_place_beside($cluster, 1) if $plan->{in_place};
	if ($plan->{diverged})
	{
		kill 'STOP', $fallen->value("SELECT pid FROM pg_stat_replication WHERE application_name = '$next->{name}'") || return 'no WAL sender';
		$writer->wait_acknowledged(scalar($writer->acknowledged) + 20);
	}

	if ($plan->{death} eq 'kill9') { $fallen->kill9; }
	else { $fallen->stop($plan->{death}); }
	$self->{stopped} = $plan->{death} eq 'fast' ? { $fallen->{name} => 1 } : {};
	$cluster->wait_single_primary(among => [$next], timeout => $self->{limit});
	$self->give_order($fallen, $plan->{order}) if defined $plan->{order};

	# The point is the moment to begin with; else the job's first step is.
	my $started = $fallen->job_field('started');
	$self->meanwhile(sub {
		return defined $plan->{point} ? scalar stopped_jobs($fallen) : $fallen->job_pids && $fallen->job_field('started') ne $started }, 20);
	foreach my $step (@{ $plan->{faults} })
	{
		$self->meanwhile(sub { 0 }, $step->{after}) if !defined $plan->{point} || $step != $plan->{faults}[0];
		@$self{qw(delay by_order)} = @$step{qw(delay by_order)};
		$step->{fault}[2]->($self, $fallen, $next);
		let_go($fallen) if $step->{let_go};
	}
	$self->meanwhile(sub { !@{ $self->{later} } }, 10);
	$self->catch_up(1);

	my $leader = $self->settle or return "not all stream after $self->{limit} s";
	$writer->wait_acknowledged(scalar($writer->acknowledged) + 20);
	$writer->stop;
	$cluster->wait_following($leader, $cluster->others($leader));
	chmod 0755, $cluster->{base};
	# A node streams or leads before an agent that was killed is there again to decide on what is left.
	PghaCluster::poll_until('', sub { !grep { $_->job_pids || untold($_) } $cluster->nodes }, $self->{limit});
	return ($self->check_rows($leader), $self->check_copies, $self->check_left, $self->check_logs);
}

# The faults are over: what was stopped on purpose is started, what says that it
# needs a person gets one, and all else must come by itself.
sub settle
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	my $begun = PghaCluster::now();
	my $asked = $begun;
	return PghaCluster::poll_until('', sub {
		foreach my $node ($cluster->nodes)
		{
			let_go($node);
			$node->start_agent(wait => 0) unless $node->agent_running;
		}
		my $primary = $cluster->primary;
		# Also a pause that nobody but a server that was down had heard of.
		$self->resume if $self->{paused} || $primary && ($primary->value('SELECT bool_or(paused) FROM pgha_cluster()') // '') eq 't';
		my @others = $primary ? $cluster->others($primary) : ();
		# Whoever has ordered something has an answer, too.
		return $primary if $primary && !$self->{paused} && !(grep { $_->is_running } @{ $self->{orders} }) && $primary->state eq 'primary' && !grep { !follows($primary, $_) } @others;
		return 0 if PghaCluster::now() - $asked < 10;
		$asked = PghaCluster::now();
		foreach my $node ($cluster->nodes)
		{
			next if $primary && $node == $primary || $node->job_pids;
			if (!$node->is_running && $self->{stopped}{ $node->{name} }) { $self->start_again($node, $primary); }
			# Nobody is up to be told of the end of the pause.
			elsif (!$primary && !$node->is_running && $self->waits_for_pause($node))
			{
				$self->{by_hand}++;
				$node->start(wait => 0) if !$node->job_pids;
			}
			elsif ($primary && (my $method = $self->needs_person($primary, $node)))
			{
				$self->{by_hand}++;
				$self->give_order($node, $method);
			}
		}
		return 0;
	}, $self->{limit});
}

sub follows
{
	my ($primary, $node) = @_;
	return !$node->job_pids && $node->state eq 'standby'
	  && ($node->value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND sender_port = $primary->{port}") // 0) == 1;
}

# Has its agent said in this round that a pause keeps it down?
sub waits_for_pause
{
	my ($self, $node) = @_;
	return substr($node->agent_text, $self->{mark}{ $node->{name} }) =~ /not started, as failover is paused: order it/;
}

# Is it one that does not come back by itself, and says so?  The method to order.
sub needs_person
{
	my ($self, $primary, $node) = @_;
	my $progress = $primary->row("SELECT * FROM pgha_recovery_progress() WHERE node = '$node->{name}'") // return 0;
	my $told = join ' ', map { $_ // '' } @$progress{qw(message detail hint)};
	return 'auto' if !$node->is_running && $self->waits_for_pause($node);
	return 'clone' if $told =~ /this node has data of term|reaches further/;
	return 'clone' if ($node->{settings}{'pgha.auto_rejoin'} // '') eq 'rewind' && (($progress->{server} // '') eq 'marked' || $told =~ /clone/);
	return undef;
}

# ---- what must hold at its end ----

# The rows that a WAL directory has commits of.
sub rows_in
{
	my ($node, $directory) = @_;
	my (%first, %row);
	foreach my $name (sort map { basename($_) } glob("$directory/*"))
	{
		next unless $name =~ /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;
		$first{$1} //= sprintf '%X/%X', hex $2, hex($3) << 20;
	}
	foreach my $timeline (sort keys %first)
	{
		my %open;
		my (undef, $dump) = PghaCluster::run_command(
			[ $node->program('pg_waldump'), '-p', $directory, '-t', hex $timeline, '-s', $first{$timeline} ], timeout => 120);
		foreach (split /\n/, $dump)
		{
			my ($transaction) = /, tx: +(\d+),/ or next;
			if (/prefix "written"; payload \(\d+ bytes\): ([0-9A-F ]+)/) { push @{ $open{$transaction} }, pack 'H*', $1 =~ tr/ //dr; }
			elsif (/desc: COMMIT /) { $row{$_} = 1 foreach @{ delete $open{$transaction} // [] }; }
		}
	}
	return \%row;
}

sub check_rows
{
	my ($self, $leader) = @_;
	my $cluster = $self->{cluster};
	my %present = map { $_ => 1 } split /\n/, $leader->sql("SELECT writer || ':' || v FROM written");
	foreach my $writer (@{ $cluster->{writers} })
	{
		$self->{acknowledged}{ $writer->{number} } //= [ map { "$writer->{number}:$_->[1]" } $writer->acknowledged ];
	}
	my @acknowledged = map { @$_ } values %{ $self->{acknowledged} };
	my @missing = grep { !$present{$_} } @acknowledged;
	$self->{count} = { acknowledged => scalar(@acknowledged), missing => scalar(@missing) };
	my @wrong;
	foreach my $node ($cluster->nodes)
	{
		foreach my $summary (glob($node->agent_directory . '/pgha_lost/*/summary.txt'))
		{
			next if $self->{saved}{$summary}++;
			(my $directory = $summary) =~ s{/summary.txt$}{};
			my $rows = rows_in($node, $directory);
			my ($commits) = PghaCluster::slurp($summary) =~ /^commits: +(\d+)$/m;
			my $given_up = grep { $rows->{$_} } @missing;
			push @wrong, "$summary tells of $commits commits, $given_up acknowledged rows are missing that it has" if $commits < $given_up;
			push @wrong, "$summary was not told" unless $node->agent_text =~ /saved in \Q$directory\E/;
			$self->{told}{$_} = $summary foreach keys %$rows;
		}
		foreach my $copy (glob("$node->{data}.old-* $node->{data}.new-*"))
		{
			my $rows = rows_in($node, realpath("$copy/pg_wal") // next);
			$self->{told}{$_} = $copy foreach keys %$rows;
		}
	}
	my @untold = sort grep { !$self->{told}{$_} } @missing;
	push @wrong, sprintf('%d acknowledged rows are missing and not told: %s', scalar(@untold), join ' ', @untold[ 0 .. ($#untold > 9 ? 9 : $#untold) ]) if @untold;
	return @wrong;
}

# The standbys have what the primary has, row by row.
sub check_copies
{
	my ($self) = @_;
	my $sum = q{SELECT count(*), count(DISTINCT (writer, v)), sum(hashtext(w::text)::bigint) FROM written w};
	my @sums = map { $_->sql($sum) } $self->{cluster}->nodes;
	return (grep { $_ ne $sums[0] } @sums) ? "the nodes differ: @sums" : ();
}

# Directories beside the data directory that its agent has not said it keeps.
sub untold
{
	my ($node) = @_;
	my @lines = grep { !/cleaning up/ } split /\n/, $node->agent_text;
	return grep { my $copy = $_; !grep { index($_, $copy) >= 0 } @lines } glob("$node->{data}.old-* $node->{data}.new-*");
}

# Whatever is left beside the data directory was told of, and a person clears it away.
sub check_left
{
	my ($self) = @_;
	my @wrong;
	foreach my $node ($self->{cluster}->nodes)
	{
		push @wrong, "$_ is left, and nobody was told" foreach untold($node);
		foreach my $copy (glob("$node->{data}.old-* $node->{data}.new-*"))
		{
			$self->{kept}++;
			PghaCluster::must_run([ 'rm', '-rf', $copy ]);
		}
		push @wrong, "$_ is left" foreach grep { -e } glob($node->agent_directory . '/*.new ' . $node->agent_directory . '/copies');
	}
	return @wrong;
}

sub check_logs
{
	my ($self) = @_;
	my @wrong;
	foreach my $node ($self->{cluster}->nodes)
	{
		my @lines = grep { /PANIC|TRAP|terminated by signal (4|6|7|8|11)\b|invalid page|could not read block/ }
		  split /\n/, join '', map { PghaCluster::slurp($_) // '' } $node->{log}, glob($node->agent_directory . '/*.log');
		push @wrong, "$node->{name} logged: $_" foreach grep { !$self->{told}{$_}++ } @lines;
	}
	return @wrong;
}

1;
