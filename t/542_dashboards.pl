# The examples for Prometheus and Grafana: each metric, label and value that the alert
# rules and the dashboard name is one that agents have; each alert fires where it should
# (t/prometheus), says what to do, and is in the manual; and a Prometheus that is
# configured by the example takes all of it, with the agents of a cluster that fails over.
use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use HTTP::Tiny;
use JSON::PP ();
use PghaCluster;
use PghaHttp;
use Recoveries;
use Test::More;

plan skip_all => 'promtool and prometheus are not installed (make test-deps)' if grep { !-x "/usr/bin/$_" } qw(promtool prometheus);

my $root = $PghaCluster::ROOT;
my $examples = "$root/examples";
my $alerts = PghaCluster::slurp("$examples/prometheus/pgha-alerts.yml");
my $config = PghaCluster::slurp("$examples/prometheus/prometheus.yml");
my $page = PghaCluster::slurp("$root/doc/metrics.md");
my $text = PghaCluster::slurp("$examples/grafana/pgha.json");
my $dashboard = JSON::PP::decode_json($text);

my $cluster = PghaCluster->new(nodes => 2, settings => { 'pgha.failure_timeout' => '2s' });
my ($a, $b) = $cluster->nodes;

sub promtool
{
	my ($name, @arguments) = @_;
	my ($status, $out, $err) = PghaCluster::Host::run_command([ '/usr/bin/promtool', @arguments ], timeout => 120);
	return is($status, 0, $name) || diag "$out$err";
}

# ---- the dashboard by itself ----

