# Chaos.pm
#		Rounds of random faults on a cluster whose members vote, with writers at work
#		on every side: for t/420_chaos.pl and bench/chaos.
#
# Each node has a network namespace of its own, and a writer in it that talks to
# that server alone, as a client on its side of a partition does; one more writer
# takes whichever leads.  All clocks are one, so that acknowledgements can be put
# in order.  At the end of a round all is whole again, and nobody helps: the
# cluster has to come back by itself, and then
#
# - no acknowledgement came from a server while one of a later leader (a later
#	timeline) was out already, and those of one timeline came from one server;
# - with synchronous replication each acknowledged row is there; without, those
#	that are not are counted;
# - all nodes have the same rows.
#
# What a round does follows from the seed and its number alone; when it meets
# what, of course, does not.
package Chaos;

use strict;
use warnings;

use PghaCluster;
use Time::HiRes ();

# Each: weight, what it does in words, the fault (which leaves in `undo` what makes up for it).
my @FAULTS = (
	[ 4, 'kills the primary', sub { my ($self) = @_; $self->kill9($self->leader) } ],
	[ 2, 'kills a standby', sub { my ($self) = @_; $self->kill9($self->standby) } ],
	[ 3, 'freezes the primary', sub { my ($self) = @_; $self->freeze($self->leader) } ],
	[ 2, 'freezes a standby', sub { my ($self) = @_; $self->freeze($self->standby) } ],
	[ 4, 'cuts the primary off', sub { my ($self) = @_; $self->isolate($self->leader) } ],
	[ 2, 'cuts a standby off', sub { my ($self) = @_; $self->isolate($self->standby) } ],
	[ 3, 'cuts the primary off and kills it there', sub { my ($self) = @_; my $node = $self->leader; $self->isolate($node); $self->kill9($node) } ],
	[ 2, 'cuts one line', sub { my ($self) = @_; $self->cut($self->leader, $self->standby) } ],
	[ 2, 'loses the packets of one direction', sub { my ($self) = @_; $self->cut_one_way } ],
	[ 2, 'stops the primary', sub { my ($self) = @_; $self->stop($self->leader, 'fast') } ],
	[ 1, 'restarts the primary at once', sub { my ($self) = @_; $self->restart($self->leader) } ],
	[ 2, 'hangs the primary\'s monitor', sub { my ($self) = @_; $self->hang_monitor($self->leader) } ],
	[ 1, 'hangs a standby\'s monitor', sub { my ($self) = @_; $self->hang_monitor($self->standby) } ],
	[ 1, 'holds up replay on a standby', sub { my ($self) = @_; $self->hold_replay($self->standby) } ],
	[ 2, 'switches over', sub { my ($self) = @_; $self->switch_over } ],
	[ 1, 'kills all', sub { my ($self) = @_; $self->kill9($_) foreach $self->{cluster}->nodes } ]);

# The cluster of one kind: async, any1 (three data members), witness (two and a witness).
sub cluster
{
	my ($kind, %option) = @_;
	my @names = $kind eq 'witness' ? ('a', 'b') : ('a', 'b', 'c');
	my $cluster = PghaCluster->new(names => \@names, netns => 1, agents => 1,
		$kind eq 'witness' ? (witnesses => ['w']) : (),
		settings => { 'pgha.failure_timeout' => '1s', 'pgha.startup_grace' => '5s', 'pgha.auto_rejoin' => 'clone',
			'pgha.clone_in_place' => 'on', 'pgha.keep_old_data' => '0', max_standby_streaming_delay => '-1' }, %option);
	$cluster->build(sql => 'CREATE TABLE held (v int)');
	if ($kind eq 'any1')
	{
		my $primary = $cluster->wait_single_primary;
		foreach my $node ($cluster->nodes)
		{
			my $others = join ', ', map { $_->{name} } $cluster->others($node);
			$node->set(synchronous_standby_names => "ANY 1 ($others)");
		}
		$primary->wait_writable;
	}
	return $cluster;
}

# Options: cluster, kind, seed, limit (seconds in which the cluster must come back).
sub new
{
	my ($class, %option) = @_;
	return bless { limit => 120, %option, undo => [], count => { acknowledged => 0, lost => 0, beside => 0 } }, $class;
}

# ---- chance ----

sub seed { my ($self, $round) = @_; $self->{random} = ($self->{seed} * 7919 + $round) % 2**31; $self->chance foreach 1 .. 5; return; }

# From 0 up to 1.
sub chance
{
	my ($self) = @_;
	$self->{random} = ($self->{random} * 1103515245 + 12345) % 2**31;
	return $self->{random} / 2**31;
}

sub pick { my ($self, @of) = @_; return $of[ int($self->chance * @of) ]; }

