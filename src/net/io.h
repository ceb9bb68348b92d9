/*
 * io.h
 *		`pgha io`: the children that ask a member, or the archive, on the server's behalf.
 */
#ifndef PGHA_IO_H
#define PGHA_IO_H

/* argv[0] is the name of the subcommand; the result is an exit code.  For cli/main.c. */
extern int	pgha_io_main(int argc, char **argv);

#endif							/* PGHA_IO_H */
