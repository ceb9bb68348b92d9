/*
 * program.h
 *		What every subcommand of the program shares: version, exit codes, what is
 *		said of wrong usage.
 */
#ifndef PGHA_PROGRAM_H
#define PGHA_PROGRAM_H

#ifndef PGHA_VERSION
#define PGHA_VERSION "1.0"
#endif

/* Exit codes; those of single subcommands are in cli/subcommands.h. */
#define EXIT_OK			0
#define EXIT_ERROR		1		/* no connection, or the server reported an error */
#define EXIT_USAGE		2

/* Says on stderr what is wrong and where help is; returns EXIT_USAGE. */
extern int	pgha_usage_error(const char *subcommand, const char *format,...)
			__attribute__((format(printf, 2, 3)));

#endif							/* PGHA_PROGRAM_H */