my @panels = grep { $_->{type} ne 'row' } @{ $dashboard->{panels} };
my @annotations = grep { $_->{expr} } @{ $dashboard->{annotations}{list} };
my @variables = @{ $dashboard->{templating}{list} };
cmp_ok(scalar @panels, '>=', 20, 'panels: ' . @panels);
is("$dashboard->{timezone} $dashboard->{schemaVersion} " . ($dashboard->{id} // 'none'), 'browser 38 none', 'in the time zone of the browser; the identity is Grafana\'s to give');
unlike($text, qr{https?://|password|secret|token|user:|apiKey}i, 'no address of others, and no secret');
is_deeply([ map { $_->{name} } @variables ], [qw(DS_PROMETHEUS cluster node)], 'variables');
my %variable = map { $_->{name} => 1 } @variables;
is_deeply([ grep { !$variable{$_} && !/^__/ } $text =~ /\$\{?(\w+)/g ], [], '... and no others are used');
my @sources = ((map { $_->{datasource} } @panels, @annotations), (map { $_->{datasource} } grep { $_->{type} eq 'query' } @variables),
	map { map { $_->{datasource} } @{ $_->{targets} } } @panels);
is_deeply([ grep { ($_->{uid} // '') ne '${DS_PROMETHEUS}' || $_->{type} ne 'prometheus' } @sources ], [], 'all asks the data source that was chosen');
is_deeply([ map { $_->{title} } grep { !@{ $_->{targets} } || !$_->{description} } @panels ], [], 'each panel asks something, and says what it shows');

my (%id, %cell, @overlap);
foreach my $panel (@{ $dashboard->{panels} })
{
	my $place = $panel->{gridPos};
	push @overlap, "$panel->{title}: number $panel->{id} again" if $id{ $panel->{id} }++;
	push @overlap, "$panel->{title}: too wide" if $place->{x} + $place->{w} > 24;
	foreach my $x ($place->{x} .. $place->{x} + $place->{w} - 1)
	{
		push @overlap, map { "$panel->{title}: on another" } grep { $cell{"$x $_"}++ } $place->{y} .. $place->{y} + $place->{h} - 1;
	}
}
is_deeply(\@overlap, [], 'no panel is on another');

# Grafana's own names have a shade for each theme; so has the colour of text.
my %named = map { $_ => 1 } qw(green red orange yellow blue purple text transparent);
is_deeply([ grep { !$named{$_} } $text =~ /"(?:color|iconColor)": "([^"]*)"/g ], [], 'colours that can be seen on dark and on light');

# ---- what is asked ----

my @asked = map { $_->{expr} } (map { @{ $_->{targets} } } @panels), @annotations;
my @legend = map { $_->{legendFormat} } map { @{ $_->{targets} } } @panels;
cmp_ok(scalar @asked, '>=', 35, 'queries of the dashboard: ' . @asked);
is_deeply([ grep { !/cluster="\$cluster"/ } @asked ], [], '... each of one cluster');
# A wrapper, with what the variables stand for.
@asked = map { s/\$cluster/main/gr =~ s/\$node/.*/gr } @asked;
my $number = 0;
PghaCluster::spew("$cluster->{base}/dashboard.yml",
	JSON::PP::encode_json({ groups => [ { name => 'dashboard', rules => [ map { { record => 'asked:' . $number++, expr => $_ } } @asked ] } ] }));
promtool('promtool can parse all', 'check', 'rules', "$cluster->{base}/dashboard.yml");

# ---- the rules by themselves ----

promtool('promtool finds nothing wrong with the rules', 'check', 'rules', "$examples/prometheus/pgha-alerts.yml");
promtool('each alert fires where it should, and not elsewhere', 'test', 'rules', glob "$root/t/prometheus/*.test.yml");
my %rule = map { /\A(\w+)\n(.*)\z/s ? ($1 => $2) : () } split /^ *- alert: /m, $alerts;
cmp_ok(scalar keys %rule, '>=', 25, 'alerts: ' . keys %rule);
my $tests = join '', map { PghaCluster::slurp($_) } glob "$root/t/prometheus/*.test.yml";
is_deeply([ grep { $tests !~ /alertname="$_"/ } sort keys %rule ], [], '... each is tested');
is_deeply([ grep { $page !~ /`$_`/ } sort keys %rule ], [], '... and in the manual');
is_deeply([ grep { !$rule{$_} } $page =~ /`(Pgha[A-Z]\w+)`/g ], [], '... which has no others');
foreach my $part (qw(summary description action))
{
	is_deeply([ grep { $rule{$_} !~ /^ +$part: \S/m } sort keys %rule ], [], "... and has a $part");
}
is_deeply([ grep { $rule{$_} !~ /^ +severity: (?:critical|warning|info)$/m } sort keys %rule ], [], '... and a severity');
foreach my $severity (qw(critical warning info))
{
	my ($listed) = join ' ', $page =~ /^\| `$severity`.*? \| (.*) \|$/mg;
	is_deeply([ sort $listed =~ /`(Pgha\w+)`/g ], [ sort grep { $rule{$_} =~ /severity: $severity$/m } keys %rule ], "... $severity, as the manual says");
}

# ---- a real cluster ----

foreach my $node ($a, $b)
{
	$node->{http} = $cluster->free_port;
	$node->{settings}{'pgha.http'} = "127.0.0.1:$node->{http}";
}
$cluster->build;
$_->start_agent foreach $a, $b;
codes_become($a, { '/primary' => 200 }, 'a leads');
codes_become($b, { '/replica' => 200 }, 'b follows');

# Metrics without labels and matchers: what is left are names, and words of PromQL.
sub names { return map { /\b(pgha_\w+)/g } map { s/"[^"]*"//gr } @_; }
sub unique { my %seen; return sort grep { !$seen{$_}++ } @_; }

my $rules = join "\n", map { /^ +expr: (.*?)^ +(?:for|labels):/ms } values %rule;
my @used = unique(names(@asked, $rules, map { $_->{definition} // () } @variables));
my $served = join '', map { request($_->{http}, '/metrics')->{body} } $a, $b;
my %served = map { $_ => 1 } $served =~ /^(pgha_\w+)\{/mg;
my %documented = map { $_ => 1 } map { /`(pgha_\w+)`/g } $page =~ /^\| (`pgha_.*?) \|/mg;
cmp_ok(scalar @used, '>=', 30, 'metrics used: ' . @used);
is_deeply([ grep { !$documented{$_} } @used ], [], '... each is documented');
# Without votes, an address, a recovery.
my %elsewhere = map { $_ => 1 } qw(pgha_lease_remaining_seconds pgha_address_held pgha_recovery_done_ratio);
is_deeply([ grep { !$served{$_} && !$elsewhere{$_} } @used ], [], '... and an agent has it');
is_deeply([ grep { !$documented{$_} } sort keys %served ], [], 'agents have none that is not documented');
my @values = unique(join(' ', @asked, $rules) =~ /\b((?:state|kind|outcome)="\w+")/g);
cmp_ok(scalar @values, '>=', 12, 'values of labels: ' . @values);
is_deeply([ grep { $served !~ /[{,]$_[,}]/ } @values ], [], '... and an agent has them');
my %label = map { $_ => 1 } $served =~ /[{,](\w+)="/g;
is_deeply([ grep { !$label{$_} } map { /\{\{(\w+)\}\}/g } @legend, map { ($_->{titleFormat}, $_->{textFormat}) } @annotations ], [], 'legends name labels that are there');
is_deeply([ unique(grep { !$label{$_} && $_ ne 'instance' } $alerts =~ /\$labels\.(\w+)/g) ], [], '... as do the texts of alerts');
my ($kinds) = PghaCluster::slurp("$root/doc/monitoring.md") =~ /^Kinds: (.*?)\n\n|Kinds: (.*?)\n\[/ms ? ($1 // $2) : '';
my @kind = map { /`([a-z_]+)`/g } $kinds =~ s/`failure_timeout`|\([^)]*\)//gr;
cmp_ok(scalar @kind, '>=', 19, 'kinds of events: ' . @kind);
is_deeply([ grep { $served !~ /^pgha_events_total\{.*kind="$_"/m } @kind ], [], '... each is counted');

# ---- Prometheus, configured by the example ----

my $port = $cluster->free_port;
my $base = "$cluster->{base}/prometheus";
mkdir $base;
PghaCluster::give_to_postgres($base);
my $targets = join ', ', map { "'127.0.0.1:$_->{http}'" } $a, $b;
is($config =~ s{/etc/prometheus/pgha-alerts\.yml}{$base/pgha-alerts.yml}, 1, 'the configuration names the rules');
is($config =~ s/^( +- targets: )\[[^\]]*:8008'\]$/$1\[$targets\]/mg, 1, '... and the agents');
$config =~ s/_interval: 5s/_interval: 1s/g;
$config =~ s/_timeout: 3s/_timeout: 1s/g;
PghaCluster::spew("$base/prometheus.yml", $config);
PghaCluster::spew("$base/pgha-alerts.yml", $alerts =~ s/interval: 5s/interval: 1s/gr);
promtool('promtool finds nothing wrong with it', 'check', 'config', "$base/prometheus.yml");
my $log = "$cluster->{base}/log/prometheus";
my $prometheus = $cluster->adopt(PghaCluster::Child->new(signal => 'TERM', log => $log, pid => PghaCluster::Host::spawn(
	[ PghaCluster::as_postgres(), '/usr/bin/prometheus', "--config.file=$base/prometheus.yml", "--storage.tsdb.path=$base/data",
		"--web.listen-address=127.0.0.1:$port" ], log => $log)));
my $client = HTTP::Tiny->new(timeout => 10);

sub ask
{
	my ($path, %form) = @_;
	my $reply = $client->get("http://127.0.0.1:$port/api/v1/$path" . (%form ? '?' . $client->www_form_urlencode(\%form) : ''));
	return (eval { JSON::PP::decode_json($reply->{content}) } // {})->{data};
}

sub values_of { return map { $_->{value}[1] } @{ (ask('query', query => $_[0]) // {})->{result} // [] }; }

# As "alert of whom".
sub firing
{
	return sort map { "$_->{labels}{alertname} of " . ($_->{labels}{member} // $_->{labels}{node} // $_->{labels}{cluster} // '') }
	  grep { $_->{state} eq 'firing' } @{ (ask('alerts') // {})->{alerts} // [] };
}

eventually(sub { join(' ', values_of('sum(up{job="pgha"})'), values_of('count(rate(pgha_wal_bytes[1m]))')) eq '2 2' }, 40, 'Prometheus asks the agents')
  or diag PghaCluster::slurp($log);
my @health;
eventually(sub { @health = map { @{ $_->{rules} } } @{ (ask('rules') // {})->{groups} // [] }; @health && !grep { $_->{health} eq 'unknown' } @health }, 20, '... and goes by the rules');
is_deeply([ map { "$_->{name}: $_->{lastError}" } grep { $_->{health} ne 'ok' } @health ], [], '... none of which fails');
is(scalar @health, scalar keys %rule, '... all of them');
is_deeply([ firing() ], [], 'a sound cluster raises no alarm');

# What is not there in such a cluster, or not yet.
my $none_yet = qr/pgha_lease|pgha_address|pgha_recover|pgha_quorum_in_force|_total.*\[\w+\]\)+ > 0|changes\(/;
my @silent;
foreach my $query (@asked)
{
	my $answer = ask('query', query => $query);
	push @silent, $query if !$answer || (!@{ $answer->{result} } && $query !~ $none_yet);
}
is_deeply(\@silent, [], 'every query of the dashboard is answered, with figures');
my ($state) = grep { /^1 \* / } @asked;
is(join(' ', sort(values_of($state))), '2 4', 'the state timeline says primary and standby');

# ---- a failover ----
$a->kill9;
codes_become($b, { '/primary' => 200 }, 'b takes over');
eventually(sub { grep { $_ eq 'PghaFailover of b' } firing() }, 30, 'PghaFailover fires') or diag join "\n", firing();
is(scalar(grep { /TwoPrimaries/ } firing()), 0, '... and not that there are two primaries');
my ($promotions) = map { $_->{expr} } grep { $_->{name} eq 'Promotions' } @annotations;
eventually(sub { scalar values_of($promotions =~ s/\$cluster/main/r) }, 10, '... and is a mark in the graphs');
$prometheus->end;

done_testing();
