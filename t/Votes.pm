# Votes.pm
#		What tests of voting members ask of them, and of the writers beside them.
package Votes;

use strict;
use warnings;

use Exporter qw(import);
use PghaCluster;

our @EXPORT = qw(report wait_votes wait_stored names beside lost hold_replay let_replay holds_replay);

# What a member says of itself.
sub report
{
	my ($node) = @_;
	my %field = map { /^([^=]+)=(.*)$/ ? ($1 => $2) : () } split /\t/, $node->value('SHOW pgha.report') // '';
	return \%field;
}

# Names of a list in the order of the alphabet.
sub names { return join ',', sort split /,/, $_[0] // ''; }

# All of these support the primary, no vote being open, and have stored its newest rule; returns what it says.
sub wait_votes
{
	my ($primary, @nodes) = @_;
	return $primary->{cluster}->wait_for(
		"a rule of $primary->{name} that is stored by " . join(', ', map { $_->{name} } @nodes),
		sub {
			my $leader = report($primary);
			return undef unless ($leader->{leased} // '') eq 'yes' && $leader->{rule_term} == $leader->{term};
			foreach my $report (map { report($_) } @nodes)
			{
				return undef
				  unless ($report->{rule_term} // 0) == $leader->{rule_term}
				  && ($report->{rule_epoch} // 0) == ($leader->{rule_epoch} // 0)
				  && ($report->{support} // '') eq $primary->{name}
				  && $report->{support_term} == $leader->{term}
				  && ($report->{vote_open} // 'no') ne 'yes';
			}
			return $leader;
		});
}

# The primary's rule has these voters ('a,b,c'), is committed, and all that they are have stored it.
sub wait_stored
{
	my ($primary, $voters) = @_;
	my $cluster = $primary->{cluster};
	$cluster->wait_for("a rule of $primary->{name} with the voters $voters", sub {
		my $status = $primary->status;
		return $status && ($status->{rule} // '') =~ /, committed;/ && names(report($primary)->{rule_voters}) eq $voters;
	});
	return wait_votes($primary, map { $cluster->node($_) } split /,/, $voters);
}

# Acknowledgements that came after one on a later timeline; the writers run with `timeline`.
sub beside
{
	my (@writers) = @_;
	my ($newest, $count) = (0, 0);
	foreach my $row (sort { $a->[0] <=> $b->[0] } map { $_->acknowledged } @writers)
	{
		$newest = $row->[2] if $row->[2] > $newest;
		$count++ if $row->[2] < $newest;
	}
	return $count;
}

# Acknowledged rows that this node does not have.
sub lost
{
	my ($node, @writers) = @_;
	return scalar map { $_->missing($node) } @writers;
}

# A query that replay of the primary's lock has to wait for, on each of these (max_standby_streaming_delay = -1).
# There is a table "held".
sub hold_replay
{
	my ($primary, @nodes) = @_;
	my $cluster = $primary->{cluster};
	$_->background('BEGIN; SELECT count(*) FROM held; SELECT pg_sleep(600)') foreach @nodes;
	foreach my $node (@nodes)
	{
		$cluster->wait_for("a query on $node->{name}",
			sub { ($node->value(q{SELECT count(*) FROM pg_locks WHERE relation = 'held'::regclass AND granted}) // 0) > 0 });
	}
	$primary->sql('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE; COMMIT; INSERT INTO probe VALUES (0)');
	foreach my $node (@nodes)
	{
		$cluster->wait_for("replay on $node->{name} to wait",
			sub { grep { PghaCluster::command_line($_) =~ /startup recovering \S+ waiting/ } $node->processes });
	}
	return;
}

# Ends it.  (The end of its client would not.)
my $HOLDING = q{FROM pg_stat_activity WHERE query LIKE 'BEGIN; SELECT count(*) FROM held%'};
sub let_replay { my (@nodes) = @_; $_->sql("SELECT pg_terminate_backend(pid) $HOLDING") foreach @nodes; return; }
sub holds_replay { my ($node) = @_; return $node->sql("SELECT count(*) $HOLDING") == 1; }

1;
