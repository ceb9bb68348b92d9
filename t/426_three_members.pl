# Three members with data, and the rows of README's table of failures that 402 to 413 do
# not have: a switchover under full load, a data directory that is lost, all frozen at
# once; two whose WAL has diverged; and a voter that cannot write its vote down.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PghaCluster;
use Recoveries;
use Test::More;
use Votes;

my $cluster = PghaCluster->new(nodes => 3, agents => 1,
	settings => { 'pgha.failure_timeout' => '2s', 'pgha.startup_grace' => '10s', 'pgha.auto_rejoin' => 'clone', wal_keep_size => '128MB' })->build;
my $primary;

# One leads, all others stream from it, and all vote for it; returns those.
sub settle
{
	my (@among) = @_;
	$primary = $cluster->wait_single_primary(@among ? (among => [@among]) : ());
	my @others = $cluster->others($primary);
	$_->wait_streaming(90) foreach @others;
	$cluster->wait_following($primary, @others);
	wait_votes($primary, $cluster->nodes);
	return @others;
}

my ($one, $two) = settle();

# ---- a switchover under full load ----

my @writers = map { $cluster->start_writer(interval => 0, timeline => 1) } 1 .. 4;
$_->wait_acknowledged(100) foreach @writers;
my ($former, $term) = ($primary, $primary->status->{term});
$former->wait_agent;
my $mark = $former->agent_mark;
$former->psql("SELECT pgha_switchover('$two->{name}')", timeout => 60);
$cluster->wait_for("$two->{name} to lead", sub { $two->state eq 'primary' });
$_->wait_acknowledged(100, PghaCluster::now()) foreach @writers;
$_->stop foreach @writers;
settle($two);
is($primary->status->{term}, $term + 1, 'a switchover under full load: the next term');
is(lost($primary, @writers), 0, '... and nothing is lost of ' . (map { $_->acknowledged } @writers) . ' rows');
is(beside(@writers), 0, '... nor acknowledged beside the new one');
unlike(substr($former->agent_text, $mark), qr/recovery \(/, '... and nothing was rewound');

# ---- all are frozen, as when the host is suspended ----

my $writer = $cluster->start_writer(timeline => 1);
$writer->wait_acknowledged(20);
$_->freeze foreach $cluster->nodes;
$cluster->stays_false(sub { 0 }, 3);		# for longer than a lease
$_->thaw foreach $cluster->nodes;
my $moment = PghaCluster::now();
$writer->wait_acknowledged(20, $moment);
($one, $two) = settle();
is(beside($writer), 0, 'all are frozen for longer than a lease, and thawed: one leads');
is(lost($primary, $writer), 0, '... and nothing is lost');

# ---- a node loses its data ----

like(order($primary, $one, 'clone', 90), qr/^t$/m, 'a standby is built anew by order (and its settings are saved)');
$one->wait_streaming(90);
$one->stop;
PghaCluster::must_run([ 'rm', '-rf', $one->{data} ]);
like(order($primary, $one, 'clone', 90), qr/^t$/m, 'it loses its data: it is built anew by order');
settle($primary);
$writer->wait_acknowledged(20, PghaCluster::now());
pass('... and votes again, and writes have gone on');

# ---- one that cannot write its vote down does not vote ----

# The other one would have the majority with it.
$one->set('pgha.priority' => 0);
$cluster->wait_for('the priority to be told', sub { (report($one)->{priority} // '') eq '0' });
$term = $primary->status->{term};
$former = $primary;
$former->stop_agent;
mkdir "$one->{data}/pgha.state.new";
$former->kill9;
$cluster->wait_for('the vote not to be written',
	sub { grep { (PghaCluster::slurp($_) // '') =~ /could not write file "pgha.state.new"/ } $one->{log}, "$one->{data}.pgha/postgres.log" });
ok($cluster->stays_false(sub { scalar $cluster->primaries }, 4), 'a voter cannot write its vote down: nobody is elected by it');
rmdir "$one->{data}/pgha.state.new";
$moment = PghaCluster::now();
$writer->wait_acknowledged(20, $moment);
is($cluster->primary, $two, '... until it can');
$one->set('pgha.priority' => undef);
$former->start_agent(wait => 0);
settle($two);
$writer->stop;

# ---- two have diverged at one time ----

# The first one alone has a row when it is killed, then the second one.
$_->stop_agent foreach $cluster->nodes;
my ($first, $second) = ($primary, undef);
my @standbys = $cluster->others($first);
diverge($first, $standbys[$_], -$_) foreach 0, 1;		# the later row reaches nobody
$first->kill9;
$second = $cluster->wait_single_primary(among => [ $cluster->others($first) ]);
my ($third) = grep { $_ != $first } $cluster->others($second);
$cluster->wait_following($second, $third);
wait_votes($second, $second, $third);
diverge($second, $third, -2);
$second->kill9;
$first->start;
$primary = $cluster->wait_single_primary(among => [$third]);
$second->start;
$_->wait_state('diverged') foreach $first, $second;
wait_votes($third, $cluster->nodes);
$term = $third->status->{term};
$writer = $cluster->start_writer;
$writer->wait_acknowledged(20);

# Both rewound at once, the primary would be without a majority for as long as that takes.
$_->start_agent(wait => 0) foreach $first, $second, $third;
settle($third);
is($third->status->{term}, $term, 'two have diverged at one time: they are rewound one after the other, and the primary leads on');
$writer->wait_acknowledged(20, PghaCluster::now());
$writer->stop;
is(scalar(grep { $_->[1] eq 'C' } $writer->lines), 1, '... and clients have noticed nothing');
is($_->value('SELECT count(*) FROM probe WHERE v IN (-1, -2)'), 0, "... $_->{name} has given up what it alone had") foreach $first, $second;

# ---- only who confirms commits may be elected ----

my ($listed, $unlisted) = $cluster->others($primary);
$primary->set(synchronous_standby_names => "ANY 1 ($listed->{name})");
$cluster->wait_for('a rule that knows of it', sub { ($primary->status->{rule} // '') =~ /, committed; .*may be elected: .*confirmed by 1 of $listed->{name}$/ });
wait_votes($primary, $cluster->nodes);
$unlisted->set('pgha.priority' => 200);
my $value = $primary->sql('INSERT INTO probe VALUES ((random() * 1e15)::bigint) RETURNING v');
$cluster->wait_following($primary);
$former = $primary;
$former->kill9;
$primary = $cluster->wait_single_primary(among => [$listed]);
is($primary->value("SELECT count(*) FROM probe WHERE v = $value"), 1, 'who confirms commits is elected, though another one has the higher priority');
unlike(report($unlisted)->{withdrawn} // '', qr/^[1-9]/, '... which has not even stood') or diag report($unlisted)->{withdrawn};

done_testing();
