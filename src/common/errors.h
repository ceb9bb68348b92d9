/*
 * errors.h
 *		Sentences that say what is wrong, for callers that report them their own way.
 */
#ifndef PGHA_ERRORS_H
#define PGHA_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the sentence into `error`, cut to fit; always returns false. */
extern bool pgha_fail(char *error, size_t error_size, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/*
 * Makes a text from elsewhere fit for a terminal and a line of a log, in place:
 * control characters (those of C1, U+0080 to U+009F, too), the marks that change
 * the direction of writing, and bytes that are no UTF-8 become "?"; tabs, and
 * newlines unless `lines`, become blanks; a character that is cut off at the end goes (text.h).  Returns the text.
 */
extern char *pgha_shown(char *text, bool lines);

#endif							/* PGHA_ERRORS_H */
