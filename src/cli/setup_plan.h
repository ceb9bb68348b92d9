/*
 * setup_plan.h
 *		The changes of files that set up a node: made as a whole, shown, written,
 *		taken back; and the record of them, by which `pgha leave` finds them.
 */
#ifndef PGHA_CLI_SETUP_PLAN_H
#define PGHA_CLI_SETUP_PLAN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "setup_text.h"

#define PGHA_PLAN_MAX	6

typedef struct PghaEdit
{
	char		path[PATH_MAX];
	char	   *before;			/* NULL: there is no such file */
	char	   *after;			/* NULL: it goes */
	char	   *lines;			/* of a file that is changed: the lines that are ours */
	mode_t		mode;
	bool		secret;			/* is not shown */
	bool		taken_out;		/* it loses lines of ours */
	bool		written;
} PghaEdit;

typedef struct PghaPlan
{
	int			count;
	PghaEdit	edit[PGHA_PLAN_MAX];
} PghaPlan;

/* A file that is ours as a whole.  These return false with a sentence in `error`. */
extern bool pgha_plan_file(PghaPlan *plan, const char *path, const PghaText *text, mode_t mode, bool secret,
						   char *error, size_t error_size);

/* Lines in a file of somebody else, between comments: at its top, or its end; those of an earlier time go. */
extern bool pgha_plan_lines(PghaPlan *plan, const char *path, const PghaText *lines, bool top,
							char *error, size_t error_size);

/* A file of ours that goes; with `text` it becomes that instead. */
extern bool pgha_plan_remove(PghaPlan *plan, const char *path, const PghaText *text, char *error, size_t error_size);

/* Takes out such lines of ours. */
extern bool pgha_plan_take_out(PghaPlan *plan, const char *path, char *error, size_t error_size);

/* Takes such lines out of a text; malloc'd.  *found: there were some. */
extern char *pgha_plan_without_lines(const char *text, bool *found);

/* Is anything to be written? */
extern bool pgha_plan_changes(const PghaEdit *edit);

/* Tells it. */
extern void pgha_plan_show(const PghaPlan *plan, FILE *out);

/* Writes the first `count` of them, as far as they are not written. */
extern bool pgha_plan_write(PghaPlan *plan, int count, char *error, size_t error_size);

/* Puts back what was written; false: some of it could not be. */
extern bool pgha_plan_revert(PghaPlan *plan, char *error, size_t error_size);

extern void pgha_plan_free(PghaPlan *plan);

/* ---- the record ---- */

typedef struct PghaRecord
{
	bool		done;			/* false: begun, and not ended */
	bool		joined;			/* by `pgha join` */
	bool		made_data;		/* the data directory */
	bool		made_role;
	bool		made_extension;
	char		kept[PATH_MAX]; /* where a data directory was moved to; may be empty */
	int			count;
	struct
	{
		char		path[PATH_MAX];
		uint64_t	hash;
		bool		lines;
	}			file[PGHA_PLAN_MAX];
} PghaRecord;

/* *found: there is one.  False with a sentence in `error` if it cannot be read. */
extern bool pgha_record_read(const char *directory, PghaRecord *record, bool *found, char *error, size_t error_size);

/* Writes it, with the files of the plan (NULL: with those that it has). */
extern bool pgha_record_write(const char *directory, PghaRecord *record, const PghaPlan *plan, char *error, size_t error_size);

extern bool pgha_record_remove(const char *directory, char *error, size_t error_size);

/* Is the content of a file what was written? */
extern uint64_t pgha_record_hash(const char *text);

/* A point at which a test may end this program. */
extern void pgha_setup_step(void);

#endif							/* PGHA_CLI_SETUP_PLAN_H */
