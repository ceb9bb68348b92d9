# Makes pgha-agent@.service, with an instance for each cluster of Debian's, of
# examples/pgha-agent.service: debian/rules calls this, so that all else is the same.
1,/^$/c\
# pgha agent of a cluster of Debian's: pgha-agent@15-main is that of 15/main.\
#\
#   systemctl enable --now pgha-agent@15-main\
#\
# What differs on your host goes into a file of its own: systemctl edit\
# pgha-agent@15-main, or pgha-agent@.service for all.  (As with Debian's\
# postgresql@.service, names of clusters must not contain a dash.)\

s|^Description=.*|Description=pgha agent of PostgreSQL cluster %I|
/^Description=/a\
Documentation=man:pgha(1) file:///usr/share/doc/pgha/doc/agent.md\
AssertPathExists=/etc/postgresql/%I/postgresql.conf
# It is not part of the server's unit: it is needed when the server is down.
s|^After=.*|After=network-online.target postgresql@%i.service postgresql.service|
s|^RequiresMountsFor=.*|RequiresMountsFor=/etc/postgresql/%I /var/lib/postgresql/%I|
# The command becomes the program of the cluster's version.
s|^ExecStart=.*|ExecStart=/usr/bin/pgha agent --config /etc/postgresql/%I/postgresql.conf|
s|: examples/pgha-agent.rules\.|:\n# /usr/share/doc/pgha/examples/pgha-agent.rules.|
