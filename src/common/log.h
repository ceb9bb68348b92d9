/*
 * log.h
 *		What the program says, on stderr or elsewhere, in sentences that may hold
 *		text from other servers, programs and files.
 */
#ifndef PGHA_LOG_H
#define PGHA_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

typedef enum PghaSeverity
{
	PGHA_SEVERITY_LOG,			/* what is done, and why */
	PGHA_SEVERITY_WARNING,		/* works on, but somebody should look */
	PGHA_SEVERITY_ERROR			/* what was to be done was not */
} PghaSeverity;

extern const char *pgha_severity_word(PghaSeverity severity);

/*
 * How the agent's lines look from now on, in this process and its forks: as text
 * with time, process and severity, or as JSON, an object a line.  Where stderr is
 * the journal, each begins with systemd's <N> instead, and text has no time.
 * `node` is kept.  Before the first call: text.
 */
extern void pgha_agent_log_setup(bool json, const char *node);

/* What this process is, for lines in JSON; "agent" unless told. */
extern void pgha_agent_log_process(const char *process);

/* Write a line of the agent's log.  From any process of the agent. */
extern void pgha_agent_log(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void pgha_agent_warning(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void pgha_agent_error(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void pgha_agent_say(PghaSeverity severity, const char *format,...) __attribute__((format(printf, 2, 3)));

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
