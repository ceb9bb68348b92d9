/*
 * setup_text.h
 *		The text of configuration files that set up a node, before it is written.
 */
#ifndef PGHA_CLI_SETUP_TEXT_H
#define PGHA_CLI_SETUP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A text that grows; what does not fit is no file of ours. */
typedef struct PghaText
{
	char		text[65536];
	size_t		length;
} PghaText;

extern void pgha_text_put(PghaText *text, const char *format,...) __attribute__((format(printf, 2, 3)));

/* Did all of it fit? */
extern bool pgha_text_fits(const PghaText *text);

/* A line of a configuration file; within quotes both quotes and backslashes are doubled. */
extern void pgha_text_put_setting(PghaText *text, const char *name, const char *value);

/* The same for "NAME=VALUE". */
extern void pgha_text_put_option(PghaText *text, const char *option);

/* libpq's password file, for any host; a colon and a backslash are written with a backslash before. */
extern void pgha_text_put_password(PghaText *text, const char *user, const char *password);

/* A line of pg_hba.conf for a host, address or network: a single address is a network of its own. */
extern void pgha_text_put_login(PghaText *text, const char *databases, const char *user, const char *host, size_t length);

/* The same for each of a list, separated by commas or blanks. */
extern void pgha_text_put_logins(PghaText *text, const char *databases, const char *user, const char *list);

/* May it stand in such a list: names, addresses, networks? */
extern bool pgha_login_list_valid(const char *list);

/* Goes into a line of a file: no control characters, not too long. */
extern bool pgha_fits_a_line(const char *value);

/* Is it NAME=VALUE, as for --set? */
extern bool pgha_option_valid(const char *option);

/* Writes it durably; false with a sentence in `error`. */
extern bool pgha_text_write(const PghaText *text, const char *path, mode_t mode, char *error, size_t error_size);

#endif							/* PGHA_CLI_SETUP_TEXT_H */
