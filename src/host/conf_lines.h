/*
 * conf_lines.h
 *		Where in the configuration files each setting pgha.* stands, and what is
 *		wrong with it.
 */
#ifndef PGHA_HOST_CONF_LINES_H
#define PGHA_HOST_CONF_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define PGHA_MAX_CONF_LINES		128
#define PGHA_FAULT_SIZE			600
#define PGHA_MAX_FAULTS			32

typedef struct PghaConfLine
{
	char	   *name;
	char	   *value;
	char	   *file;
	int			line;
} PghaConfLine;

/* The last line of each name, as that one counts. */
typedef struct PghaConfLines
{
	int			count;
	PghaConfLine line[PGHA_MAX_CONF_LINES];
} PghaConfLines;

typedef struct PghaConfFaults
{
	int			count;
	char		text[PGHA_MAX_FAULTS][PGHA_FAULT_SIZE];	/* "FILE:LINE: sentence" each */
} PghaConfFaults;

/* Remembers a line if it is about a setting pgha.*; false if there is no memory. */
extern bool pgha_conf_lines_add(PghaConfLines *lines, const char *name, const char *value, const char *file, int line);
extern void pgha_conf_lines_free(PghaConfLines *lines);

/*
 * Adds what a server would refuse: unknown names, values that cannot be read, times
 * that do not fit together where `voters` (0: not known) servers vote.
 */
extern void pgha_conf_lines_check(const PghaConfLines *lines, int voters, PghaConfFaults *faults);

/* Adds the sentence of another check, at the line of the setting that it names. */
extern void pgha_conf_fault_add(const PghaConfLines *lines, const char *sentence, PghaConfFaults *faults);

#endif							/* PGHA_HOST_CONF_LINES_H */
