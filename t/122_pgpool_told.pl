# pgpool-II is told of changes of roles by the agent, over PCP: a returned
# standby is attached without the replication check, a quick change of roles is
# noticed, and pgpool serves again after all its nodes were down.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use PghaCluster;
use Test::More;

plan skip_all => 'pgpool is not installed (make test-deps)' unless PghaCluster::Pgpool->program('pgpool');

my $cluster = PghaCluster->new(nodes => 2)->build(sql => 'CREATE ROLE pgpool LOGIN; GRANT pg_monitor TO pgpool');
my ($a, $b) = $cluster->nodes;

# The first pgpool of the list is frozen: it takes connections, and says nothing.
my $frozen = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "could not listen: $!";
my $pgpool = PghaCluster::Pgpool->start($cluster);
$cluster->wait_for('pgpool to know all nodes', sub { 2 == grep { $_->[0] eq 'up' } values %{ $pgpool->view } });
$_->set('pgha.pgpool' => '127.0.0.1:' . $frozen->sockport . ", 127.0.0.1:$pgpool->{pcp_port}", 'pgha.pgpool_passfile' => "$pgpool->{directory}/pcppass") foreach $a, $b;
$_->start_agent foreach $a, $b;

sub knows
{
	my ($what, $primary, $standby) = @_;
	$cluster->wait_for(
		"pgpool to know $what",
		sub {
			my $view = $pgpool->view;
			return ($view->{ $primary->{port} } // [''])->[0] eq 'up' && $view->{ $primary->{port} }[1] eq 'primary'
			  && (!$standby || ($view->{ $standby->{port} }[0] eq 'up' && $view->{ $standby->{port} }[1] eq 'standby'));
		},
		240);
	pass("pgpool knows $what");
	return;
}

# A killed primary comes back by itself, into pgpool, too.
$a->kill9;
$cluster->wait_single_primary(among => [$b]);
knows('the new primary and the returned standby', $b, $a);
ok(PghaCluster::poll_until('', sub { defined $pgpool->value('CREATE TABLE IF NOT EXISTS through_pgpool ()') }), 'writes through pgpool go on');

# All down in pgpool's books: the standby is detached, then the primary falls.  Its
# agent would attach the standby again.
my $agent = $b->{agent_pid};
kill 'STOP', $agent;
$pgpool->pcp('pcp_detach_node', $a);
$cluster->wait_for('pgpool to have detached it', sub { ($pgpool->view->{ $a->{port} }[0] // '') eq 'down' });
$b->kill9;
kill 'CONT', $agent;
$cluster->wait_single_primary(among => [$a]);
knows('the primary that it had detached', $a, $b);
ok(PghaCluster::poll_until('', sub { ($pgpool->value('SELECT count(*) FROM through_pgpool') // '') eq '0' }), 'and serves');

# pgpool believes the wrong one to be the primary.
$pgpool->pcp('pcp_promote_node', $b);
knows('who the primary is, whatever it was told', $a, $b);
like($a->agent_text . $b->agent_text, qr/told to (attach|promote) node/, 'the agent says what it told');
unlike($a->agent_text . $b->agent_text, qr/:pgha:pgha|md5/, 'but no password');

$a->wait_agent_log(qr/pgpool 127.0.0.1:@{[ $frozen->sockport ]}: no answer within \d+ seconds/, 0, 90);
pass('the agent tells of the pgpool that does not answer, which does not keep the other one');
undef $frozen;

# A password file that others can read is not used.
chmod 0644, "$pgpool->{directory}/pcppass";
$a->wait_agent_log(qr/can be read by others/);
pass('a password file that others can read is refused');
done_testing();
