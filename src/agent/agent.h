/*
 * agent.h
 *		`pgha agent`: the service beside the server.
 */
#ifndef PGHA_AGENT_H
#define PGHA_AGENT_H

/* argv[0] is the name of the subcommand; the result is an exit code.  For cli/main.c. */
extern int	pgha_agent_main(int argc, char **argv);

#endif							/* PGHA_AGENT_H */
