/*
 * subcommands.h
 *		The subcommands that people type, and their exit codes.
 *
 * `pgha agent` and `pgha io` are in wings of their own: only main.c, the
 * program's table of contents, knows them as well.
 */
#ifndef PGHA_SUBCOMMANDS_H
#define PGHA_SUBCOMMANDS_H

#include "../common/program.h"

/* Exit codes; `pgha --help` documents them. */
#define EXIT_NO_PRIMARY 3		/* pgha status: not exactly one member leads */
#define EXIT_SICK		3		/* pgha doctor: there are errors */
#define EXIT_WEAK		4		/* pgha doctor: there are warnings, but no errors */
#define EXIT_LATE		3		/* pgha switchover, restart: done, but a server is not back yet */
#define EXIT_CANCELLED	130		/* pgha recover, switchover, restart: Ctrl-C */
#define EXIT_NOT_HERE	3		/* pgha vip show: this host does not have the address */
#define EXIT_FORBIDDEN	3		/* pgha witness: it runs, but a superuser has to have it added */

/*
 * The subcommands.  argv[0] is the name of the subcommand; the result is an
 * exit code.
 */
extern int	pgha_status_main(int argc, char **argv);
extern int	pgha_explain_main(int argc, char **argv);
extern int	pgha_events_main(int argc, char **argv);
extern int	pgha_pause_main(int argc, char **argv);
extern int	pgha_resume_main(int argc, char **argv);
extern int	pgha_promote_main(int argc, char **argv);
extern int	pgha_switchover_main(int argc, char **argv);
extern int	pgha_restart_main(int argc, char **argv);
extern int	pgha_recover_main(int argc, char **argv);
extern int	pgha_doctor_main(int argc, char **argv);
extern int	pgha_check_main(int argc, char **argv);
extern int	pgha_uri_main(int argc, char **argv);
extern int	pgha_witness_main(int argc, char **argv);
extern int	pgha_create_main(int argc, char **argv);
extern int	pgha_join_main(int argc, char **argv);
extern int	pgha_leave_main(int argc, char **argv);
extern int	pgha_vip_main(int argc, char **argv);

#endif							/* PGHA_SUBCOMMANDS_H */
