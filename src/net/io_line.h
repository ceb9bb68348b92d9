/*
 * io_line.h
 *		What the `pgha io` children have in common: signals, and lines in and out.
 */
#ifndef PGHA_IO_LINE_H
#define PGHA_IO_LINE_H

#include "../common/fields.h"

/* What has been read from the server and not been used. */
typedef struct PghaIoInput
{
	char		text[PGHA_LINE_SIZE];
	size_t		length;
	bool		ended;
} PghaIoInput;

/* Signals end the child, with exit code 0. */
extern void pgha_io_set_up_signals(void);
extern bool pgha_io_told_to_end(void);

/* Reads what is there; sets `ended` at the end. */
extern void pgha_io_read(PghaIoInput *input);

/*
 * Waits for a whole line and takes it off the input, without its line break;
 * false at the end.  `line` has PGHA_LINE_SIZE bytes.
 */
extern bool pgha_io_next_line(PghaIoInput *input, char *line);

/*
 * Answers a request; false if the server does not take it.  Of a member: with where
 * the answer came from, and how (either may be NULL).
 */
extern bool pgha_io_send_answer(const char *id, const char *outcome, const char *text, const char *where, const char *how);

#endif							/* PGHA_IO_LINE_H */
