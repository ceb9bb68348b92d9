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

#endif							/* PGHA_ERRORS_H */