# One to three faults, each with its moment, how long it lasts, and a choice of its own.
sub plan
{
	my ($self, $round) = @_;
	$self->seed($round);
	my @all = map { my $fault = $_; ($fault) x $fault->[0] } @FAULTS;
	my @step = map { { fault => $self->pick(@all), at => 3 * $self->chance, lasts => 0.2 + 4 * $self->chance**2, choice => $self->chance } }
	  1 .. 1 + int(3 * $self->chance);
	return [ sort { $a->{at} <=> $b->{at} } @step ];
}

sub describe
{
	my ($plan) = @_;
	return join '; ', map { sprintf '%.1f s: %s, %.1f s long', $_->{at}, $_->{fault}[1], $_->{lasts} } @$plan;
}

# ---- whom it meets ----

# Who leads, or led when that was last known.
sub leader
{
	my ($self) = @_;
	my $primary = $self->{cluster}->primary;
	$self->{leader} = $primary if $primary;
	return $self->{leader};
}

sub standby
{
	my ($self) = @_;
	my @others = $self->{cluster}->others($self->leader);
	return $others[ int($self->{choice} * @others) ];
}

# ---- faults ----

sub later { my ($self, $what) = @_; push @{ $self->{undo} }, [ PghaCluster::now() + $self->{lasts}, $what ]; return; }

sub kill9 { my ($self, $node) = @_; $node->thaw if $node->{frozen}; $node->kill9 if $node->is_running; $self->later(sub { $self->up($node) }); return; }

sub freeze
{
	my ($self, $node) = @_;
	return unless $node->is_up;
	$node->freeze;
	$self->later(sub { $node->thaw if $node->{frozen} });
	return;
}

