/*
 * program.h
 *		What the parts of the `pgha` program share.
 */
#ifndef PGHA_PROGRAM_H
#define PGHA_PROGRAM_H

#include <stdbool.h>

#ifndef PGHA_VERSION
#define PGHA_VERSION "1.0"
#endif

/* Exit codes; `pgha --help` documents them. */
#define EXIT_OK			0
#define EXIT_ERROR		1		/* no connection, or the server reported an error */
#define EXIT_USAGE		2
#define EXIT_NO_PRIMARY 3		/* pgha status: not exactly one member leads */
#define EXIT_SICK		3		/* pgha doctor: there are errors */
#define EXIT_WEAK		4		/* pgha doctor: there are warnings, but no errors */
#define EXIT_CANCELLED	130		/* pgha recover: Ctrl-C */
#define EXIT_NOT_HERE	3		/* pgha vip show: this host does not have the address */

/*
 * The subcommands.  argv[0] is the name of the subcommand; the result is an
 * exit code.
 */
extern int	pgha_status_main(int argc, char **argv);
extern int	pgha_events_main(int argc, char **argv);
extern int	pgha_pause_main(int argc, char **argv);
extern int	pgha_resume_main(int argc, char **argv);
extern int	pgha_promote_main(int argc, char **argv);
extern int	pgha_recover_main(int argc, char **argv);
extern int	pgha_doctor_main(int argc, char **argv);
extern int	pgha_agent_main(int argc, char **argv);
extern int	pgha_vip_main(int argc, char **argv);
extern int	pgha_io_main(int argc, char **argv);

/* Says on stderr what is wrong and where help is; returns EXIT_USAGE. */
extern int	pgha_usage_error(const char *subcommand, const char *format,...)
			__attribute__((format(printf, 2, 3)));

#endif							/* PGHA_PROGRAM_H */
