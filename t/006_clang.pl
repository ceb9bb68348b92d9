# Library and program build with clang, too, without a warning.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Temp qw(tempdir);
use PghaCluster;
use Test::More;

my $copy = tempdir(CLEANUP => 1);
PghaCluster::must_run([ 'cp', '-r', map({ "$PghaCluster::ROOT/$_" } qw(Makefile src sim sql pgha.control)), glob("$PghaCluster::ROOT/pgha--*.sql"), $copy ]);
PghaCluster::must_run([ 'find', $copy, '-name', '*.o', '-delete' ]);
delete @ENV{qw(MAKEFLAGS MAKELEVEL)};
my ($status, $out, $err) = PghaCluster::run_command(
	[ 'make', '-s', '-C', $copy, 'all', 'CC=clang', 'WERROR=-Werror', 'PG_CONFIG=' . ($ENV{PG_CONFIG} // 'pg_config') ], timeout => 600);
is($status, 0, 'it builds') or diag $out, $err;
is($err, '', 'without a warning');
ok(-e "$copy/pgha.so" && -x "$copy/build/pgha", 'library and program are there');

done_testing();
