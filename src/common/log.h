/*
 * log.h
 *		What the program says, on stderr or elsewhere, in sentences that may hold
 *		text from other servers, programs and files.
 */
#ifndef PGHA_LOG_H
#define PGHA_LOG_H

#include <stdarg.h>
#include <stdio.h>

/* Writes a line of the agent's log.  From any process of the agent. */
extern void pgha_agent_log(const char *format,...) __attribute__((format(printf, 1, 2)));

/* Writes "pgha: error: <sentence>", and a line with the hint unless that is NULL. */
extern void pgha_error(FILE *out, const char *hint, const char *format,...) __attribute__((format(printf, 3, 4)));

/* Writes "pgha: <sentence>" on stderr: what is being done. */
extern void pgha_note(const char *format,...) __attribute__((format(printf, 1, 2)));

/* Writes the beginning and the sentence, as one line. */
extern void pgha_put_line(FILE *out, const char *beginning, const char *format, va_list args)
			__attribute__((format(printf, 3, 0)));

/* Writes a text of any lines, cleaned. */
extern void pgha_put(const char *text, FILE *out);

#endif							/* PGHA_LOG_H */