sub everybody { my ($self) = @_; return ($self->{cluster}->nodes, @{ $self->{cluster}{witness} // [] }); }

sub isolate
{
	my ($self, $node) = @_;
	$self->{cluster}->partition([$node], [ grep { $_ != $node } $self->everybody ]);
	$self->later(sub { $self->{cluster}->heal });
	return;
}

sub cut
{
	my ($self, $one, $other) = @_;
	$self->{cluster}->partition([$one], [$other]);
	$self->later(sub { $self->{cluster}->heal });
	return;
}

sub cut_one_way
{
	my ($self) = @_;
	my ($from, $to) = $self->{choice} < 0.5 ? ($self->leader, $self->standby) : ($self->standby, $self->leader);
	$self->{cluster}->block($from, $to);
	$self->later(sub { $self->{cluster}->heal });
	return;
}

sub stop
{
	my ($self, $node, $mode) = @_;
	return unless $node->is_up;
	kill $mode eq 'fast' ? 'INT' : 'QUIT', $node->{pid};

	# What is stopped on purpose nobody else starts.
	$self->later(sub { $self->start_when_down($node) });
	return;
}

# The end may wait for what is undone later: a walsender that is cut off, a monitor that hangs.
sub start_when_down
{
	my ($self, $node) = @_;
	if ($node->is_running)
	{
		push @{ $self->{undo} }, [ PghaCluster::now() + 0.1, sub { $self->start_when_down($node) } ];
		return;
	}
	$self->up($node);
	return;
}

sub restart
{
	my ($self, $node) = @_;
	return unless $node->is_up;
	kill 'INT', $node->{pid};
	$self->start_when_down($node);
	return;
}

sub hang_monitor
{
	my ($self, $node) = @_;
	my $pid = $node->is_up ? $node->monitor_pid : undef;
	return unless defined $pid;
	kill 'STOP', $pid;
	$self->later(sub { kill 'CONT', $pid });
	return;
}

# A query on the standby that conflicts with what the primary does next.
sub hold_replay
{
	my ($self, $node) = @_;
	return unless $node->is_up;
	my $session = $node->background('BEGIN; SELECT count(*) FROM held; SELECT pg_sleep(60)');
	my $held = q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%FROM held%' AND pid <> pg_backend_pid()};
	$self->leader->value('BEGIN; SET LOCAL lock_timeout = 500; LOCK TABLE held IN ACCESS EXCLUSIVE MODE; COMMIT');
	$self->later(sub { $node->value($held) if $node->is_up; $session->end });
	return;
}

sub switch_over
{
	my ($self) = @_;
	my $session = $self->leader->background('SELECT pgha_switchover()');
	$self->{lasts} += 3;
	$self->later(sub { $session->end });
	return;
}

# ---- what makes up for them ----

# What an administrator's init system would do; the agent may have come first.
sub up
{
	my ($self, $node) = @_;
	return if $node->is_running || $node->job_pids || !-e "$node->{data}/PG_VERSION";
	eval { $node->start(wait => 0); 1 } or print STDERR "# $@";
	return;
}

sub catch_up
{
	my ($self, $all) = @_;
	my $now = PghaCluster::now();
	my @due = grep { $all || $_->[0] <= $now } @{ $self->{undo} };
	@{ $self->{undo} } = grep { !$all && $_->[0] > $now } @{ $self->{undo} };
	$_->[1]->() foreach @due;
	return;
}

# ---- a round ----

# Returns what was wrong: nothing if the list is empty.
sub round
{
	my ($self, $round) = @_;
	my @wrong = eval { $self->play($self->plan($round)) };
	push @wrong, $@ if $@;
	eval { $self->catch_up(1) };
	$_->end foreach splice @{ $self->{writers} };
	return @wrong;
}

sub play
{
	my ($self, $plan) = @_;
	my $cluster = $self->{cluster};
	$self->{leader} = $cluster->wait_single_primary;
	my @writers = ((map { $cluster->start_writer(netns => $_->{netns}, nodes => [$_], interval => 10, timeline => 1) } $cluster->nodes),
		$cluster->start_writer(netns => $cluster->{hub}, interval => 10, timeline => 1));
	$self->{writers} = \@writers;
	$writers[-1]->wait_acknowledged(20);

	my $begun = PghaCluster::now();
	foreach my $step (@$plan)
	{
		PghaCluster::poll_until('', sub { $self->catch_up; return PghaCluster::now() >= $begun + $step->{at} }, 20);
		@$self{ 'lasts', 'choice' } = @$step{ 'lasts', 'choice' };
		$step->{fault}[2]->($self);
	}
	PghaCluster::poll_until('', sub { $self->catch_up; return !@{ $self->{undo} } }, 90);
	$self->catch_up(1);
	$cluster->heal;

	my @wrong;
	my $whole = PghaCluster::now();
	PghaCluster::poll_until('', sub { $self->came_back }, $self->{limit})
	  or do { $cluster->dump('did not come back'); push @wrong, "did not come back within $self->{limit} s: " . $self->situation };
	$self->{count}{came_back} = PghaCluster::now() - $whole;
	$_->stop foreach @writers;
	push @wrong, $self->beside(@writers);
	push @wrong, $self->lost(@writers), $self->differs unless @wrong;
	return @wrong;
}

# One leads and takes writes, all others stream from it.
sub came_back
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	$self->up($_) foreach grep { !$_->is_running && !$_->agent_running } $cluster->nodes;
	my $primary = $cluster->primary // return 0;
	my $others = $cluster->nodes - 1;
	return ($primary->value(q{SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name !~ 'basebackup'}) // '') eq $others
	  && $primary->state eq 'primary' && $primary->writable
	  && !(grep { $_->state ne 'standby' } $cluster->others($primary)) && !grep { $_->job_pids } $cluster->nodes;
}

sub situation
{
	my ($self) = @_;
	return join ', ', map { my $status = $_->is_running ? $_->status : undef; "$_->{name}: " . (!$_->is_running ? 'down' : $status ? "$status->{state} ($status->{reason})" : 'no answer') }
	  $self->{cluster}->nodes;
}

# Acknowledgements that came after one on a later timeline.
sub beside
{
	my ($self, @writers) = @_;
	my @all = sort { $a->[0] <=> $b->[0] } map { $_->acknowledged_by } @writers;
	my ($newest, $since, $count, $worst) = (0, 0, 0, 0);
	my %server;
	foreach my $row (@all)
	{
		my ($at, undef, $timeline, $server) = @$row;
		$server{$timeline}{$server}++;
		($newest, $since) = ($timeline, $at) if $timeline > $newest;
		next unless $timeline < $newest;
		$count++;
		$worst = $at - $since if $at - $since > $worst;
	}
	$self->{count}{acknowledged} += @all;
	$self->{count}{beside} += $count;
	return (
		(map { "timeline $_ was acknowledged on by " . join(' and ', sort keys %{ $server{$_} }) } grep { keys %{ $server{$_} } > 1 } sort keys %server),
		$count ? sprintf('%d rows were acknowledged beside a later leader, up to %.0f ms after its first one', $count, 1000 * $worst) : ());
}

sub lost
{
	my ($self, @writers) = @_;
	my $primary = $self->{cluster}->wait_single_primary;
	my $lost = 0;
	$lost += () = $_->missing($primary) foreach @writers;
	$self->{count}{lost} += $lost;
	return $lost && $self->{kind} eq 'any1' ? "$lost acknowledged rows are lost" : ();
}

# Rows that one node has and another one has not, though it says that it follows.
sub differs
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	my $primary = $cluster->wait_single_primary;
	$cluster->wait_following($primary, $cluster->others($primary));
	my %has = map { $_->{name} => $_->sql('SELECT count(*), sum(hashint8(v) # writer) FROM written') } $cluster->nodes;
	return map { "$_ has other rows ($has{$_}) than $primary->{name} ($has{ $primary->{name} })" } grep { $has{$_} ne $has{ $primary->{name} } } sort keys %has;
}

1;
