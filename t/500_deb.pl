# The packages of Debian: built, installed where nothing else is, used, upgraded,
# removed, purged.  tools/check-deb does it, and prints TAP.
use strict;
use warnings;

use FindBin;

my $missing = join ' ', grep { system("dpkg-query -W -f '\${Status}' $_ 2> /dev/null | grep -q 'ok installed'") != 0 }
  qw(debhelper postgresql-server-dev-all lintian systemd), $ENV{DEB_BARE} ? () : 'debootstrap';
if ($missing ne '')
{
	print "1..0 # SKIP not installed: $missing (make test-deps)\n";
	exit 0;
}
exec "$FindBin::RealBin/../tools/check-deb" or die "tools/check-deb: $!\n";
