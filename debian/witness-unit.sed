# Makes pgha-witness@.service, with an instance for each directory, of
# examples/pgha-witness.service: debian/rules calls this, so that all else is the same.
1,/^$/c\
# A witness of pgha in a directory that `pgha witness init` has made:\
# pgha-witness@NAME runs the one in /var/lib/postgresql/NAME.\
#\
#   pgha witness init -D /var/lib/postgresql/witness ...        (as postgres)\
#   systemctl enable --now pgha-witness@witness\

s|^Description=.*|Description=witness of a pgha cluster in /var/lib/postgresql/%i|
/^Description=/a\
Documentation=man:pgha(1) file:///usr/share/doc/pgha/doc/witness.md\
AssertPathExists=/var/lib/postgresql/%i/pgha-witness.conf
s|^RequiresMountsFor=.*|RequiresMountsFor=/var/lib/postgresql/%i|
# It becomes the server of the version that the directory has.
s|^ExecStart=.*|ExecStart=/usr/libexec/pgha/witness /var/lib/postgresql/%i|
# The directory is no witness, or its version is not installed.
/^Restart=/a\
RestartPreventExitStatus=78
