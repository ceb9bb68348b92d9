/*
 * command.h
 *		Command lines in the configuration, split into arguments without a shell.
 */
#ifndef PGHA_COMMAND_H
#define PGHA_COMMAND_H

#include <stddef.h>

/* %x in a command line, and what stands for it. */
typedef struct PghaEscape
{
	char		letter;			/* 0 ends the list */
	const char *value;
} PghaEscape;

/*
 * Splits a command line: blanks separate, '...' and "..." quote, \ takes the
 * next character as it is (not within '...').  Replaces %x by the value of the
 * letter in `escapes` (NULL: % is an ordinary character), %% by %.  Returns a
 * NULL-terminated array in one block for free(), or NULL with a sentence in
 * `error`.
 */
extern char **pgha_command_split(const char *command, const PghaEscape *escapes,
								 char *error, size_t error_size);

#endif							/* PGHA_COMMAND_H */
