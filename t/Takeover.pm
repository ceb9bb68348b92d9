# Takeover.pm
#		What the tests share in which pgha takes a running pair over from another tool:
#		its servers' directories and shells, a writer, and what must be as it was.
package Takeover;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use Manual;
use PghaCluster;
use Test::More;

our @EXPORT = qw(ports_are_free begin_pair start_writer check_taken_over);

my (@ports, $writer, $started, @before);

sub ports_are_free
{
	return !grep { !IO::Socket::INET->new(Listen => 1, ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => $_) } @_;
}

# A home directory with db-1 and db-2 below pgha, and a shell in each, as the pages presuppose it.
sub begin_pair
{
	@ports = @_;
	begin();
	foreach my $i (1, 2)
	{
		my $directory = home() . "/pgha/db-$i";
		my $bin = PghaCluster::bindir();
		type("db-$i", <<"END");
mkdir -p $directory && cd $directory
export NODE=db-$i PGDATA=$directory/data PGHOST=$directory PGPORT=$ports[$i - 1] PATH=$bin:\$PATH
END
	}
	return;
}

# By which a data directory is known; pg_control is written in place, and keeps its inode.
sub identity
{
	my ($name) = @_;
	return type($name, 'stat -c "%i %W" $PGDATA $PGDATA/global/pg_control $PGDATA/PG_VERSION; pg_controldata | grep "system identifier"' . "\n");
}

sub start_writer
{
	my @target = map { ('--conninfo', "host=127.0.0.1 port=$_ user=postgres dbname=postgres target_session_attrs=read-write") } @ports;
	my $log = home() . '/writer';
	type('db-1', "psql -q postgres -c 'CREATE TABLE written (writer int, v bigint, PRIMARY KEY (writer, v))'\n");
	my $pid = PghaCluster::spawn([ PghaCluster::writer_program(), '--log', $log, '--writer', 1, '--interval', 5, '--timeout', 1000, '--pause', 10, @target ],
		log => "$log.err");
	$writer = bless { pid => $pid, log => $log, number => 1 }, 'PghaCluster::Writer';
	@before = map { identity($_) } 'db-1', 'db-2';
	$started = PghaCluster::now();
	return $writer;
}

sub rows { return scalar $writer->acknowledged; }

# No data directory is a new one, no acknowledged row is missing on either, the
# longest wait of the writer is told.
sub check_taken_over
{
	my ($tool) = @_;
	my $rows = rows();
	ok(PghaCluster::poll_until('', sub { rows() > $rows + 20 }, 120), "$tool: clients write on");
	kill 'TERM', $writer->{pid};
	PghaCluster::poll_until('', sub { !kill 0, $writer->{pid} }, 30);
	my @acknowledged = $writer->acknowledged;
	is_deeply([ map { identity($_) } 'db-1', 'db-2' ], \@before, "$tool: both data directories are the same ones as before: nothing was cloned");
	foreach my $name ('db-1', 'db-2')
	{
		my $there;
		my $all = PghaCluster::poll_until('', sub {
			my %there = map { $_ => 1 } split /\n/, type($name, "psql -qAtX postgres -c 'SELECT v FROM written'\n");
			$there = grep { $there{ $_->[1] } } @acknowledged;
			return $there == @acknowledged;
		}, 60);
		ok($all, "$tool: all rows that were acknowledged are on $name") or diag "$there of " . @acknowledged;
	}
	diag sprintf '%s: %d rows before and while it was taken over, longest wait %.1f s, all of it %.0f s', $tool, scalar @acknowledged, $writer->longest_wait($started) / 1000, PghaCluster::now() - $started;
	return;
}

1;
