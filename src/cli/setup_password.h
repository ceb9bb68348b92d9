/*
 * setup_password.h
 *		The password of the members' role: asked, read from a file, or made.
 */
#ifndef PGHA_CLI_SETUP_PASSWORD_H
#define PGHA_CLI_SETUP_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PGHA_PASSWORD_SIZE			256

/*
 * From the first line of a file that nobody else can read (NULL: asked on the
 * terminal, twice if `twice`): the password alone, or a line of a libpq password
 * file for the user "pgha" and any host.  An exit code, after an error message
 * unless it is EXIT_OK.
 */
extern int	pgha_password_take(const char *pwfile, bool twice, char *password, size_t size);

/* The same from a text; false if it holds none. */
extern bool pgha_password_parse(const char *text, char *password, size_t size);

/* Makes one that nobody can guess; `password` has PGHA_PASSWORD_SIZE bytes. */
extern bool pgha_password_make(char *password);

/* Asks "... [y/N]" on the terminal; false for all but yes, and if there is no terminal. */
extern bool pgha_confirm(const char *question);

/* Is there a terminal to ask on? */
extern bool pgha_can_ask(void);

#endif							/* PGHA_CLI_SETUP_PASSWORD_H */
